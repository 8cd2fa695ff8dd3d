//! Rollouts and what has become of their devices.

use contract::{
    Refusal,
    v1::{
        DeviceUpdate, ListRollouts, ListUpdates, Rollout, RolloutShown, RolloutsListed, ShowRollout,
        UpdateState, UpdatesListed,
    },
};
use service::{Fault, View, page};

use crate::{request, state};

pub(super) fn show(view: &View<'_>, request: &ShowRollout) -> Result<RolloutShown, Fault> {
    let rollout = find(view, &request.rollout_id)?;
    Ok(RolloutShown {
        rollout: Some(rollout),
        ..RolloutShown::default()
    })
}

pub(super) fn list(view: &View<'_>, request: &ListRollouts) -> Result<RolloutsListed, Fault> {
    let page = page::list::<Rollout>(view, state::ROLLOUTS, &request.page, request.page_size, |_| true)?;
    Ok(RolloutsListed {
        rollouts: page.rows,
        next_page: page.next,
        ..RolloutsListed::default()
    })
}

pub(super) fn updates(view: &View<'_>, request: &ListUpdates) -> Result<UpdatesListed, Fault> {
    let rollout = find(view, &request.rollout_id)?;
    let wanted = UpdateState::try_from(request.state)
        .map_err(|_| Refusal::invalid("state", "there is no such state; leave it out for all"))?;
    let keep = |update: &DeviceUpdate| wanted == UpdateState::Unspecified || update.state() == wanted;
    let prefix = state::updates(&rollout.rollout_id);
    let page = page::list(view, &prefix, &request.page, request.page_size, keep)?;
    Ok(UpdatesListed {
        updates: page.rows,
        next_page: page.next,
        ..UpdatesListed::default()
    })
}

fn find(view: &View<'_>, id: &str) -> Result<Rollout, Fault> {
    let id = request::id("rollout_id", id)?;
    let rollout = view.load(state::rollout(id.as_str()))?;
    rollout.ok_or_else(|| Refusal::not_found("rollout", id.as_str()).at("rollout_id").into())
}
