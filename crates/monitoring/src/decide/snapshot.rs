//! Everybody who is connected, in pages. Who is not named when it is complete is given a grace.

use contract::v1::{Connectivity, DeviceStatus, PresenceSnapshot};
use service::Fault;

use super::presence;
use crate::{
    connectivity::End,
    decision::Decision,
    state::{self, FrontDoor},
};

/// Devices looked at in one decision; the rest follows by a wake-up at once.
const PAGE: usize = 500;
/// The wake-up that goes on looking for absentees.
pub(super) const ABSENTEES: &str = "absentees";

pub(super) fn decide(decision: &mut Decision<'_>, snapshot: &PresenceSnapshot) -> Result<(), Fault> {
    let Some(mut door) = enter(decision, snapshot.boot)? else {
        return Ok(());
    };
    if snapshot.snapshot < door.snapshot {
        return Ok(());
    }
    door.snapshot = snapshot.snapshot;
    for session in &snapshot.present {
        presence::name(decision, &door, session)?;
    }
    if snapshot.complete {
        door.sought = door.snapshot;
        door.sought_to.clear();
        decision.out.wake_at(ABSENTEES, decision.now);
    }
    decision.out.put(state::FRONT_DOOR, &door);
    Ok(())
}

/// The front door as known, in this boot. `None`: the message is of an older boot. The first word of a new
/// one ends all sessions of those before it.
pub(super) fn enter(decision: &mut Decision<'_>, boot: u64) -> Result<Option<FrontDoor>, Fault> {
    let door = decision.load::<FrontDoor>(state::FRONT_DOOR)?.unwrap_or_default();
    if boot == door.boot {
        return Ok(Some(door));
    }
    if boot < door.boot {
        return Ok(None);
    }
    let door = FrontDoor {
        boot,
        ..FrontDoor::default()
    };
    decision.out.put(state::FRONT_DOOR, &door);
    decision.out.wake_at(ABSENTEES, decision.now);
    Ok(Some(door))
}

/// Looks for devices that count as online and are not: the next page.
pub(super) fn seek_absentees(decision: &mut Decision<'_>) -> Result<(), Fault> {
    let mut door = decision.load::<FrontDoor>(state::FRONT_DOOR)?.unwrap_or_default();
    let after = (!door.sought_to.is_empty()).then(|| state::status(&door.sought_to));
    let page = decision.list::<DeviceStatus>(state::STATUSES, after.as_deref(), PAGE)?;
    let whole = page.len() < PAGE;
    if let Some((last, _)) = page.last() {
        door.sought_to.clone_from(last);
    }
    for (device, status) in page {
        if status.connectivity() == Connectivity::Online {
            seek(decision, &door, &device, status)?;
        }
    }
    if whole {
        door.sought_to.clear();
    } else {
        decision.out.wake_at(ABSENTEES, decision.now);
    }
    decision.out.put(state::FRONT_DOOR, &door);
    Ok(())
}

fn seek(
    decision: &mut Decision<'_>,
    door: &FrontDoor,
    device: &str,
    mut status: DeviceStatus,
) -> Result<(), Fault> {
    let mut seen = decision.seen(device)?;
    let older = seen.boot < door.boot;
    if !older && seen.snapshot >= door.sought {
        return Ok(());
    }
    let cause = if older { "server-shutdown" } else { "network" };
    seen.forgotten();
    decision.depart(&mut status, &mut seen, End { cause, reason: "" });
    decision.out.put(state::seen(device), &seen);
    decision.save(&status);
    Ok(())
}
