//! The default policy: decided from the facts at connecting, from the verb table at each publish, by comparing
//! filters at each subscription.

use contract::{
    Code, Refusal, Root, Topic,
    filter::Filter,
    grant::{Extent, Rights},
    id::{Kind, Principal, ServiceName},
    v1::{CertificateStatus, FactoryCertificate, Restriction, Stage},
    verb::Verb,
};

use super::{Denial, Known, Moment, Offer, Policy, Reach, Standing, end_ms};
use crate::{
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
            Offer::Event { topic, groups } | Offer::Data { topic, groups } => standing.may_see(topic, groups),
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
        Credential::Factory { certificate, .. } => factory_counts(caller, certificate, facts)?,
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

/// The manufacturer must be one whose certificates still let devices in, and this device's not refused. Provisioning
/// looks again, and whether it is the registered device's.
fn factory_counts(caller: &Caller, shown: &FactoryCertificate, facts: &dyn Known) -> Result<(), Denial> {
    let Some(manufacturer) = facts.manufacturer(&shown.manufacturer) else {
        return denied("this manufacturer's certificates open nothing here");
    };
    match manufacturer.0.device_in(shown) {
        _ if caller.principal.kind != Kind::Claim => denied("a factory certificate is nobody's name"),
        None => denied("this factory certificate does not name its device"),
        Some(name) if manufacturer.0.refuses(name) => denied("this factory certificate is refused"),
        // It may be in the new one: the next handshake looks.
        Some(_) if manufacturer.0.crl_version != shown.crl_version => {
            denied("this manufacturer's revocation list has changed; connect again")
        }
        Some(_) => Ok(()),
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
        Some(batch) if batch.revoked || !batch.ids.fits(hoped) => {
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
    if caller.principal.kind == Kind::Operator {
        return Ok(operator_standing(Rights::of(person.role, &person.grants), root));
    }
    let events = person
        .event_filters
        .iter()
        .filter_map(|filter| root.event_grant(filter));
    let devices = person.data_devices.iter();
    Ok(Standing {
        grants: events
            .chain(devices.filter_map(|device| root.data_grant(device)))
            .collect(),
        ..Standing::default()
    })
}

/// An operator sees the events of those devices whose events he could have replayed.
fn operator_standing(rights: Rights, root: &Root) -> Standing {
    let (mut grants, mut within, mut sees_all) = (Vec::new(), Vec::new(), true);
    for service in ServiceName::KEEPERS {
        let extent = rights.events_of(service);
        sees_all &= extent != Extent::Nothing;
        let Some(filter) = root.event_grant(&format!("{service}/#")) else {
            continue;
        };
        match extent {
            Extent::Nothing => {}
            Extent::Everything => grants.push(filter),
            Extent::Groups(groups) => {
                grants.push(filter.clone());
                within.push((filter, groups));
            }
        }
    }
    // One filter over all of them, so that it may be subscribed to.
    if let Some(all) = root.event_grant("#").filter(|_| sees_all) {
        grants = vec![all];
    }
    // Whoever sees a device's life sees what it says.
    if let Some(data) = root.data_grant("+") {
        match rights.events_of(ServiceName::Registry) {
            Extent::Nothing => {}
            Extent::Everything => grants.push(data),
            Extent::Groups(groups) => {
                grants.push(data.clone());
                within.push((data, groups));
            }
        }
    }
    Standing {
        rights,
        grants,
        within,
        ..Standing::default()
    }
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
    if caller.kind == Kind::Operator {
        standing.rights.demand(verb)?;
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
    use contract::v1::Role;

    use super::*;
    use crate::facts::{KnownBatch, KnownCertificate, KnownDevice, KnownPerson};

    fn standing(role: Role) -> Standing {
        Standing {
            rights: role.into(),
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
    fn whoever_has_groups_sees_the_events_of_their_devices_alone() {
        let grant = contract::v1::Grant {
            role: Role::Viewer.into(),
            groups: vec!["berlin".into()],
            ..Default::default()
        };
        let root = Root::default();
        let scoped = operator_standing(Rights::of(Role::Unspecified, &[grant]), &root);
        let everything = operator_standing(Role::Viewer.into(), &root);
        let topic = root.event(ServiceName::Registry, "devices/pump-7", "moved");
        let groups = |names: &[&str]| -> Vec<String> { names.iter().map(|n| (*n).to_owned()).collect() };
        for (held, expected) in [
            (groups(&["berlin"]), true),
            (groups(&["rome"]), false),
            (vec![], false),
        ] {
            assert_eq!(scoped.may_see(&topic, &held), expected, "{held:?}");
            assert!(everything.may_see(&topic, &held));
        }
        let all: Filter = "muster/v1/events/#".parse().unwrap();
        let ada: Principal = "operators/ada".parse().unwrap();
        assert!(
            subscribe(&root, &ada, &scoped, &all),
            "what passes is looked at one by one"
        );
        let one_service = contract::v1::Grant {
            role: Role::Viewer.into(),
            verbs: vec!["registry/*".into()],
            ..Default::default()
        };
        let narrow = operator_standing(Rights::of(Role::Unspecified, &[one_service]), &root);
        assert!(!subscribe(&root, &ada, &narrow, &all));
        assert!(subscribe(
            &root,
            &ada,
            &narrow,
            &"muster/v1/events/registry/#".parse().unwrap()
        ));
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
                grants: Vec::new(),
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
            groups: Vec::new(),
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
