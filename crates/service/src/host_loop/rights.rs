//! Whether an operator may ask what he asks: by the registry's facts, in every service, before it decides.
//!
//! The front door has looked at his role already. It does not know what a request is about, and on another
//! broker it is not there.

use contract::{
    Code, Refusal,
    approval::Touched,
    grant::{Extent, Rights, named},
    id::{Kind, Principal, ServiceName},
    scope::Scope,
    v1::{CertificateFact, CertificateStatus, DeviceFact, LoginFact, PrincipalFact},
    verb::Verb,
};
use prost::Message;

use super::Call;
use crate::{
    keys,
    record::FactRecord,
    service::{Fault, Service},
    sight::Sight,
    store::StoreError,
    view::View,
};

/// What the registry says of something: its own fact, or this service's copy.
pub(super) fn registry_fact<S: Service, M: Message + Default>(
    view: &View<'_>,
    entity: &str,
    id: &str,
) -> Result<Option<M>, StoreError> {
    fact::<S, M>(view, ServiceName::Registry, entity, id)
}

/// What a service says of something, as far as this one knows.
fn fact<S: Service, M: Message + Default>(
    view: &View<'_>,
    owner: ServiceName,
    entity: &str,
    id: &str,
) -> Result<Option<M>, StoreError> {
    if S::NAME != owner {
        return view.fact(owner, entity, id);
    }
    let key = keys::fact(entity, id);
    let own = view
        .raw_record::<FactRecord>(&key)?
        .filter(|record| !record.deleted);
    let decode = |record: FactRecord| {
        M::decode(record.value.as_slice()).map_err(|_| StoreError::Damaged {
            key: crate::store::printable(&key).to_string(),
            reason: "the record does not decode",
        })
    };
    own.map(decode).transpose()
}

/// A person who may do anything at all.
pub(super) fn person<S: Service>(view: &View<'_>, who: &Principal) -> Result<PrincipalFact, Fault> {
    let id = format!("{}.{}", who.kind, who.id);
    let fact = registry_fact::<S, PrincipalFact>(view, "principal", &id)?;
    Ok(fact.filter(|fact| !fact.disabled).ok_or_else(|| {
        let message = "nobody of this name is known here, or the account is disabled";
        Refusal::new(Code::Denied, message)
    })?)
}

/// Refuses an operator who may not; else sets what the request may reach.
pub(super) fn judge<S: Service>(call: &mut Call, devices: &[&str], view: &View<'_>) -> Result<(), Fault> {
    if call.caller.principal.kind != Kind::Operator {
        return Ok(());
    }
    let person = person::<S>(view, &call.caller.principal)?;
    let Extent::Groups(groups) = Rights::from(&person).demand(call.verb)? else {
        return Ok(());
    };
    call.caller.sight = Sight::Groups(groups);
    if call.verb.scope() == Scope::Devices {
        devices_in_sight::<S>(call.verb, &call.caller.sight, devices, view)?;
    }
    Ok(())
}

/// Refuses what was asked with a certificate, a token or a password that was taken back since.
pub(super) fn still_opens<S: Service>(call: &Call, view: &View<'_>) -> Result<(), Fault> {
    let gone = |what: &str| {
        let message = format!("the {what} that this was asked with was taken back since; ask again");
        Err(Refusal::new(Code::Denied, message).into())
    };
    let (who, serial) = (&call.caller.principal, &call.caller.serial);
    if !serial.is_empty() && is_revoked::<S>(serial, view)? {
        return gone("certificate");
    }
    let Some((what, which)) = call.login.split_once(' ') else {
        return Ok(());
    };
    let login = registry_fact::<S, LoginFact>(view, "login", &format!("{}.{}", who.kind, who.id))?;
    let login = login.unwrap_or_default();
    let opens = match what {
        "token" => login.tokens.iter().any(|token| token.token_id == which),
        _ => login.password != 0 && login.password.to_string() == which,
    };
    if opens { Ok(()) } else { gone(what) }
}

/// Provisioning says so to the registry, and the registry to the others.
fn is_revoked<S: Service>(serial: &str, view: &View<'_>) -> Result<bool, StoreError> {
    use ServiceName::{Provisioning, Registry};
    for (owner, entity) in [(Provisioning, "certificate"), (Registry, "revoked")] {
        let known = fact::<S, CertificateFact>(view, owner, entity, serial)?;
        if known.is_some_and(|known| known.status() == CertificateStatus::Revoked) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What a verb reaches now in the hands of an operator who asked for something earlier; `None`: nothing any more.
pub fn reach<S: Service>(view: &View<'_>, who: &str, verb: &Verb) -> Result<Option<Sight>, Fault> {
    let Some(rights) = granted::<S>(view, who)? else {
        return Ok(None);
    };
    Ok(match rights.demand(verb) {
        Ok(Extent::Everything) => Some(Sight::Everything),
        Ok(Extent::Groups(groups)) => Some(Sight::Groups(groups)),
        Ok(Extent::Nothing) | Err(_) => None,
    })
}

/// What an operator was granted; `None`: nobody of this name may do anything.
pub fn granted<S: Service>(view: &View<'_>, who: &str) -> Result<Option<Rights>, Fault> {
    let Some(who) = who
        .parse()
        .ok()
        .filter(|who: &Principal| who.kind == Kind::Operator)
    else {
        return Ok(None);
    };
    match person::<S>(view, &who) {
        Ok(person) => Ok(Some(Rights::from(&person))),
        Err(Fault::Refused(_)) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// How many devices these are, and how much they matter.
pub fn touched<S: Service>(view: &View<'_>, devices: &[&str]) -> Result<Touched, StoreError> {
    let mut touched = Touched::default();
    for device in devices {
        let fact = registry_fact::<S, DeviceFact>(view, "device", device)?;
        touched.add(fact.map(|fact| fact.criticality()).unwrap_or_default());
    }
    Ok(touched)
}

fn devices_in_sight<S: Service>(
    verb: &Verb,
    sight: &Sight,
    devices: &[&str],
    view: &View<'_>,
) -> Result<(), Fault> {
    let Sight::Groups(groups) = sight else {
        return Ok(());
    };
    let refused = |what: String| {
        let message = format!(
            "`{}` was granted to you for {} only; {what}",
            verb.name,
            named(groups)
        );
        Err(Refusal::new(Code::Denied, message).at("device_id").into())
    };
    if devices.is_empty() {
        return refused("name a device of them".into());
    }
    for device in devices {
        let fact = registry_fact::<S, DeviceFact>(view, "device", device)?;
        if !fact.is_some_and(|fact| sight.covers(&fact.groups)) {
            return refused(format!("`{device}` is not among them"));
        }
    }
    Ok(())
}
