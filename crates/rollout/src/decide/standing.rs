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
/// has begun. One that said that it succeeded, and now runs the firmware, has.
pub(crate) fn on_fact(view: &View<'_>, change: FactChange<'_>, now: i64) -> Result<Outcome, Fault> {
    if change.owner != ServiceName::Registry || change.entity != "device" {
        return Ok(Outcome::default());
    }
    let fact = change.value.and_then(|value| DeviceFact::decode(value).ok());
    let reason = policy::out_of_service(fact.as_ref());
    let Some((holding, update)) = campaign::held(view, change.id)? else {
        return Ok(Outcome::default());
    };
    if reason.is_none() && !holding.claims_success {
        return Ok(Outcome::default());
    }
    let Some(mut campaign) = Campaign::load(view, &holding.rollout_id, now)? else {
        return Ok(Outcome::default());
    };
    let (end, why) = match reason {
        Some(reason) if update.state() == UpdateState::Waiting => (UpdateState::Canceled, reason),
        Some(reason) => (UpdateState::Failed, reason),
        None if policy::runs(fact.as_ref(), &campaign.rollout.firmware_version) => {
            (UpdateState::Succeeded, "")
        }
        None => return Ok(Outcome::default()),
    };
    campaign.settle(update, end, why)?;
    campaign.advance()?;
    Ok(campaign.finish())
}
