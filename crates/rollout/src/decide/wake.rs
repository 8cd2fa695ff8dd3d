//! A time has come: a device took too long, a page of work goes on, an image never came.

use contract::v1::{Artifact, UpdateState};
use prost::Message;
use service::{Fault, Outcome, View};

use super::recall;
use crate::{
    campaign::{self, Campaign},
    executor::{DISCARD, Order},
    policy,
    state::{self, Sealing},
};

/// A wake-up's key names what is to be done.
pub(crate) fn on_wake(view: &View<'_>, key: &str, now: i64) -> Result<Outcome, Fault> {
    match key.split_once('/') {
        Some(("timeout", rest)) => match rest.split_once('/') {
            Some((rollout, device)) => time_out(view, rollout, device, now),
            None => Ok(Outcome::default()),
        },
        Some(("assign", rollout)) => go_on(view, rollout, now, |campaign| campaign.assign()),
        Some(("call-off", rollout)) => go_on(view, rollout, now, |campaign| campaign.call_off()),
        Some(("recall", artifact)) => recall::go_on(view, artifact, now),
        Some(("abandon", artifact)) => abandon(view, artifact),
        _ => Ok(Outcome::default()),
    }
}

fn time_out(view: &View<'_>, rollout: &str, device: &str, now: i64) -> Result<Outcome, Fault> {
    let Some((holding, update)) = campaign::held(view, device)? else {
        return Ok(Outcome::default());
    };
    if holding.rollout_id != rollout {
        return Ok(Outcome::default());
    }
    go_on(view, rollout, now, |campaign| {
        if policy::is_overslept(holding.timeout_at_ms, now) {
            let ms = campaign.rollout.timeout_ms.min(policy::ANOTHER_MS);
            campaign.give_time(&update, holding, ms);
            return Ok(());
        }
        let why = if holding.claims_success {
            "the device said that it succeeded, but never told the registry that it runs the new version"
        } else {
            "the device took too long"
        };
        campaign.settle(update, UpdateState::TimedOut, why)?;
        campaign.advance()
    })
}

fn go_on(
    view: &View<'_>,
    rollout: &str,
    now: i64,
    work: impl FnOnce(&mut Campaign<'_>) -> Result<(), Fault>,
) -> Result<Outcome, Fault> {
    let Some(mut campaign) = Campaign::load(view, rollout, now)? else {
        return Ok(Outcome::default());
    };
    work(&mut campaign)?;
    Ok(campaign.finish())
}

/// Forgets an artifact whose image did not come in time.
fn abandon(view: &View<'_>, id: &str) -> Result<Outcome, Fault> {
    let Some(artifact) = view.load::<Artifact>(state::artifact(id))? else {
        return Ok(Outcome::default());
    };
    let sealing = view.load::<Sealing>(state::sealing(id))?.is_some();
    if artifact.complete || sealing {
        return Ok(Outcome::default());
    }
    let mut out = Outcome::default();
    out.delete(state::artifact(id));
    out.delete(state::opened(id));
    let order = Order::new(id, &artifact.manifest.unwrap_or_default());
    let name = format!("discard/{id}/{}/{}", artifact.added_at_ms, artifact.version);
    out.effect(name, DISCARD, order.encode_to_vec());
    Ok(out)
}
