//! A session of a device began or ended. Of other principals it is only noticed that they were let in.

use contract::{Id, Kind, presence::TAKEOVER, v1::Presence};
use service::Fault;

use super::snapshot;
use crate::{
    connectivity::End,
    decision::Decision,
    refusals,
    sessions::News,
    state::{self, FrontDoor},
};

pub(super) fn decide(decision: &mut Decision<'_>, presence: &Presence) -> Result<(), Fault> {
    let Some(door) = snapshot::enter(decision, presence.boot)? else {
        return Ok(());
    };
    if !is_device(presence) {
        let is_person = [Kind::Operator, Kind::Integrator]
            .map(Some)
            .contains(&Kind::from_word(&presence.kind));
        if presence.connected && is_person {
            refusals::forget(decision, &presence.kind, &presence.id)?;
        }
        return Ok(());
    }
    let device = &presence.id;
    let mut seen = decision.seen(device)?;
    let former = seen.clone();
    let news = match presence.connected {
        true => seen.began(presence, door.snapshot),
        false => seen.ended(presence),
    };
    let status = decision.status(device)?;
    let unknown = status.is_none();
    if let Some(mut status) = status {
        let before = status.clone();
        match news {
            News::Stale => {}
            News::There if presence.connected => decision.arrive(&mut status, presence)?,
            News::There if presence.cause == TAKEOVER => {
                decision.taken_over(&status, &mut seen, presence);
            }
            News::There => {}
            News::Gone => {
                let end = End {
                    cause: &presence.cause,
                    reason: &presence.reason,
                };
                decision.depart(&mut status, &mut seen, end);
            }
        }
        if status != before {
            decision.save(&status);
        }
    }
    if unknown && !seen.is_there() {
        decision.out.delete(state::seen(device));
    } else if seen != former {
        decision.out.put(state::seen(device), &seen);
    }
    Ok(())
}

/// One session in a snapshot.
pub(super) fn name(decision: &mut Decision<'_>, door: &FrontDoor, presence: &Presence) -> Result<(), Fault> {
    let presence = &Presence {
        boot: door.boot,
        ..presence.clone()
    };
    if !is_device(presence) {
        return Ok(());
    }
    let mut seen = decision.seen(&presence.id)?;
    seen.named(presence, door.snapshot);
    decision.out.put(state::seen(&presence.id), &seen);
    if let Some(mut status) = decision.status(&presence.id)? {
        decision.arrive(&mut status, presence)?;
        decision.save(&status);
    }
    Ok(())
}

fn is_device(presence: &Presence) -> bool {
    Kind::from_word(&presence.kind) == Some(Kind::Device) && presence.id.parse::<Id>().is_ok()
}
