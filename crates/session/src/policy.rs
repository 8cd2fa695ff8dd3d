//! What a principal may do: decided from the facts at connecting, from the verb table at each publish,
//! by comparing filters at each subscription.

use contract::{
    Code, Refusal, Root, Topic,
    filter::Filter,
    id::{Kind, Principal, ServiceName},
    v1::{CertificateStatus, Restriction, Role, Stage},
    verb::{Verb, Who},
};

use crate::{
    facts::{KnownBatch, KnownCertificate, KnownDevice, KnownPerson},
    peer::Caller,
};

/// What a connected principal may do at present.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// A quarantined device: only the verbs that repair it.
    pub repair_only: bool,
    /// An operator's role.
    pub role: Role,
    /// Whole filters below `events/`.
    pub grants: Vec<Filter>,
}

impl Standing {
    /// Whether an event is granted.
    pub(crate) fn may_see(&self, topic: &str) -> bool {
        self.grants.iter().any(|grant| grant.matches(topic))
    }
}

/// Why somebody may not be connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial(pub String);

fn denied<T>(why: impl Into<String>) -> Result<T, Denial> {
    Err(Denial(why.into()))
}

/// What is known of those who connect: the front door's copy of the facts, or the same from elsewhere.
pub trait Known {
    /// A device.
    fn device(&self, id: &str) -> Option<&KnownDevice>;
    /// An operator or an integrator.
    fn person(&self, who: &Principal) -> Option<&KnownPerson>;
    /// A certificate, by serial.
    fn certificate(&self, serial: &str) -> Option<&KnownCertificate>;
    /// A batch of claims.
    fn batch(&self, id: &str) -> Option<&KnownBatch>;
}

/// The standing of a caller by the facts as they are, or why it may not be here.
pub fn standing(caller: &Caller, facts: &impl Known, root: &Root) -> Result<Standing, Denial> {
    if !caller.serial.is_empty() {
        certificate_counts(caller, facts)?;
    }
    match caller.principal.kind {
        Kind::Device => device_standing(caller, facts),
        Kind::Claim => claim_standing(caller, facts),
        Kind::Operator | Kind::Integrator => person_standing(caller, facts, root),
        Kind::Service => denied("services have a listener of their own"),
    }
}

/// The certificate must be known and still count, and be this principal's.
fn certificate_counts(caller: &Caller, facts: &impl Known) -> Result<(), Denial> {
    let Some(known) = facts.certificate(&caller.serial) else {
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
fn claim_standing(caller: &Caller, facts: &impl Known) -> Result<Standing, Denial> {
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

fn device_standing(caller: &Caller, facts: &impl Known) -> Result<Standing, Denial> {
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
            repair_only: true,
            ..Standing::default()
        }),
        _ => Ok(Standing::default()),
    }
}

fn person_standing(caller: &Caller, facts: &impl Known, root: &Root) -> Result<Standing, Denial> {
    let Some(person) = facts.person(&caller.principal).filter(|person| !person.disabled) else {
        return denied("nobody of this name is known here, or the account is disabled");
    };
    let everything = [String::from("#")];
    let filters = match caller.principal.kind {
        Kind::Operator => &everything[..],
        _ => &person.event_filters[..],
    };
    let grants = filters
        .iter()
        .filter_map(|filter| root.event_grant(filter))
        .collect();
    Ok(Standing {
        repair_only: false,
        role: person.role,
        grants,
    })
}

/// Whether a principal may publish on a topic: what it asks for, or the final refusal.
pub(crate) fn publish(
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
    if caller.kind == Kind::Operator && verb.least_role().is_some_and(|least| standing.role < least) {
        let least = verb
            .least_role()
            .map(|role| role.as_str_name())
            .unwrap_or_default();
        return Err(Refusal::new(
            Code::Denied,
            format!("`{}` needs the role {least}", verb.name),
        ));
    }
    if standing.repair_only && !verb.repair {
        let message = "this device is quarantined; an operator must release it";
        return Err(Refusal::new(Code::Denied, message));
    }
    Ok(())
}

/// Whether a service may ask another.
pub(crate) fn service_may(service: ServiceName, verb: &Verb) -> bool {
    verb.who
        .iter()
        .any(|who| matches!(who, Who::AnyService) || *who == Who::Service(service))
}

/// Whether a principal may subscribe: the filter lies under its own `down/` or within a grant.
pub(crate) fn subscribe(root: &Root, caller: &Principal, standing: &Standing, filter: &Filter) -> bool {
    root.own_down_covers(caller, filter) || standing.grants.iter().any(|grant| grant.covers(filter))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_quarantined_device_may_only_be_repaired() {
        let repair = Standing {
            repair_only: true,
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
