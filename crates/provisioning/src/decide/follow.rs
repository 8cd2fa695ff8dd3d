//! What the registry says: a device that is retired and a person that is disabled leave no key behind.

use contract::{
    Kind, ServiceName,
    v1::{DeviceFact, PrincipalFact, Stage},
};
use prost::Message;
use service::{FactChange, Fault, Outcome};

use super::{Situation, revoke};

const CEASED: &str = "cessationOfOperation";
const WITHDRAWN: &str = "privilegeWithdrawn";

pub(super) fn decide(s: &mut Situation<'_>, fact: FactChange<'_>) -> Result<Outcome, Fault> {
    if fact.owner != ServiceName::Registry {
        return Ok(Outcome::default());
    }
    let (party, reason) = match fact.entity {
        "device" => (Some((Kind::Device, fact.id)), end_of_device(fact.value)),
        "principal" => (party(fact.id), end_of_person(fact.value)),
        _ => return Ok(Outcome::default()),
    };
    match (party, reason) {
        (Some((kind, id)), Some(reason)) => revoke::of_party(s, kind, id, reason),
        _ => Ok(Outcome::default()),
    }
}

/// Why a device's certificates end, if they do: the registry says that it is retired. A fact that cannot be
/// read, or is gone, ends nothing, for it cannot be taken back: a registry that was restored from an old
/// backup knows less, and its fleet lives on.
fn end_of_device(value: Option<&[u8]>) -> Option<&'static str> {
    let device = DeviceFact::decode(value?).ok()?;
    (device.stage() == Stage::Retired).then_some(CEASED)
}

/// The same for a person. One that is enabled again gets a new certificate, for a new key.
fn end_of_person(value: Option<&[u8]>) -> Option<&'static str> {
    PrincipalFact::decode(value?).ok()?.disabled.then_some(WITHDRAWN)
}

/// Whom `operators.ada` names.
fn party(id: &str) -> Option<(Kind, &str)> {
    let (kind, id) = id.split_once('.')?;
    let kind = Kind::from_word(kind).filter(|kind| matches!(kind, Kind::Operator | Kind::Integrator))?;
    Some((kind, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_said_ends_a_certificate() {
        let device = |stage: Stage| {
            DeviceFact {
                stage: stage as i32,
                ..DeviceFact::default()
            }
            .encode_to_vec()
        };
        let person = |disabled| {
            PrincipalFact {
                disabled,
                ..PrincipalFact::default()
            }
            .encode_to_vec()
        };
        assert_eq!(end_of_device(Some(&device(Stage::Retired))), Some(CEASED));
        assert_eq!(end_of_device(Some(&device(Stage::Retiring))), None);
        assert_eq!(end_of_device(Some(&[0xff])), None);
        assert_eq!(end_of_device(None), None);
        assert_eq!(end_of_person(Some(&person(true))), Some(WITHDRAWN));
        assert_eq!(end_of_person(Some(&person(false))), None);
        assert_eq!(end_of_person(Some(&[0xff])), None);
    }

    #[test]
    fn ids_may_hold_dots() {
        assert_eq!(
            party("integrators.erp.main"),
            Some((Kind::Integrator, "erp.main"))
        );
        assert_eq!(party("services.rollout"), None);
        assert_eq!(party("ada"), None);
    }
}
