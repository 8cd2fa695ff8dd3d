//! What a device is to install.

use contract::v1::{Artifact, Assignment, Rollout};
use service::{Fault, View};

use crate::{campaign, policy, state};

/// Empty: nothing to do. An update that has begun to install is named even if its rollout has ended.
pub(super) fn ask(view: &View<'_>, device: &str) -> Result<Assignment, Fault> {
    let Some((holding, update)) = campaign::under_way(view, device)? else {
        return Ok(Assignment::default());
    };
    let Some(rollout) = view.load::<Rollout>(state::rollout(&holding.rollout_id))? else {
        return Ok(Assignment::default());
    };
    // The page that calls it off may be still to come.
    let called_off = !policy::is_active(rollout.state()) && policy::is_callable_off(update.state());
    if called_off {
        return Ok(Assignment::default());
    }
    let artifact = view.load::<Artifact>(state::artifact(&holding.artifact_id))?;
    Ok(Assignment {
        rollout_id: holding.rollout_id,
        artifact_id: holding.artifact_id,
        signed: artifact.and_then(|artifact| artifact.signed),
        ..Assignment::default()
    })
}
