//! `accept-transfer`: whoever has the secret makes the device somebody else's.

use contract::{
    Code, Refusal,
    login::{read_digest, token_digest},
    v1::{AcceptTransfer, Device, Evidence, Stage, Transfer, TransferState},
};
use service::{Answer, Fault, Outcome, Sight};

use super::{end, event, open};
use crate::{
    decide::{Situation, act::Act, changed, check},
    event as events, field, state,
};

/// Wrong secrets until the offer ends.
const TRIES: u32 = 5;

pub(crate) fn accept(s: &Situation<'_>, sight: &Sight, m: &AcceptTransfer) -> Result<Outcome, Fault> {
    let offered = open(s.view, &m.device_id)?.filter(|offered| offered.expires_ms > s.now_ms);
    let Some(mut transfer) = offered else {
        return Err(not_opened().into());
    };
    if read_digest(&transfer.sha256) != Some(token_digest(m.secret.as_bytes())) {
        return Ok(wrong(s, transfer));
    }
    let device = state::device_or_twin(s.view, &m.device_id)?;
    let Some(device) = device.filter(|device| !matches!(device.stage(), Stage::Retiring | Stage::Retired))
    else {
        return Err(not_opened().into());
    };
    // Who may do something for some groups brings no device to others.
    if let Some(group) = transfer.groups.iter().find(|group| !sight.has_group(group)) {
        let message = format!("it would join `{group}`, and your grants are for other groups");
        return Err(Refusal::new(Code::Denied, message).at("groups").into());
    }
    let mut act = Act::new(s);
    let version = hand_over(&mut act, device, &transfer)?;
    let why = (s.actor.as_str(), s.now_ms, "");
    end(&mut act.outcome, &mut transfer, TransferState::Accepted, why);
    Ok(act.answer(changed(&m.device_id, version)))
}

/// Whatever is wrong with it.
fn not_opened() -> Refusal {
    let message = "no offer of this device opens to this secret; ask whoever offered it";
    Refusal::new(Code::Denied, message)
}

/// One more; the last one ends the offer.
fn wrong(s: &Situation<'_>, mut transfer: Transfer) -> Outcome {
    let mut outcome = Outcome::default();
    transfer.wrong += 1;
    if transfer.wrong < TRIES {
        outcome.put(state::transfer_key(&transfer.device_id), &transfer);
        event::told(&mut outcome, "refused", &transfer);
    } else {
        let why = (s.actor.as_str(), s.now_ms, "too many wrong secrets");
        end(&mut outcome, &mut transfer, TransferState::Locked, why);
    }
    outcome.answer = Answer::Refused(not_opened());
    outcome
}

/// Writes the owner and the groups. What comes back is the device's version.
fn hand_over(act: &mut Act<'_>, mut device: Device, transfer: &Transfer) -> Result<u64, Fault> {
    let before = device.clone();
    device.owner.clone_from(&transfer.to);
    if !transfer.groups.is_empty() {
        join_instead(act, &mut device, &transfer.groups)?;
    }
    check::written(act.s, act.s.view, Some(&before), &device)?;
    device.version = device.version.saturating_add(1);
    act.save(Some(&before), &mut device)?;
    let fields = field::changes(&before, &device);
    check::told(&fields)?;
    events::changed(&mut act.outcome, &device, fields);
    let evidence = Evidence {
        what: "transferred".into(),
        from: before.owner,
        to: device.owner.clone(),
        cause: "accept-transfer".into(),
        reason: transfer.note.clone(),
        grounds: [("offered by".to_owned(), transfer.offered_by.clone())].into(),
        ..Evidence::default()
    };
    act.evidence(&device, evidence);
    Ok(device.version)
}

/// Out of the chosen groups that it is in, and into these.
fn join_instead(act: &mut Act<'_>, device: &mut Device, groups: &[String]) -> Result<(), Fault> {
    for group in groups.iter().chain(&device.groups.clone()) {
        act.roster.find(act.s.view, "groups", group)?;
    }
    for group in device.groups.clone() {
        if act.roster.may_be_chosen(&group).is_ok() && !groups.contains(&group) {
            act.roster.leave(&mut act.outcome, device, &group);
        }
    }
    for group in groups {
        act.roster.may_be_chosen(group)?;
        act.roster.join(&mut act.outcome, device, group)?;
    }
    Ok(())
}
