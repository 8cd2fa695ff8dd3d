//! The default policy: decided from the facts at connecting, from the verb table at each publish, by comparing
//! filters at each subscription.

use contract::{
    Code, Refusal, Root, Topic,
    filter::Filter,
    id::{Kind, Principal, ServiceName},
    v1::{CertificateStatus, Restriction, Role, Stage},
    verb::Verb,
};

use super::{Denial, Known, Moment, Offer, Policy, Reach, Standing, end_ms};
use crate::{
    facts::KnownPerson,
    login::KnownLogin,
    peer::{Caller, Credential},
};

/// All that is left to a device whose certificate has ended.
const RENEWAL: [(ServiceName, &str); 2] = [
    (ServiceName::Provisioning, "renew"),
    (ServiceName::Provisioning, "authorities"),
];

/// The policy that Muster is run with: devices by the stage of their life, people by their role and grants.
#[derive(Debug, Clone)]
pub struct DeviceManagement {
    root: Root,
    renew_after_ms: u64,
}

impl DeviceManagement {
    /// The policy for topics below this root. A device's certificate still renews so many milliseconds after its
    /// end.
    pub fn new(root: Root, renew_after_ms: u64) -> DeviceManagement {
        DeviceManagement { root, renew_after_ms }
    }
}

impl Policy for DeviceManagement {
    fn connect(&self, caller: &Caller, facts: &dyn Known, now_ms: i64) -> Result<Standing, Denial> {
        let moment = Moment {
            now_ms,
            renew_after_ms: self.renew_after_ms,
        };
        standing(caller, facts, &self.root, moment)
    }

    fn publish(&self, caller: &Caller, standing: &Standing, topic: &str) -> Result<&'static Verb, Refusal> {
        publish(&self.root, &caller.principal, standing, topic)
    }

    fn subscribe(&self, caller: &Caller, standing: &Standing, filter: &Filter) -> bool {
        subscribe(&self.root, &caller.principal, standing, filter)
    }

    fn deliver(&self, _: &Caller, standing: &Standing, offer: Offer<'_>) -> bool {
        match offer {
            Offer::Own { from, .. } => hears(standing, from),
            Offer::Event { topic } | Offer::Data { topic } => standing.may_see(topic),
        }
    }
}

fn denied<T>(why: impl Into<String>) -> Result<T, Denial> {
    Err(Denial(why.into()))
}

/// The standing of a caller by the facts as they are, or why it may not be here.
pub fn standing(caller: &Caller, facts: &dyn Known, root: &Root, moment: Moment) -> Result<Standing, Denial> {
    match &caller.credential {
        Credential::Certificate { serial, .. } => certificate_counts(caller, serial, facts)?,
        Credential::Token { id, .. } => token_counts(caller, id, facts)?,
        Credential::Password { password } => password_counts(caller, *password, facts)?,
        Credential::Nothing => {}
    }
    let has_ended = caller.not_after_ms().is_some_and(|end| moment.now_ms > end);
    if has_ended {
        may_still_renew(caller, facts, moment)?;
    }
    match caller.principal.kind {
        Kind::Device if has_ended => device_standing(caller, facts).map(|standing| Standing {
            reach: Reach::Renewal,
            ..standing
        }),
        Kind::Device => device_standing(caller, facts),
        Kind::Claim => claim_standing(caller, facts),
        Kind::Operator | Kind::Integrator => person_standing(caller, facts, root),
        Kind::Service => denied("services have a listener of their own"),
    }
}

/// A device's certificate that was in use when it ended asks for the next one, for a while. Provisioning looks
/// again, and at more.
fn may_still_renew(caller: &Caller, facts: &dyn Known, moment: Moment) -> Result<(), Denial> {
    let renewal = Standing {
        reach: Reach::Renewal,
        ..Standing::default()
    };
    let until = end_ms(caller, &renewal, moment.renew_after_ms).unwrap_or(i64::MAX);
    if caller.principal.kind != Kind::Device || moment.renew_after_ms == 0 {
        return denied(caller.has_ended());
    }
    if moment.now_ms > until {
        return denied("this certificate ended too long ago to be renewed");
    }
    match facts.certificate(caller.serial()).map(|known| known.status) {
        Some(CertificateStatus::Active) => Ok(()),
        _ => denied("this certificate ended before it was ever used"),
    }
}

/// The token must be one of this person's that was not taken back.
fn token_counts(caller: &Caller, token: &str, facts: &dyn Known) -> Result<(), Denial> {
    match login(caller, facts).is_some_and(|login| login.tokens.iter().any(|known| known.id == token)) {
        true => Ok(()),
        false => denied("this token was taken back, or has ended"),
    }
}

/// The password must be the one that this person has now.
fn password_counts(caller: &Caller, password: u64, facts: &dyn Known) -> Result<(), Denial> {
    match login(caller, facts).is_some_and(|login| password != 0 && login.password == password) {
        true => Ok(()),
        false => denied("the password was changed"),
    }
}

/// What somebody logs in with, if they are one of those who may.
fn login<'a>(caller: &Caller, facts: &'a dyn Known) -> Option<&'a KnownLogin> {
    let is_person = matches!(caller.principal.kind, Kind::Operator | Kind::Integrator);
    facts.login(&caller.principal).filter(|_| is_person)
}

/// The certificate must be known and still count, and be this principal's.
fn certificate_counts(caller: &Caller, serial: &str, facts: &dyn Known) -> Result<(), Denial> {
    let Some(known) = facts.certificate(serial) else {
        return denied("this certificate is not known here; it was not issued by this installation's state");
    };
    let owner = caller.batch.as_ref().unwrap_or(&caller.principal.id);
    if known.id != owner.as_str() || known.kind != caller.principal.kind.word() {
        return denied("this certificate was issued for somebody else");
    }
    match known.status {
        CertificateStatus::Issued | CertificateStatus::Active => Ok(()),
        CertificateStatus::Revoked => denied("this certificate is revoked"),
        CertificateStatus::Retired => denied("this certificate was replaced by a newer one"),
        _ => denied("this certificate is not issued yet"),
    }
}

/// A batch opens some ids only. One sentence for all that a stranger must not learn. Provisioning looks again,
/// and at more, when a certificate is asked for; a batch that it has not told of is looked at there alone.
fn claim_standing(caller: &Caller, facts: &dyn Known) -> Result<Standing, Denial> {
    let batch = caller
        .batch
        .as_ref()
        .and_then(|batch| facts.batch(batch.as_str()));
    let hoped = caller.principal.id.as_str();
    match batch {
        Some(batch) if batch.revoked || !hoped.starts_with(&batch.id_prefix) => {
            denied("this claim does not open this device")
        }
        _ => Ok(Standing::default()),
    }
}

fn device_standing(caller: &Caller, facts: &dyn Known) -> Result<Standing, Denial> {
    let Some(device) = facts.device(caller.principal.id.as_str()) else {
        return denied("there is no such device; register it first");
    };
    match device.stage {
        Stage::Retired => return denied("this device is retired"),
        Stage::Planned => return denied("this device is planned only; move it to registered first"),
        _ => {}
    }
    match device.restriction {
        Restriction::Suspended => denied("this device is suspended"),
        Restriction::Quarantined => Ok(Standing {
            reach: Reach::Repair,
            ..Standing::default()
        }),
        _ => Ok(Standing::default()),
    }
}

fn person_standing(caller: &Caller, facts: &dyn Known, root: &Root) -> Result<Standing, Denial> {
    let Some(person) = facts.person(&caller.principal).filter(|person| !person.disabled) else {
        return denied("nobody of this name is known here, or the account is disabled");
    };
    Ok(Standing {
        reach: Reach::Everything,
        role: person.role,
        grants: grants(caller.principal.kind, person, root),
    })
}

/// The whole filters that somebody may subscribe to, beside their own `down/`: an operator's are all.
pub fn grants(kind: Kind, person: &KnownPerson, root: &Root) -> Vec<Filter> {
    let (every_event, every_device) = ([String::from("#")], [String::from("+")]);
    let (events, devices) = match kind {
        Kind::Operator => (&every_event[..], &every_device[..]),
        _ => (&person.event_filters[..], &person.data_devices[..]),
    };
    let events = events.iter().filter_map(|filter| root.event_grant(filter));
    let data = devices.iter().filter_map(|device| root.data_grant(device));
    events.chain(data).collect()
}

/// Whether a principal may publish on a topic: what it asks for, or the final refusal.
fn publish(
    root: &Root,
    caller: &Principal,
    standing: &Standing,
    topic: &str,
) -> Result<&'static Verb, Refusal> {
    let Some(Topic::Up { who, verb }) = root.parse_topic(topic) else {
        let shape = format!(
            "you may publish on {root}/{caller}/up/{{service}}/{{verb}} only; docs/topics.md lists the verbs"
        );
        return Err(Refusal::new(Code::UnknownVerb, shape).at("topic"));
    };
    if who != *caller {
        let message = format!("this topic is {who}'s; yours begin with {root}/{caller}/up/");
        return Err(Refusal::new(Code::Denied, message).at("topic"));
    }
    may_use(caller, standing, verb)?;
    Ok(verb)
}

fn may_use(caller: &Principal, standing: &Standing, verb: &Verb) -> Result<(), Refusal> {
    if !verb.open_to(caller.kind) {
        return Err(Refusal::new(
            Code::Denied,
            format!("`{}` is not for {}", verb.name, caller.kind),
        ));
    }
    if caller.kind == Kind::Operator && !verb.allows(standing.role) {
        let (needed, has) = (Role::any_of(verb.roles()), standing.role.words());
        let message = format!("`{}` needs the role {needed}; yours is {has}", verb.name);
        return Err(Refusal::new(Code::Denied, message));
    }
    let refused = |message: &str| Err(Refusal::new(Code::Denied, message));
    match standing.reach {
        Reach::Repair if !verb.repair => refused("this device is quarantined; an operator must release it"),
        Reach::Renewal if !RENEWAL.contains(&(verb.service, verb.name)) => refused(
            "this certificate has ended; all that it may do is ask for the next one: provisioning/renew",
        ),
        _ => Ok(()),
    }
}

/// Whether what a service says to a principal is for a session with this standing.
fn hears(standing: &Standing, from: ServiceName) -> bool {
    standing.reach != Reach::Renewal || RENEWAL.iter().any(|(service, _)| *service == from)
}

/// Whether a principal may subscribe: the filter lies under its own `down/` or within a grant.
fn subscribe(root: &Root, caller: &Principal, standing: &Standing, filter: &Filter) -> bool {
    root.own_down_covers(caller, filter) || standing.grants.iter().any(|grant| grant.covers(filter))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{KnownBatch, KnownCertificate, KnownDevice};

    fn standing(role: Role) -> Standing {
        Standing {
            role,
            ..Standing::default()
        }
    }

    fn code(caller: &str, standing: &Standing, topic: &str) -> Result<&'static str, Code> {
        let caller: Principal = caller.parse().unwrap();
        publish(&Root::default(), &caller, standing, topic)
            .map(|v| v.name)
            .map_err(|r| r.code)
    }

    #[test]
    fn a_principal_publishes_under_its_own_up_only() {
        let none = Standing::default();
        let up = |who: &str, rest: &str| format!("muster/v1/{who}/up/{rest}");
        for (topic, expected) in [
            (up("devices/a", "registry/report"), Ok("report")),
            (up("devices/b", "registry/report"), Err(Code::Denied)),
            (up("devices/a", "registry/register"), Err(Code::Denied)),
            (up("devices/a", "registry/nonsense"), Err(Code::UnknownVerb)),
            (up("operators/a", "registry/show"), Err(Code::Denied)),
            (
                "muster/v1/devices/a/down/registry/report".into(),
                Err(Code::UnknownVerb),
            ),
            (
                "muster/v1/events/registry/devices/a/registered".into(),
                Err(Code::UnknownVerb),
            ),
            ("é/x".into(), Err(Code::UnknownVerb)),
            ("$SYS/x".into(), Err(Code::UnknownVerb)),
        ] {
            assert_eq!(code("devices/a", &none, &topic), expected, "{topic}");
        }
    }

    #[test]
    fn a_role_opens_what_it_is_enough_for() {
        let topic = "muster/v1/operators/ada/up/provisioning/revoke";
        assert_eq!(
            code("operators/ada", &standing(Role::Operator), topic),
            Err(Code::Denied)
        );
        assert_eq!(code("operators/ada", &standing(Role::Admin), topic), Ok("revoke"));
    }

    #[test]
    fn every_verb_is_open_to_the_roles_that_its_row_names_and_to_no_other() {
        for verb in contract::verb::VERBS {
            let topic = format!("muster/v1/operators/ada/up/{}/{}", verb.service, verb.name);
            for role in Role::ALL {
                let found = publish(
                    &Root::default(),
                    &"operators/ada".parse().unwrap(),
                    &standing(role),
                    &topic,
                );
                assert_eq!(found.is_ok(), verb.allows(role), "{topic} {role:?}");
                let Err(refusal) = found else { continue };
                assert_eq!(refusal.code, Code::Denied);
                assert!(!refusal.message.contains("ROLE_"), "{}", refusal.message);
                for needed in verb.roles() {
                    assert!(refusal.message.contains(needed.words()), "{}", refusal.message);
                }
            }
        }
    }

    #[test]
    fn a_quarantined_device_may_only_be_repaired() {
        let repair = Standing {
            reach: Reach::Repair,
            ..Standing::default()
        };
        assert_eq!(
            code("devices/a", &repair, "muster/v1/devices/a/up/rollout/assignment"),
            Ok("assignment")
        );
        for verb in contract::verb::VERBS.iter().filter(|v| v.open_to(Kind::Device)) {
            let topic = format!("muster/v1/devices/a/up/{}/{}", verb.service, verb.name);
            assert_eq!(code("devices/a", &repair, &topic).is_ok(), verb.repair, "{topic}");
        }
    }

    /// What is known of whoever comes.
    struct Facts(KnownCertificate, KnownDevice);

    impl Known for Facts {
        fn device(&self, _: &str) -> Option<&KnownDevice> {
            Some(&self.1)
        }
        fn person(&self, _: &Principal) -> Option<&KnownPerson> {
            const ADMIN: &KnownPerson = &KnownPerson {
                role: Role::Admin,
                event_filters: Vec::new(),
                data_devices: Vec::new(),
                disabled: false,
            };
            Some(ADMIN)
        }
        fn certificate(&self, _: &str) -> Option<&KnownCertificate> {
            Some(&self.0)
        }
        fn batch(&self, _: &str) -> Option<&KnownBatch> {
            None
        }
    }

    const END: i64 = 1_000_000;
    const GRACE: u64 = 500;

    fn at(
        now_ms: i64,
        who: &str,
        status: CertificateStatus,
        restriction: Restriction,
    ) -> Result<Reach, String> {
        let device = KnownDevice {
            stage: Stage::Active,
            restriction,
        };
        let principal: Principal = who.parse().unwrap();
        let certificate = KnownCertificate {
            kind: principal.kind.word().into(),
            id: principal.id.to_string(),
            status,
            revocation: String::new(),
        };
        let caller = Caller {
            batch: (principal.kind == Kind::Claim).then(|| principal.id.clone()),
            principal,
            credential: Credential::Certificate {
                serial: "01".into(),
                not_after_ms: END,
            },
        };
        let facts = Facts(certificate, device);
        let moment = Moment {
            now_ms,
            renew_after_ms: GRACE,
        };
        let standing = super::standing(&caller, &facts, &Root::default(), moment);
        standing.map(|standing| standing.reach).map_err(|denial| denial.0)
    }

    #[test]
    fn of_the_certificates_that_ended_only_a_devices_that_was_in_use_renews_and_only_for_a_while() {
        use CertificateStatus::{Active, Issued, Retired, Revoked};
        let last = END + GRACE as i64;
        let (none, device) = (Restriction::None, "devices/a");
        for (now, who, status, restriction, expected) in [
            (END, device, Active, none, Ok(Reach::Everything)),
            (END + 1, device, Active, none, Ok(Reach::Renewal)),
            (last, device, Active, none, Ok(Reach::Renewal)),
            (last + 1, device, Active, none, Err("too long ago")),
            (
                END + 1,
                device,
                Active,
                Restriction::Quarantined,
                Ok(Reach::Renewal),
            ),
            (END + 1, device, Active, Restriction::Suspended, Err("suspended")),
            (END + 1, device, Issued, none, Err("ever used")),
            (END + 1, device, Retired, none, Err("replaced")),
            (END + 1, device, Revoked, none, Err("revoked")),
            (END, "operators/ada", Active, none, Ok(Reach::Everything)),
            (END + 1, "operators/ada", Active, none, Err("has expired")),
            (END + 1, "integrators/erp", Active, none, Err("has expired")),
            (END, "claims/lot", Active, none, Ok(Reach::Everything)),
            (END + 1, "claims/lot", Active, none, Err("has expired")),
        ] {
            let found = at(now, who, status, restriction);
            match (&found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(*found, expected, "{who} {now} {status:?}"),
                (Err(why), Err(part)) => assert!(why.contains(part), "{who} {now} {status:?}: {why}"),
                _ => panic!("{who} {now} {status:?} {restriction:?}: {found:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn over_a_certificate_that_ended_two_verbs_are_open_and_one_service_is_heard() {
        let renewal = Standing {
            reach: Reach::Renewal,
            ..Standing::default()
        };
        for verb in contract::verb::VERBS.iter().filter(|v| v.open_to(Kind::Device)) {
            let topic = format!("muster/v1/devices/a/up/{}/{}", verb.service, verb.name);
            let open =
                verb.service == ServiceName::Provisioning && ["renew", "authorities"].contains(&verb.name);
            assert_eq!(code("devices/a", &renewal, &topic).is_ok(), open, "{topic}");
        }
        for service in ServiceName::KEEPERS {
            assert_eq!(hears(&renewal, service), service == ServiceName::Provisioning);
            assert!(hears(&Standing::default(), service));
        }
    }

    #[test]
    fn subscriptions_lie_within_ones_own_tree_or_a_grant() {
        let root = Root::default();
        let device: Principal = "devices/a".parse().unwrap();
        let integrator: Principal = "integrators/erp".parse().unwrap();
        let granted = Standing {
            grants: vec![root.event_grant("registry/#").unwrap()],
            ..Standing::default()
        };
        for (who, filter, expected) in [
            (&device, "muster/v1/devices/a/down/#", true),
            (&device, "muster/v1/devices/+/down/#", false),
            (&device, "#", false),
            (&integrator, "muster/v1/events/registry/devices/+/moved", true),
            (&integrator, "muster/v1/events/#", false),
            (&integrator, "muster/v1/events/provisioning/#", false),
        ] {
            let filter: Filter = filter.parse().unwrap();
            assert_eq!(
                subscribe(&root, who, &granted, &filter),
                expected,
                "{who} {filter}"
            );
        }
    }
}
