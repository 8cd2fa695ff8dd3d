//! How far a mass renewal reaches: for whoever has groups only, and for the rules of what another person must approve.

use std::collections::BTreeSet;

use contract::{
    Code, Refusal, ServiceName,
    approval::Touched,
    id::Kind,
    v1::{AbortRenewal, DeviceFact, MassRenewal, RenewMany, RenewingDevice},
};
use service::{Caller, Fault, Sight, View};

use super::{choosing, conditions};
use crate::{
    decide::touched::{for_each, touched_devices},
    policy,
    state::{self, Record},
};

/// Rows that are read at once.
const PAGE: usize = 500;

/// The groups to whose devices it is held.
pub(super) fn within(sight: &Sight) -> Vec<String> {
    match sight {
        Sight::Everything => Vec::new(),
        Sight::Groups(groups) => groups.iter().cloned().collect(),
    }
}

/// Whoever may do it for some groups only names no device of others.
pub(super) fn demand_named_in_sight(view: &View<'_>, sight: &Sight, ids: &[String]) -> Result<(), Fault> {
    for id in ids {
        if !sight.device(view, id)? {
            let message =
                format!("`renew-many` was granted to you for some groups only; `{id}` is not in them");
            return Err(Refusal::new(Code::Denied, message).at("device_ids").into());
        }
    }
    Ok(())
}

/// Whoever sees some groups only sees what reaches no further, and what is their own.
pub(crate) fn in_sight(caller: &Caller, renewal: &MassRenewal) -> bool {
    let is_own = || renewal.begun_by == caller.principal.to_string();
    let has_group = || !renewal.group.is_empty() && caller.sight.has_group(&renewal.group);
    let has_all = || {
        let mut groups = renewal.within.iter();
        !renewal.within.is_empty() && groups.all(|group| caller.sight.has_group(group))
    };
    caller.sight == Sight::Everything || is_own() || has_group() || has_all()
}

/// The devices that it would be for, or a few more: those that fit what is known of devices and certificates, whether
/// these can still be used or not.
pub(crate) fn touched(view: &View<'_>, m: &RenewMany) -> Result<Touched, Fault> {
    let wanted = conditions(m);
    if !m.device_ids.is_empty() {
        return touched_devices(view, m.device_ids.iter().map(String::as_str));
    }
    if [&wanted.issuer, &wanted.batch, &wanted.key_kind]
        .iter()
        .all(|text| text.is_empty())
    {
        return by_facts(view, &wanted);
    }
    let mut devices = BTreeSet::new();
    for_each(view, state::CERTIFICATES, |record: Record| {
        let certificate = record.certificate();
        let is_devices = certificate.kind == Kind::Device.word() && record.is_live();
        if is_devices && choosing::fits(view, &wanted, &record)? {
            devices.insert(certificate.id);
        }
        Ok(())
    })?;
    touched_devices(view, devices.iter().map(String::as_str))
}

fn by_facts(view: &View<'_>, wanted: &MassRenewal) -> Result<Touched, Fault> {
    let mut touched = Touched::default();
    let mut after: Option<String> = None;
    loop {
        let facts = view.facts::<DeviceFact>(ServiceName::Registry, "device", after.as_deref(), PAGE)?;
        after = facts.last().map(|(id, _)| id.clone());
        let fitting = facts
            .iter()
            .filter(|(_, fact)| choosing::fits_device(wanted, fact));
        fitting.for_each(|(_, fact)| touched.add(fact.criticality()));
        if facts.len() < PAGE {
            return Ok(touched);
        }
    }
}

/// The devices of one that is to be aborted.
pub(crate) fn touched_by_abort(view: &View<'_>, m: &AbortRenewal) -> Result<Touched, Fault> {
    let mut devices = Vec::new();
    let Ok(name) = policy::id("renewal_id", &m.renewal_id) else {
        return Ok(Touched::default());
    };
    for_each(
        view,
        &state::renewing_of(name.as_str()),
        |device: RenewingDevice| {
            devices.push(device.device_id);
            Ok(())
        },
    )?;
    touched_devices(view, devices.iter().map(String::as_str))
}
