//! A release turned out to be bad: no rollout of it begins or goes on. What has been installed stays; a release
//! after it puts that right.

use contract::{
    Code, Refusal,
    v1::{Artifact, Changed, RecallArtifact, Rollout, RolloutState},
};
use service::{Caller, Fault, Outcome, View};

use crate::{
    campaign::{Campaign, PAGE},
    event, policy, request,
    state::{self, Recalling},
};

pub(super) fn decide(
    view: &View<'_>,
    caller: &Caller,
    request: &RecallArtifact,
    now: i64,
) -> Result<Outcome, Fault> {
    let id = request::artifact_id(&request.artifact_id)?;
    request::reason(&request.reason)?;
    let Some(mut artifact) = view.load::<Artifact>(state::artifact(id))? else {
        return Err(Refusal::not_found("artifact", id).at("artifact_id").into());
    };
    if !artifact.complete {
        let message =
            "the artifact's image is not complete, so that nobody can roll it out; it goes by itself";
        return Err(Refusal::new(Code::Precondition, message).at("artifact_id").into());
    }
    let mut out = Outcome::default();
    let is_recalled = policy::recall(&artifact).is_some();
    if is_recalled == request.undo {
        artifact.version = artifact.version.saturating_add(1);
        if request.undo {
            lift(&mut out, &mut artifact, &request.reason);
        } else {
            recall(&mut out, &mut artifact, caller, &request.reason, now);
        }
        out.put(state::artifact(id), &artifact);
    }
    out.answer(Changed {
        id: id.to_owned(),
        version: artifact.version,
        ..Changed::default()
    });
    Ok(out)
}

fn recall(out: &mut Outcome, artifact: &mut Artifact, caller: &Caller, reason: &str, now: i64) {
    artifact.recalled_at_ms = now;
    artifact.recalled_by = caller.principal.to_string();
    artifact.recall_reason = reason.into();
    out.wake_at(recall_key(&artifact.artifact_id), now);
    event::recalled(out, artifact, "recalled", reason);
}

fn lift(out: &mut Outcome, artifact: &mut Artifact, reason: &str) {
    artifact.recalled_at_ms = 0;
    artifact.recalled_by.clear();
    artifact.recall_reason = reason.into();
    out.no_wake(recall_key(&artifact.artifact_id));
    out.delete(state::recalling(&artifact.artifact_id));
    event::recalled(out, artifact, "reinstated", reason);
}

/// Ends the next rollout of a recalled artifact, one in each decision: each calls a page of devices off.
pub(super) fn go_on(view: &View<'_>, id: &str, now: i64) -> Result<Outcome, Fault> {
    let artifact = view.load::<Artifact>(state::artifact(id))?.unwrap_or_default();
    let Some(reason) = policy::recall(&artifact) else {
        return Ok(Outcome::default());
    };
    let progress = view.load::<Recalling>(state::recalling(id))?.unwrap_or_default();
    let after = format!("{}{}", state::ROLLOUTS, progress.looked_to);
    let page: Vec<(_, Rollout)> = view.list(state::ROLLOUTS, Some(after.as_bytes()), PAGE)?;
    let is_last = page.len() < PAGE;
    let last = page.last().map(|(_, rollout)| rollout.rollout_id.clone());
    let mut running = page.into_iter().map(|(_, rollout)| rollout);
    let found = running.find(|one| one.artifact_id == id && policy::is_active(one.state()));
    let looked_to = found.as_ref().map(|one| one.rollout_id.clone()).or(last);
    let is_done = found.is_none() && is_last;
    let mut out = match found {
        Some(rollout) => end(view, rollout, &reason, now)?,
        None => Outcome::default(),
    };
    if is_done {
        out.delete(state::recalling(id));
    } else {
        let looked_to = looked_to.unwrap_or_default();
        out.put(state::recalling(id), &Recalling { looked_to });
        out.wake_at(recall_key(id), now);
    }
    Ok(out)
}

fn end(view: &View<'_>, rollout: Rollout, reason: &str, now: i64) -> Result<Outcome, Fault> {
    let mut campaign = Campaign::new(view, now, rollout, Outcome::default());
    campaign.end(RolloutState::Aborted, reason)?;
    Ok(campaign.finish())
}

/// The wake-up that goes on ending rollouts.
fn recall_key(artifact_id: &str) -> String {
    format!("recall/{artifact_id}")
}
