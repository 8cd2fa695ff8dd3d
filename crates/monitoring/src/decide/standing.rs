//! The registry says something new of a device: it is watched from now on, or no longer.

use contract::{
    ServiceName,
    v1::{Connectivity, DeviceFact, DeviceStatus, Presence, Rule},
};
use prost::Message;
use service::{FactChange, Fault};

use super::security::violations_key;
use crate::{
    alerting::RULES_MAX,
    connectivity::grace_key,
    decision::Decision,
    event, policy, refusals,
    state::{self, FrontDoor},
};

pub(super) fn on_fact(decision: &mut Decision<'_>, change: FactChange<'_>) -> Result<(), Fault> {
    if change.owner != ServiceName::Registry || change.entity != "device" {
        return Ok(());
    }
    let fact = change.value.and_then(|value| DeviceFact::decode(value).ok());
    let watched = fact.as_ref().is_some_and(policy::is_watched);
    match (decision.status(change.id)?, watched) {
        (None, true) => watch(decision, change.id),
        (Some(status), false) => forget(decision, status),
        _ => Ok(()),
    }
}

/// It may have come before the registry's word of it did.
fn watch(decision: &mut Decision<'_>, device: &str) -> Result<(), Fault> {
    let mut status = DeviceStatus {
        device_id: device.into(),
        ..DeviceStatus::default()
    };
    decision.enter(&mut status, Connectivity::Never);
    let door = decision.load::<FrontDoor>(state::FRONT_DOOR)?.unwrap_or_default();
    let seen = decision.seen(device)?;
    if seen.is_there() && seen.boot == door.boot {
        let presence = Presence {
            boot: seen.boot,
            session: seen.newest,
            ..Presence::default()
        };
        decision.arrive(&mut status, &presence)?;
    }
    refusals::adopt(decision, &mut status)?;
    decision.save(&status);
    Ok(())
}

fn forget(decision: &mut Decision<'_>, mut status: DeviceStatus) -> Result<(), Fault> {
    let device = status.device_id.clone();
    let rules = decision.list::<Rule>(state::RULES, None, RULES_MAX)?;
    let rules = rules
        .iter()
        .map(|(rule, _)| rule.as_str())
        .chain([policy::OFFLINE]);
    for rule in rules {
        decision.lift(rule, &device, Some(&mut status), "the device is retired")?;
    }
    decision.leave(&status);
    decision.out.delete(state::status(&device));
    event::forgotten(&mut decision.out, &device);
    decision.out.delete(state::violations(&device));
    // Sessions that are still there are forgotten when they end.
    if !decision.seen(&device)?.is_there() {
        decision.out.delete(state::seen(&device));
    }
    for wake in [grace_key(&device), violations_key(&device)] {
        decision.out.no_wake(wake);
    }
    Ok(())
}
