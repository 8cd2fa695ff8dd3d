//! Pause, resume, abort.

use contract::{
    Code, Refusal,
    v1::{Changed, RolloutState, SteerRollout},
};
use service::{Caller, Fault, Outcome, View};

use crate::{campaign::Campaign, event, policy, request};

/// Where an operator steers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wheel {
    Pause,
    Resume,
    Abort,
}

pub(super) fn decide(
    view: &View<'_>,
    caller: &Caller,
    request: &SteerRollout,
    wheel: Wheel,
    now: i64,
) -> Result<Outcome, Fault> {
    let id = request::id("rollout_id", &request.rollout_id)?;
    request::text("reason", &request.reason)?;
    let Some(mut campaign) = Campaign::load(view, id.as_str(), now)? else {
        return Err(Refusal::not_found("rollout", id.as_str()).at("rollout_id").into());
    };
    if !policy::in_sight(caller, &campaign.rollout) {
        return Err(Refusal::not_found("rollout", id.as_str()).at("rollout_id").into());
    }
    let version = campaign.rollout.version;
    if request.expected_version != 0 && request.expected_version != version {
        return Err(Refusal::stale("rollout", request.expected_version, version).into());
    }
    demand_allowed(campaign.rollout.state(), wheel)?;
    match wheel {
        Wheel::Pause => set(&mut campaign, RolloutState::Paused, "paused", &request.reason),
        Wheel::Resume => {
            policy::demand_not_recalled(&campaign.artifact()?)?;
            set(&mut campaign, RolloutState::Running, "resumed", &request.reason);
            campaign.assign()?;
            campaign.advance()?;
        }
        Wheel::Abort => {
            let reason = if request.reason.is_empty() {
                "aborted"
            } else {
                &request.reason
            };
            campaign.end(RolloutState::Aborted, reason)?;
        }
    }
    let changed = Changed {
        id: id.to_string(),
        version: campaign.rollout.version,
        ..Changed::default()
    };
    let mut out = campaign.finish();
    out.answer(changed);
    Ok(out)
}

fn set(campaign: &mut Campaign<'_>, state: RolloutState, event: &'static str, reason: &str) {
    campaign.rollout.set_state(state);
    campaign.rollout.version = campaign.rollout.version.saturating_add(1);
    event::steered(&mut campaign.out, &campaign.rollout, event, reason);
}

fn demand_allowed(state: RolloutState, wheel: Wheel) -> Result<(), Refusal> {
    let allowed = match state {
        RolloutState::Running => &["pause", "abort"][..],
        RolloutState::Paused => &["resume", "abort"],
        _ => &[],
    };
    let good = match wheel {
        Wheel::Pause => state == RolloutState::Running,
        Wheel::Resume => state == RolloutState::Paused,
        Wheel::Abort => policy::is_active(state),
    };
    if good {
        return Ok(());
    }
    let message = match allowed {
        [] => "the rollout has ended and stays so; create another".to_owned(),
        _ => format!("the rollout is {}; that cannot be done now", state.as_str_name()),
    };
    Err(Refusal::new(Code::NotAllowed, message).allowing(allowed.iter().copied()))
}
