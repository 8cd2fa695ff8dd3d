//! A device says that it is alive. The newest is kept, and every rule about its metrics gets a point.

use contract::{Refusal, v1::Heartbeat};
use service::{Caller, Fault};

use crate::{decision::Decision, policy, request, state};

pub(super) fn decide(
    decision: &mut Decision<'_>,
    caller: &Caller,
    heartbeat: Heartbeat,
) -> Result<(), Fault> {
    request::heartbeat(&heartbeat)?;
    let device = caller.principal.id.as_str();
    let Some(mut status) = decision.status(device)? else {
        return Err(Refusal::not_found("device", device).into());
    };
    if policy::is_old(&status, &heartbeat) {
        return Ok(());
    }
    let known = status.open.clone();
    status.heartbeat_ms = decision.now;
    status.uptime_ms = heartbeat.uptime_ms;
    status.boot_count = heartbeat.boot_count;
    status.metrics = heartbeat.metrics;
    for (metric, value) in status.metrics.clone() {
        decision.observe(&mut status, &metric, value)?;
    }
    if status.open == known {
        // The hot path: there is nothing that others need to know.
        decision.out.put(state::status(device), &status);
    } else {
        decision.save(&status);
    }
    Ok(())
}
