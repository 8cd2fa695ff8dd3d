//! `transfer`, `cancel-transfer`, and the deadline.

use contract::{
    Code, Refusal,
    id::Principal,
    id::ServiceName,
    v1::{CancelTransfer, Device, OfferTransfer, Stage, Transfer, TransferState},
};
use service::{Fault, Outcome, Sight};

use super::{end, event, open, wake_key};
use crate::{
    decide::{Situation, changed},
    lifecycle, policy, state,
};

pub(crate) fn offer(s: &Situation<'_>, sight: &Sight, m: OfferTransfer) -> Result<Outcome, Fault> {
    let device = state::device(s.view, "device_id", &m.device_id)?;
    policy::version("device", m.expected_version, device.version)?;
    let transfer = Transfer {
        device_id: device.device_id.clone(),
        state: TransferState::Offered.into(),
        from: device.owner.clone(),
        groups: groups(s, sight, &device, &m.groups)?,
        sha256: contract::login::sha256("sha256", &m.sha256)?,
        offered_by: s.actor.clone(),
        offered_at_ms: s.now_ms,
        expires_ms: m.expires_ms,
        to: m.to,
        note: m.note,
        ..Transfer::default()
    };
    may(s, &device, &transfer)?;
    let mut outcome = Outcome::default();
    if let Some(mut former) = open(s.view, &device.device_id)? {
        let why = (s.actor.as_str(), s.now_ms, "another offer took its place");
        end(&mut outcome, &mut former, TransferState::Cancelled, why);
    }
    outcome.put(state::transfer_key(&device.device_id), &transfer);
    outcome.wake_at(wake_key(&device.device_id), transfer.expires_ms);
    event::told(&mut outcome, "offered", &transfer);
    outcome.answer(changed(&device.device_id, device.version));
    Ok(outcome)
}

fn may(s: &Situation<'_>, device: &Device, transfer: &Transfer) -> Result<(), Refusal> {
    if matches!(device.stage(), Stage::Retiring | Stage::Retired) {
        return Err(lifecycle::refusal(device, "it has no next owner"));
    }
    policy::text("to", &transfer.to)?;
    policy::text("note", &transfer.note)?;
    policy::transfer_lifetime(transfer.expires_ms, s.now_ms)?;
    if transfer.to.is_empty() {
        return Err(Refusal::invalid("to", "say who is to own it"));
    }
    if transfer.to == transfer.from {
        let message = format!("`{}` owns it already", transfer.to);
        return Err(Refusal::new(Code::NotAllowed, message).at("to"));
    }
    Ok(())
}

/// The groups of the next owner, which are there and whose members are chosen. The device would leave the others: those
/// must be the caller's to give.
fn groups(s: &Situation<'_>, sight: &Sight, device: &Device, names: &[String]) -> Result<Vec<String>, Fault> {
    let names = policy::groups(names)?;
    if names.is_empty() {
        return Ok(Vec::new());
    }
    for name in &names {
        let group = state::group(s.view, "groups", name.as_str())?;
        if group.settling || !group.query.is_empty() {
            let message = format!("the members of `{name}` follow from its query");
            return Err(Refusal::new(Code::NotAllowed, message).at("groups").into());
        }
    }
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    for held in device.groups.iter().filter(|held| !names.contains(held)) {
        if !sight.has_group(held) && state::group(s.view, "groups", held)?.query.is_empty() {
            let message = format!("it would leave `{held}`, and your grants are for other groups");
            return Err(Refusal::new(Code::Denied, message).at("groups").into());
        }
    }
    Ok(names)
}

pub(crate) fn cancel(s: &Situation<'_>, m: &CancelTransfer) -> Result<Outcome, Fault> {
    policy::text("reason", &m.reason)?;
    let device = state::device(s.view, "device_id", &m.device_id)?;
    let Some(mut transfer) = open(s.view, &device.device_id)? else {
        let message = format!("nobody has offered `{}` to another owner", device.device_id);
        return Err(Refusal::new(Code::NotAllowed, message).into());
    };
    let mut outcome = Outcome::default();
    let why = (s.actor.as_str(), s.now_ms, m.reason.as_str());
    end(&mut outcome, &mut transfer, TransferState::Cancelled, why);
    outcome.answer(changed(&device.device_id, device.version));
    Ok(outcome)
}

/// The device begins to retire: nobody takes it over any more.
pub(crate) fn withdraw(s: &Situation<'_>, outcome: &mut Outcome, device: &Device) -> Result<(), Fault> {
    if let Some(mut transfer) = open(s.view, &device.device_id)? {
        let why = (s.actor.as_str(), s.now_ms, "the device is retired");
        end(outcome, &mut transfer, TransferState::Cancelled, why);
    }
    Ok(())
}

/// The deadline, unless another offer has taken this one's place.
pub(crate) fn expire(s: &Situation<'_>, device: &str) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let Some(mut transfer) = open(s.view, device)? else {
        return Ok(outcome);
    };
    if transfer.expires_ms > s.now_ms {
        outcome.wake_at(wake_key(device), transfer.expires_ms);
        return Ok(outcome);
    }
    let own = Principal::from(ServiceName::Registry).to_string();
    let why = (own.as_str(), s.now_ms, "nobody accepted it in time");
    end(&mut outcome, &mut transfer, TransferState::Expired, why);
    Ok(outcome)
}
