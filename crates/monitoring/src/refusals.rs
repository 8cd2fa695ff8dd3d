//! Why somebody was not let in, the last time: of a device that is watched in its status, of all others in a record of
//! their own, of which there is a bounded number.
//!
//! Whoever is let in is told of no longer: what was tried before stands in the events.

use contract::{
    notice::NOT_LET_IN,
    v1::{DeviceStatus, RefusedTry, SecurityNotice},
};
use service::{Fault, View};

use crate::{
    decision::Decision,
    request,
    state::{self, Mark},
};

/// Principals that are no watched devices of which it is kept; then the one is forgotten that was refused longest ago.
pub(crate) const MOST: u64 = 2_048;

/// Whether a notice says that somebody was not let in.
pub(crate) fn is_one(notice: &SecurityNotice) -> bool {
    NOT_LET_IN.contains(&notice.what.as_str())
}

/// What is kept, after what was kept before.
pub(crate) fn after(former: Option<&RefusedTry>, notice: &SecurityNotice) -> RefusedTry {
    let before = former.map_or(0, |former| former.count);
    RefusedTry {
        time_ms: notice.time_ms,
        why: request::cut(&notice.detail),
        address: request::cut(&notice.address),
        count: before.saturating_add(u64::from(notice.count.max(1))),
        serial: request::cut(&notice.serial),
        batch: request::cut(&notice.batch),
    }
}

/// Of a device, what was kept of it before it was watched.
pub(crate) fn adopt(decision: &mut Decision<'_>, status: &mut DeviceStatus) -> Result<(), Fault> {
    for kind in ["devices", "claims"] {
        let kept = forget(decision, kind, &status.device_id)?;
        status.refused = newest(status.refused.take(), kept);
    }
    Ok(())
}

/// Of somebody who is no watched device.
pub(crate) fn keep(decision: &mut Decision<'_>, notice: &SecurityNotice) -> Result<(), Fault> {
    let former = forget(decision, &notice.kind, &notice.id)?;
    let kept = after(former.as_ref(), notice);
    let counters = &mut decision.counters;
    counters.refused += 1;
    if counters.refused > MOST {
        forget_oldest(decision)?;
    }
    let moment = state::refused_at(kept.time_ms, &notice.kind, &notice.id);
    decision.out.put(moment, &Mark {});
    decision.out.put(state::refused(&notice.kind, &notice.id), &kept);
    Ok(())
}

/// Somebody who is no watched device was let in, or is another's word from now on.
pub(crate) fn forget(decision: &mut Decision<'_>, kind: &str, id: &str) -> Result<Option<RefusedTry>, Fault> {
    let key = state::refused(kind, id);
    let Some(kept) = decision.load::<RefusedTry>(&key)? else {
        return Ok(None);
    };
    decision.out.delete(key);
    decision.out.delete(state::refused_at(kept.time_ms, kind, id));
    decision.counters.refused = decision.counters.refused.saturating_sub(1);
    Ok(Some(kept))
}

fn forget_oldest(decision: &mut Decision<'_>) -> Result<(), Fault> {
    let oldest = decision.list::<Mark>(state::REFUSED_AT, None, 1)?;
    for (moment, _) in oldest {
        let mut parts = moment.splitn(3, '/').skip(1);
        if let (Some(kind), Some(id)) = (parts.next(), parts.next()) {
            forget(decision, kind, id)?;
        }
    }
    Ok(())
}

/// What is kept of somebody; of a device also of who hoped to become it.
pub(crate) fn of(view: &View<'_>, kind: &str, id: &str) -> Result<Option<RefusedTry>, Fault> {
    let mut found = view.load::<RefusedTry>(state::refused(kind, id))?;
    if kind == "devices" {
        let hoped = view.load::<RefusedTry>(state::refused("claims", id))?;
        let status = view.load::<DeviceStatus>(state::status(id))?;
        found = newest(newest(found, hoped), status.and_then(|status| status.refused));
    }
    Ok(found)
}

fn newest(one: Option<RefusedTry>, other: Option<RefusedTry>) -> Option<RefusedTry> {
    one.into_iter().chain(other).max_by_key(|refused| refused.time_ms)
}
