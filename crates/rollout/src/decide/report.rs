//! A device says how far its update is. Harmless to repeat, and it may come in any order.

use contract::{
    Code, Refusal, ServiceName,
    v1::{DeviceFact, DeviceUpdate, Rollout, UpdateReport, UpdateState},
};
use service::{Caller, Fault, Outcome, View};

use crate::{
    campaign::{self, Campaign},
    event,
    policy::{self, Step},
    request,
    state::{self, Holding},
};

pub(super) fn decide(
    view: &View<'_>,
    caller: &Caller,
    report: UpdateReport,
    now: i64,
) -> Result<Outcome, Fault> {
    request::report(&report)?;
    let device = caller.principal.id.as_str();
    let Some((holding, update)) = find(view, &report.rollout_id, device)? else {
        let message = format!("you have no part in a rollout `{}`", report.rollout_id);
        return Err(Refusal::new(Code::NotFound, message).at("rollout_id").into());
    };
    match policy::step(update.state(), report.state()) {
        Step::Ignore => Ok(Outcome::default()),
        Step::Early => {
            let message =
                "this update was not assigned to you yet; ask `assignment` and begin when it names it";
            Err(Refusal::new(Code::NotAllowed, message).into())
        }
        Step::Forward => Ok(go_on(update, report.state(), report.detail, now)),
        Step::End => end(view, holding, update, &report, now),
    }
}

fn go_on(mut update: DeviceUpdate, to: UpdateState, detail: String, now: i64) -> Outcome {
    update.set_state(to);
    update.detail = detail;
    update.since_ms = now;
    let mut out = Outcome::default();
    let key = state::update(&update.rollout_id, update.wave, &update.device_id);
    out.put(key, &update);
    event::updating(&mut out, &update);
    out
}

fn end(
    view: &View<'_>,
    holding: Holding,
    update: DeviceUpdate,
    report: &UpdateReport,
    now: i64,
) -> Result<Outcome, Fault> {
    let Some(mut campaign) = Campaign::load(view, &report.rollout_id, now)? else {
        return Err(Refusal::not_found("rollout", &report.rollout_id).into());
    };
    let version = &campaign.rollout.firmware_version;
    let fact = view.fact::<DeviceFact>(ServiceName::Registry, "device", &update.device_id)?;
    if report.state() == UpdateState::Succeeded && !policy::runs(fact.as_ref(), version) {
        return Ok(hear_claim(holding, update, version, now));
    }
    campaign.settle(update, report.state(), &report.detail)?;
    campaign.advance()?;
    Ok(campaign.finish())
}

/// The device says that it succeeded. It is believed when the registry says that it runs the version: that
/// word of the device may still be on its way.
fn hear_claim(holding: Holding, update: DeviceUpdate, version: &str, now: i64) -> Outcome {
    if holding.claims_success {
        return Outcome::default();
    }
    let detail =
        format!("the device says that it succeeded; the registry has not heard that it runs `{version}`");
    let device = update.device_id.clone();
    let mut out = go_on(update, UpdateState::Installing, detail, now);
    let claimed = Holding {
        claims_success: true,
        ..holding
    };
    out.put(state::held(&device), &claimed);
    out
}

/// A device's update in a rollout: where it is held, or else in any wave, for late reports.
fn find(view: &View<'_>, rollout_id: &str, device: &str) -> Result<Option<(Holding, DeviceUpdate)>, Fault> {
    if let Some((holding, update)) = campaign::held(view, device)?
        && holding.rollout_id == rollout_id
    {
        return Ok(Some((holding, update)));
    }
    let Some(rollout) = view.load::<Rollout>(state::rollout(rollout_id))? else {
        return Ok(None);
    };
    for wave in 0..=rollout.waves.len() as u32 {
        if let Some(update) = view.load(state::update(rollout_id, wave, device))? {
            return Ok(Some((Holding::default(), update)));
        }
    }
    Ok(None)
}
