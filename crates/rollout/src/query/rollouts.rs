//! Rollouts and what has become of their devices.

use contract::{
    Refusal,
    v1::{
        DeviceUpdate, ListRollouts, ListUpdates, Rollout, RolloutShown, RolloutsListed, ShowRollout,
        UpdateState, UpdatesListed,
    },
};
use service::{Caller, Fault, View, page};

use crate::{policy, request, state};

pub(super) fn show(view: &View<'_>, caller: &Caller, request: &ShowRollout) -> Result<RolloutShown, Fault> {
    let rollout = find(view, caller, &request.rollout_id)?;
    Ok(RolloutShown {
        rollout: Some(rollout),
        ..RolloutShown::default()
    })
}

pub(super) fn list(
    view: &View<'_>,
    caller: &Caller,
    request: &ListRollouts,
) -> Result<RolloutsListed, Fault> {
    let page = page::list::<Rollout>(
        view,
        state::ROLLOUTS,
        &request.page,
        request.page_size,
        |rollout| policy::in_sight(caller, rollout),
    )?;
    Ok(RolloutsListed {
        rollouts: page.rows,
        next_page: page.next,
        ..RolloutsListed::default()
    })
}

pub(super) fn updates(
    view: &View<'_>,
    caller: &Caller,
    request: &ListUpdates,
) -> Result<UpdatesListed, Fault> {
    let rollout = find(view, caller, &request.rollout_id)?;
    let wanted = UpdateState::try_from(request.state)
        .map_err(|_| Refusal::invalid("state", "there is no such state; leave it out for all"))?;
    let keep = |update: &DeviceUpdate| -> Result<bool, Fault> {
        let fits = wanted == UpdateState::Unspecified || update.state() == wanted;
        Ok(fits && caller.sight.device(view, &update.device_id)?)
    };
    let prefix = state::updates(&rollout.rollout_id);
    let page = page::list_where(view, &prefix, &request.page, request.page_size, keep)?;
    Ok(UpdatesListed {
        updates: page.rows,
        next_page: page.next,
        ..UpdatesListed::default()
    })
}

fn find(view: &View<'_>, caller: &Caller, id: &str) -> Result<Rollout, Fault> {
    let id = request::id("rollout_id", id)?;
    let rollout = view.load::<Rollout>(state::rollout(id.as_str()))?;
    let rollout = rollout.filter(|rollout| policy::in_sight(caller, rollout));
    rollout.ok_or_else(|| Refusal::not_found("rollout", id.as_str()).at("rollout_id").into())
}
