//! A device says how far its update is. Harmless to repeat, and it may come in any order.

use contract::{
    Code, Refusal,
    v1::{DeviceUpdate, Rollout, UpdateReport},
};
use service::{Caller, Fault, Outcome, View};

use crate::{
    campaign::{self, Campaign},
    event,
    policy::{self, Step},
    request, state,
};

pub(super) fn decide(
    view: &View<'_>,
    caller: &Caller,
    report: UpdateReport,
    now: i64,
) -> Result<Outcome, Fault> {
    request::report(&report)?;
    let device = caller.principal.id.as_str();
    let Some(mut update) = find(view, &report.rollout_id, device)? else {
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
        Step::Forward => {
            update.state = report.state;
            update.detail = report.detail;
            update.since_ms = now;
            let mut out = Outcome::default();
            out.put(state::update(&update.rollout_id, update.wave, device), &update);
            event::updating(&mut out, &update);
            Ok(out)
        }
        Step::End => {
            let Some(mut campaign) = Campaign::load(view, &report.rollout_id, now)? else {
                return Err(Refusal::not_found("rollout", &report.rollout_id).into());
            };
            campaign.settle(update, report.state(), &report.detail);
            campaign.advance()?;
            Ok(campaign.finish())
        }
    }
}

/// A device's update in a rollout: where it is held, or else in any wave, for late reports.
fn find(view: &View<'_>, rollout_id: &str, device: &str) -> Result<Option<DeviceUpdate>, Fault> {
    if let Some((holding, update)) = campaign::held(view, device)?
        && holding.rollout_id == rollout_id
    {
        return Ok(Some(update));
    }
    let Some(rollout) = view.load::<Rollout>(state::rollout(rollout_id))? else {
        return Ok(None);
    };
    for wave in 0..=rollout.waves.len() as u32 {
        if let Some(update) = view.load(state::update(rollout_id, wave, device))? {
            return Ok(Some(update));
        }
    }
    Ok(None)
}
