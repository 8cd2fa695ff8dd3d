//! Which requests another person must approve.

use crate::{
    grant,
    id::ServiceName::{Provisioning, Registry},
    names,
    v1::{Approval, Criticality, FourEyes, FourEyesRule},
    verb::Verb,
};

/// Once anything is under four eyes, these are: by each of them one person could become two.
const ALWAYS: [(crate::ServiceName, &str); 5] = [
    (Registry, "put-four-eyes"),
    (Registry, "put-person"),
    (Registry, "put-token"),
    (Registry, "put-password"),
    (Provisioning, "issue"),
];

/// The devices that a request is about, as far as the rules look at them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Touched {
    /// How many.
    pub devices: u64,
    /// How much the one that matters most does.
    pub criticality: Criticality,
    /// The request makes a device matter less.
    pub lowers: bool,
}

impl Touched {
    /// One more device.
    pub fn add(&mut self, criticality: Criticality) {
        self.devices += 1;
        self.criticality = self.criticality.max(criticality);
    }
}

/// Verbs by which a device can be made to matter less.
const LOWERING: [(crate::ServiceName, &str); 2] = [(Registry, "change"), (Registry, "replace")];

fn may_lower(settings: &FourEyes, verb: &Verb) -> bool {
    let by_criticality = |rule: &FourEyesRule| rule.criticality() != Criticality::Unspecified;
    LOWERING.contains(&(verb.service, verb.name)) && settings.rules.iter().any(by_criticality)
}

/// Whether the rules look at a verb at all.
pub fn concerns(settings: &FourEyes, verb: &Verb) -> bool {
    is_always(settings, verb)
        || may_lower(settings, verb)
        || settings.rules.iter().any(|rule| names(rule, verb))
}

/// Why a request waits for another person, if it does.
pub fn demand(settings: &FourEyes, verb: &Verb, touched: Touched) -> Option<String> {
    if is_always(settings, verb) {
        return Some("the rules themselves, people and what they log in with are under four eyes".into());
    }
    // Else one person would make a device matter less, and do then what the rule is about.
    let held = |rule: &FourEyesRule| {
        rule.criticality() != Criticality::Unspecified && touched.criticality >= rule.criticality()
    };
    if touched.lowers && may_lower(settings, verb) && settings.rules.iter().any(held) {
        return Some("a device that a rule is about would matter less".into());
    }
    let rule = settings.rules.iter().find(|rule| fits(rule, verb, touched))?;
    Some(words(rule))
}

/// What others must not see of a request: what a password is compared with, and signatures that are not used yet.
const SECRETS: [&str; 3] = ["verifier", "warrant", "warrants"];

/// A waiting request as others may see it.
#[must_use]
pub fn shown(asked: Approval) -> Approval {
    let read = serde_json::from_str(&asked.request);
    let Ok(serde_json::Value::Object(mut request)) = read else {
        return asked;
    };
    let mut hidden = false;
    for name in SECRETS {
        if let Some(secret) = request.get_mut(name).filter(|value| *value != "") {
            *secret = "(not shown)".into();
            hidden = true;
        }
    }
    if !hidden {
        return asked;
    }
    Approval {
        request: serde_json::Value::Object(request).to_string(),
        ..asked
    }
}

/// A rule as people say it.
pub fn words(rule: &FourEyesRule) -> String {
    let mut words = rule.verbs.join(", ");
    if rule.criticality() != Criticality::Unspecified {
        let name = names::said(rule.criticality().as_str_name());
        words = format!("{words} of devices of criticality {name} or more");
    }
    if rule.over_devices > 0 {
        words = format!("{words} on more than {} devices", rule.over_devices);
    }
    words
}

fn is_always(settings: &FourEyes, verb: &Verb) -> bool {
    !settings.rules.is_empty() && ALWAYS.contains(&(verb.service, verb.name))
}

fn names(rule: &FourEyesRule, verb: &Verb) -> bool {
    rule.verbs.iter().any(|pattern| grant::names(pattern, verb))
}

/// Of a request that names no devices nobody knows how many it reaches, nor how much they matter: the rule holds.
fn fits(rule: &FourEyesRule, verb: &Verb, touched: Touched) -> bool {
    if touched.devices == 0 {
        return names(rule, verb);
    }
    let matters = rule.criticality() == Criticality::Unspecified || touched.criticality >= rule.criticality();
    names(rule, verb) && matters && (rule.over_devices == 0 || touched.devices > u64::from(rule.over_devices))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_approves_a_password_does_not_see_what_it_is_compared_with() {
        let asked = |request: &str| Approval {
            request: request.into(),
            ..Approval::default()
        };
        let seen = shown(asked(r#"{"id":"ada","verifier":"$argon2id$secret"}"#)).request;
        assert!(seen.contains("ada") && !seen.contains("secret"), "{seen}");
        for plain in [r#"{"id":"ada","verifier":""}"#, r#"{"id":"ada"}"#, "no json"] {
            assert_eq!(shown(asked(plain)).request, plain);
        }
    }

    #[test]
    fn nobody_lowers_alone_what_a_rule_goes_by() {
        let settings = FourEyes {
            rules: vec![rule(&["registry/retire"], Criticality::High, 0)],
            ..FourEyes::default()
        };
        let change = Verb::find(Registry, "change").unwrap();
        assert!(concerns(&settings, change));
        for (criticality, lowers, held) in [
            (Criticality::Critical, true, true),
            (Criticality::Critical, false, false),
            (Criticality::Medium, true, false),
        ] {
            let touched = Touched {
                devices: 1,
                criticality,
                lowers,
            };
            assert_eq!(demand(&settings, change, touched).is_some(), held, "{touched:?}");
        }
    }

    #[test]
    fn a_request_that_names_no_devices_falls_under_a_rule_about_them() {
        let settings = FourEyes {
            rules: vec![rule(&["registry/job-run"], Criticality::High, 10)],
            ..FourEyes::default()
        };
        let job = Verb::find(Registry, "job-run").unwrap();
        assert!(demand(&settings, job, Touched::default()).is_some());
        let few = Touched {
            devices: 2,
            criticality: Criticality::Critical,
            lowers: false,
        };
        assert!(demand(&settings, job, few).is_none());
    }

    fn rule(verbs: &[&str], criticality: Criticality, over_devices: u32) -> FourEyesRule {
        FourEyesRule {
            verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
            criticality: criticality.into(),
            over_devices,
        }
    }

    #[test]
    fn a_rule_looks_at_the_verb_and_at_the_devices() {
        use Criticality::{Critical, High, Low, Unspecified};
        let settings = FourEyes {
            rules: vec![
                rule(&["registry/retire", "registry/replace"], High, 0),
                rule(&["rollout/create"], Unspecified, 100),
                rule(&["provisioning/revoke"], Unspecified, 0),
            ],
            ..FourEyes::default()
        };
        for (verb, devices, criticality, expected) in [
            ("registry/retire", 1, Low, false),
            ("registry/retire", 1, High, true),
            ("registry/retire", 1, Critical, true),
            ("registry/suspend", 1, Critical, false),
            ("rollout/create", 100, Critical, false),
            ("rollout/create", 101, Low, true),
            ("provisioning/revoke", 0, Unspecified, true),
            ("registry/put-four-eyes", 0, Unspecified, true),
            ("registry/put-person", 0, Unspecified, true),
            ("provisioning/issue", 0, Unspecified, true),
        ] {
            let (service, name) = verb.split_once('/').unwrap();
            let verb = Verb::find(crate::ServiceName::from_word(service).unwrap(), name).unwrap();
            let touched = Touched {
                devices,
                criticality,
                lowers: false,
            };
            assert_eq!(
                demand(&settings, verb, touched).is_some(),
                expected,
                "{service}/{name} {touched:?}"
            );
            assert_eq!(demand(&FourEyes::default(), verb, touched), None);
        }
    }
}
