//! The registry says something new of a device that is being updated.

use contract::{
    ServiceName,
    v1::{DeviceFact, UpdateState},
};
use prost::Message;
use service::{FactChange, Fault, Outcome, View};

use crate::{
    campaign::{self, Campaign},
    policy,
};

/// A device that goes out of service is not updated any more: called off while it waits, failed once it
/// has begun.
pub(crate) fn on_fact(view: &View<'_>, change: FactChange<'_>, now: i64) -> Result<Outcome, Fault> {
    if change.owner != ServiceName::Registry || change.entity != "device" {
        return Ok(Outcome::default());
    }
    let fact = change.value.and_then(|value| DeviceFact::decode(value).ok());
    let Some(reason) = policy::out_of_service(fact.as_ref()) else {
        return Ok(Outcome::default());
    };
    let Some((holding, update)) = campaign::held(view, change.id)? else {
        return Ok(Outcome::default());
    };
    let Some(mut campaign) = Campaign::load(view, &holding.rollout_id, now)? else {
        return Ok(Outcome::default());
    };
    let end = if update.state() == UpdateState::Waiting {
        UpdateState::Canceled
    } else {
        UpdateState::Failed
    };
    campaign.settle(update, end, reason);
    campaign.advance()?;
    Ok(campaign.finish())
}
