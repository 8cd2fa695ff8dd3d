//! Somebody tried what they may not. Counted for devices, over the last minute. Or somebody was sent away.

use contract::{
    Kind,
    v1::{DeviceStatus, RefusedTry, SecurityNotice},
};
use service::Fault;

use crate::{
    alerting::RULES_MAX,
    audit,
    decision::Decision,
    event, policy, request,
    state::{self, Points, Violations},
};

/// The front door's word for connections that an operator closed.
const KICKED: &str = "kicked";

/// Its word for a login in somebody's name that failed.
const LOGIN_FAILED: &str = "login-failed";

/// Its words for a device that was not let in.
const NOT_LET_IN: [&str; 2] = ["connect-denied", "takeovers"];

/// The wake-up that looks at a device's violations again.
pub(super) fn violations_key(device: &str) -> String {
    format!("violations/{device}")
}

pub(super) fn decide(decision: &mut Decision<'_>, notice: &SecurityNotice) -> Result<(), Fault> {
    if notice.what == KICKED {
        // What was done to somebody is nothing that it tried.
        event::kicked(&mut decision.out, notice);
        decision.out.audits.push(audit::kicked(notice));
        return Ok(());
    }
    if notice.what == LOGIN_FAILED {
        // In whose name it was tried is known; who tried it is not.
        event::login_failed(&mut decision.out, notice);
        return Ok(());
    }
    decision.out.audits.extend(audit::denied(notice));
    if Kind::from_word(&notice.kind) != Some(Kind::Device) {
        return Ok(());
    }
    let Some(mut status) = decision.status(&notice.id)? else {
        return Ok(());
    };
    let count = u64::from(notice.count.max(1));
    let mut window = decision
        .load::<Violations>(state::violations(&notice.id))?
        .unwrap_or_default();
    let lately = policy::count_violations(&mut window, count, decision.now);
    status.violations = status.violations.saturating_add(count);
    if NOT_LET_IN.contains(&notice.what.as_str()) {
        status.refused = Some(RefusedTry {
            time_ms: decision.now,
            why: request::cut(&notice.detail),
            address: request::cut(&notice.address),
        });
    }
    event::security(&mut decision.out, &status, notice, lately);
    decision.observe(&mut status, policy::VIOLATIONS, lately as f64)?;
    decision.save(&status);
    decision.out.put(state::violations(&notice.id), &window);
    decision.out.wake_at(
        violations_key(&notice.id),
        decision.now.saturating_add(policy::VIOLATIONS_MS),
    );
    Ok(())
}

/// A minute after the last violation, and each minute until no rule waits for another point.
pub(super) fn look_again(decision: &mut Decision<'_>, device: &str) -> Result<(), Fault> {
    let Some(mut status) = decision.status(device)? else {
        return Ok(());
    };
    let mut window = decision
        .load::<Violations>(state::violations(device))?
        .unwrap_or_default();
    let lately = policy::count_violations(&mut window, 0, decision.now);
    decision.observe(&mut status, policy::VIOLATIONS, lately as f64)?;
    if lately > 0 || is_alerted(decision, &status)? {
        decision.out.put(state::violations(device), &window);
        decision.out.wake_at(
            violations_key(device),
            decision.now.saturating_add(policy::VIOLATIONS_MS),
        );
    } else {
        decision.out.delete(state::violations(device));
    }
    decision.save(&status);
    Ok(())
}

fn is_alerted(decision: &Decision<'_>, status: &DeviceStatus) -> Result<bool, Fault> {
    let rules = decision.list::<contract::v1::Rule>(&state::watches(policy::VIOLATIONS), None, RULES_MAX)?;
    for (rule, _) in rules {
        if decision
            .load::<Points>(state::points(&rule, &status.device_id))?
            .is_some()
        {
            return Ok(true);
        }
    }
    Ok(false)
}
