//! `muster why connect`

use anyhow::Result;
use contract::{
    Id, Root,
    id::{Kind, Principal},
    v1::{Certificate, Connectivity, LoginToken, Manufacturer, Restriction, Stage},
};
use host::clock::wall_ms;
use session::{Caller, Credential, Moment, Reach, Standing, standing};

use super::{
    super::{Global, broker::clients::said, print, words},
    answers::Answers,
};
use crate::exit::{Exit, Failure};

#[derive(clap::Args)]
pub(in crate::cli) struct Connect {
    /// Who
    id: Id,
    /// What they are; of a claim the id is its batch
    #[arg(long, default_value = "device", value_parser = words::connecting())]
    kind: Kind,
}

/// What the front door would say.
#[derive(Debug, PartialEq)]
enum Verdict {
    /// In, by this.
    May(Way, Standing),
    /// Out: why, and what to do where there is something.
    MayNot(String, Option<String>),
}

/// By what somebody comes in.
#[derive(Debug, Clone, PartialEq)]
enum Way {
    /// A certificate.
    Certificate(Box<Certificate>),
    /// A token, over WebSocket, where the server lets people log in.
    Token(LoginToken),
    /// A password, in the same place.
    Password(u64),
}

impl Connect {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let who = Principal::new(self.kind, self.id);
        let answers = global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let answers = Answers::about(&client, &who).await;
            client.disconnect().await;
            answers
        })?;
        let configured = global
            .config()
            .map(|config| config.renew_after.as_millis() as u64);
        let moment = Moment {
            now_ms: wall_ms(),
            // Who asks from elsewhere does not know the server's setting: nothing is promised.
            renew_after_ms: configured.unwrap_or_default(),
        };
        let verdict = judge(&who, &answers, &global.root(), moment);
        if global.json {
            print::json(&document(&who, &verdict, &answers))?;
        } else {
            print::line(sentence(&who, &verdict, &answers))?;
        }
        match verdict {
            Verdict::May(..) => Ok(()),
            Verdict::MayNot(why, next) => {
                let next = next.map(|next| format!("; {next}")).unwrap_or_default();
                Err(Failure::new(Exit::Denied, format!("{who} may not connect: {why}{next}")).into())
            }
        }
    }
}

/// By the newest certificate that opens, else by a token or a password, else what stands against the newest certificate.
fn judge(who: &Principal, answers: &Answers, root: &Root, moment: Moment) -> Verdict {
    let certificates = answers.certificates.iter().cloned();
    let tokens = answers.tokens.iter().cloned().map(Way::Token);
    let password = Some(answers.password()).filter(|password| *password != 0);
    let ways = certificates
        .map(|certificate| Way::Certificate(Box::new(certificate)))
        .chain(tokens)
        .chain(password.map(Way::Password));
    let mut first = None;
    for way in ways {
        let outcome = by(who, way, answers, root, moment);
        if matches!(outcome, Verdict::May(..)) {
            return outcome;
        }
        first.get_or_insert(outcome);
    }
    first.unwrap_or_else(|| without_certificate(who, answers, root, moment))
}

fn by(who: &Principal, way: Way, answers: &Answers, root: &Root, moment: Moment) -> Verdict {
    let judged = standing(&caller(who, way.credential()), answers, root, moment);
    match (judged, &way) {
        (Ok(standing), _) => Verdict::May(way, standing),
        (Err(denial), Way::Certificate(certificate)) if certificate.not_after_ms < moment.now_ms => {
            let end = print::time(certificate.not_after_ms);
            let why = format!("its newest certificate ended on {end}: {}", denial.0);
            Verdict::MayNot(why, Some(way_in(who)))
        }
        (Err(denial), _) => Verdict::MayNot(denial.0, remedy(who, answers)),
    }
}

fn without_certificate(who: &Principal, answers: &Answers, root: &Root, moment: Moment) -> Verdict {
    match standing(&caller(who, Credential::Nothing), answers, root, moment) {
        Ok(_) => {
            let next = factory_ways(answers).unwrap_or_else(|| way_in(who));
            Verdict::MayNot("it has no certificate yet".to_owned(), Some(next))
        }
        Err(denial) => Verdict::MayNot(denial.0, remedy(who, answers)),
    }
}

fn caller(who: &Principal, credential: Credential) -> Caller {
    Caller {
        batch: (who.kind == Kind::Claim).then(|| who.id.clone()),
        ..Caller::new(who.clone(), credential)
    }
}

impl Way {
    fn credential(&self) -> Credential {
        match self {
            Way::Certificate(certificate) => Credential::Certificate {
                serial: certificate.serial.clone(),
                not_after_ms: certificate.not_after_ms,
            },
            Way::Token(token) => Credential::Token {
                id: token.token_id.clone(),
                not_after_ms: token.expires_ms,
            },
            Way::Password(password) => Credential::Password { password: *password },
        }
    }

    fn words(&self) -> String {
        match self {
            Way::Certificate(certificate) => format!("over {}", certificate.serial),
            Way::Token(token) => format!(
                "over WebSocket, where that is open to logins, with token {}",
                token.token_id
            ),
            Way::Password(_) => "over WebSocket, where that is open to logins, with a password".to_owned(),
        }
    }

    /// `None`: as long as it is not changed.
    fn until_ms(&self) -> Option<i64> {
        match self {
            Way::Certificate(certificate) => Some(certificate.not_after_ms),
            Way::Token(token) => Some(token.expires_ms),
            Way::Password(_) => None,
        }
    }
}

/// What the manufacturers' certificates are to a device without one of its own; `None`: nothing.
fn factory_ways(answers: &Answers) -> Option<String> {
    let device = answers.device.as_ref()?;
    let serial = &device.serial_number;
    let may = |one: &&Manufacturer| one.types.is_empty() || one.types.contains(&device.device_type);
    let way = |one: &Manufacturer| {
        let name = &one.name;
        if one.refuses(serial) {
            return format!(
                "{name}'s factory certificate of {serial} is refused: muster manufacturer refuse {name} {serial} --lift"
            );
        }
        let since = print::time(one.added_at_ms);
        let revoked = match one.revoked {
            0 => String::new(),
            revoked => format!(", unless it is one of the {revoked} that their lists revoke"),
        };
        format!("{name}'s factory certificate of {serial} opens it (trusted since {since}){revoked}")
    };
    let ways: Vec<_> = answers.manufacturers.iter().filter(may).map(way).collect();
    (!ways.is_empty()).then(|| ways.join("; "))
}

fn way_in(who: &Principal) -> String {
    match who.kind {
        Kind::Device => {
            "let it ask for one with a claim (`muster cert claims`, docs/provisioning.md)".to_owned()
        }
        Kind::Claim => format!(
            "make another claim: muster cert claim NAME (this one was `{}`)",
            who.id
        ),
        kind => format!(
            "muster cert issue {} {}",
            kind.word().trim_end_matches('s'),
            who.id
        ),
    }
}

fn remedy(who: &Principal, answers: &Answers) -> Option<String> {
    let id = &who.id;
    if who.kind != Kind::Device {
        return None;
    }
    let Some(device) = &answers.device else {
        return Some(format!("muster device register {id}"));
    };
    match (device.stage(), device.restriction()) {
        (Stage::Planned, _) => Some(format!("muster device move {id} registered")),
        (Stage::Retired, _) => None,
        (_, Restriction::Suspended) => Some(format!(
            "{} suspended it ({}): muster device release {id}",
            device.changed_by, device.restriction_reason
        )),
        _ => Some(way_in(who)),
    }
}

fn sentence(who: &Principal, verdict: &Verdict, answers: &Answers) -> String {
    let refused = answers
        .refused
        .as_ref()
        .map(|refused| format!("; {}", said(refused)));
    let refused = refused.unwrap_or_default();
    let Verdict::May(way, standing) = verdict else {
        let seen = presence(answers).unwrap_or_else(|| format!("{who} was never seen"));
        return print::clean(&(seen + &refused));
    };
    let within = match standing.reach {
        Reach::Everything => "",
        Reach::Repair => ", for what repairs it only: it is quarantined",
        Reach::Renewal => ", which has ended: to ask for its next certificate, and for nothing else",
    };
    let seen = presence(answers)
        .map(|seen| format!("; {seen}"))
        .unwrap_or_default();
    let until = way.until_ms().map(|end| format!(" until {}", print::time(end)));
    let until = until.unwrap_or_default();
    print::clean(&format!(
        "{who} may connect {}{until}{within}{seen}{refused}",
        way.words(),
    ))
}

/// Whether it is there, for a device that was ever seen.
fn presence(answers: &Answers) -> Option<String> {
    let status = answers.status.as_ref()?;
    let since = print::time(status.since_ms);
    match status.connectivity() {
        Connectivity::Online => Some(format!("it is online since {since} from {}", status.address)),
        Connectivity::Grace | Connectivity::Offline => {
            Some(format!("it has been away since {since} ({})", status.cause))
        }
        _ => None,
    }
}

fn document(who: &Principal, verdict: &Verdict, answers: &Answers) -> serde_json::Value {
    let seen = presence(answers);
    let refused = answers.refused.as_ref();
    let refused = refused.and_then(|refused| serde_json::to_value(refused).ok());
    match verdict {
        Verdict::May(way, standing) => serde_json::json!({
            "who": who.to_string(), "may": true,
            "serial": match way { Way::Certificate(certificate) => &certificate.serial, _ => "" },
            "token": match way { Way::Token(token) => &token.token_id, _ => "" },
            "password": matches!(way, Way::Password(_)),
            "until_ms": way.until_ms().unwrap_or_default().to_string(), "repair_only": standing.reach == Reach::Repair,
            "renewal_only": standing.reach == Reach::Renewal, "seen": seen, "refused": refused,
        }),
        Verdict::MayNot(why, next) => serde_json::json!({
            "who": who.to_string(), "may": false, "why": why, "next": next, "seen": seen, "refused": refused,
        }),
    }
}

#[cfg(test)]
mod tests {
    use contract::v1::{CertificateStatus, Device};

    use super::*;

    const NOW: i64 = 1_800_000_000_000;
    const GRACE: u64 = 3_600_000;

    fn certificate(status: CertificateStatus, not_after_ms: i64) -> Certificate {
        Certificate {
            serial: "4f".into(),
            kind: "devices".into(),
            id: "pump-7".into(),
            status: status.into(),
            not_after_ms,
            ..Certificate::default()
        }
    }

    fn device(stage: Stage, restriction: Restriction) -> Device {
        Device {
            stage: stage.into(),
            restriction: restriction.into(),
            changed_by: "operators/ada".into(),
            restriction_reason: "odd traffic".into(),
            ..Device::default()
        }
    }

    #[test]
    fn it_says_what_the_front_door_would_and_what_to_do() {
        let active = || vec![certificate(CertificateStatus::Active, NOW + 1)];
        let moment = Moment {
            now_ms: NOW,
            renew_after_ms: GRACE,
        };
        let good = || Some(device(Stage::Active, Restriction::None));
        for (device, certificates, why, next) in [
            (good(), active(), "", ""),
            (None, active(), "no such device", "muster device register pump-7"),
            (None, vec![], "no such device", "muster device register pump-7"),
            (good(), vec![], "no certificate yet", "claim"),
            (
                good(),
                vec![certificate(CertificateStatus::Active, NOW - GRACE as i64)],
                "",
                "",
            ),
            (
                good(),
                vec![certificate(CertificateStatus::Active, NOW - GRACE as i64 - 1)],
                "ended on",
                "claim",
            ),
            (
                good(),
                vec![certificate(CertificateStatus::Revoked, NOW + 1)],
                "is revoked",
                "claim",
            ),
            (
                Some(device(Stage::Planned, Restriction::None)),
                active(),
                "planned only",
                "muster device move pump-7 registered",
            ),
            (
                Some(device(Stage::Active, Restriction::Suspended)),
                active(),
                "is suspended",
                "operators/ada suspended it (odd traffic): muster device release pump-7",
            ),
            (
                Some(device(Stage::Retired, Restriction::None)),
                active(),
                "is retired",
                "",
            ),
        ] {
            let who = "devices/pump-7".parse().unwrap();
            let answers = Answers::of_device(device, certificates);
            match judge(&who, &answers, &Root::default(), moment) {
                Verdict::May(..) => assert_eq!(why, ""),
                Verdict::MayNot(said, advice) => {
                    assert!(!why.is_empty() && said.contains(why), "{said}");
                    let advice = advice.unwrap_or_default();
                    assert!(
                        advice.contains(next) && advice.is_empty() == next.is_empty(),
                        "{advice}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_device_without_a_certificate_is_told_whose_opens_it() {
        let who = "devices/pump-7".parse().unwrap();
        let moment = Moment {
            now_ms: NOW,
            renew_after_ms: GRACE,
        };
        let of_type = Device {
            serial_number: "SN-7".into(),
            device_type: "pump".into(),
            ..device(Stage::Registered, Restriction::None)
        };
        let maker = |name: &str, types: &[&str], refused: &[&str], revoked| Manufacturer {
            name: name.into(),
            types: types.iter().map(|one| (*one).into()).collect(),
            refused: refused.iter().map(|one| (*one).into()).collect(),
            revoked,
            added_at_ms: NOW,
            ..Manufacturer::default()
        };
        for (makers, said) in [
            (vec![], "with a claim"),
            (vec![maker("acme", &["valve"], &[], 0)], "with a claim"),
            (
                vec![maker("acme", &["pump"], &[], 0)],
                "acme's factory certificate of SN-7 opens it (trusted since 2027",
            ),
            (vec![maker("acme", &[], &[], 3)], "one of the 3"),
            (vec![maker("acme", &[], &["sn-7"], 0)], "refuse acme SN-7 --lift"),
        ] {
            let mut answers = Answers::of_device(Some(of_type.clone()), vec![]);
            answers.manufacturers = makers;
            match judge(&who, &answers, &Root::default(), moment) {
                Verdict::MayNot(_, next) => assert!(next.as_deref().unwrap().contains(said), "{next:?}"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_person_without_a_certificate_comes_in_by_the_token_that_lasts_longest() {
        let who = "operators/ada".parse().unwrap();
        let moment = Moment {
            now_ms: NOW,
            renew_after_ms: GRACE,
        };
        let token = |id: &str, expires_ms| LoginToken {
            token_id: id.into(),
            expires_ms,
            ..LoginToken::default()
        };
        let tokens = vec![token("a", NOW + 1), token("b", NOW + 2), token("c", NOW - 1)];
        let answers = Answers::of_person(contract::v1::Role::Viewer, tokens);
        match judge(&who, &answers, &Root::default(), moment) {
            Verdict::May(Way::Token(token), _) => assert_eq!(token.token_id, "b"),
            other => panic!("{other:?}"),
        }
        let answers = Answers::of_person(contract::v1::Role::Viewer, vec![token("c", NOW - 1)]);
        match judge(&who, &answers, &Root::default(), moment) {
            Verdict::MayNot(why, _) => assert!(why.contains("the token has ended"), "{why}"),
            other => panic!("{other:?}"),
        }
        let answers = answers.with_password(7);
        match judge(&who, &answers, &Root::default(), moment) {
            Verdict::May(way, _) => assert_eq!(way, Way::Password(7)),
            other => panic!("{other:?}"),
        }
    }
}
