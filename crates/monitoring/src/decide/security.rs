//! Somebody tried what they may not. Counted for devices, over the last minute. Or somebody was sent away.

use contract::{
    Id, Kind,
    notice::{KICKED, LOGIN_FAILED},
    v1::{DeviceStatus, SecurityNotice},
};
use service::Fault;

use crate::{
    alerting::RULES_MAX,
    audit,
    decision::Decision,
    event, policy, refusals,
    state::{self, Points, Violations},
};

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
    let kind = Kind::from_word(&notice.kind);
    if kind.is_none() || notice.id.parse::<Id>().is_err() {
        return Ok(());
    }
    match (kind, decision.status(&notice.id)?) {
        (Some(Kind::Device), Some(status)) => violated(decision, status, notice),
        (Some(Kind::Claim), Some(mut status)) => {
            // Whoever hopes to become a device is not the device: it counts for nothing.
            event::stranger(&mut decision.out, notice);
            if refusals::is_one(notice) {
                status.refused = Some(refusals::after(status.refused.as_ref(), notice));
                decision.save(&status);
            }
            Ok(())
        }
        _ => {
            event::stranger(&mut decision.out, notice);
            if refusals::is_one(notice) {
                refusals::keep(decision, notice)?;
            }
            Ok(())
        }
    }
}

/// A device that is watched.
fn violated(
    decision: &mut Decision<'_>,
    mut status: DeviceStatus,
    notice: &SecurityNotice,
) -> Result<(), Fault> {
    let count = u64::from(notice.count.max(1));
    let mut window = decision
        .load::<Violations>(state::violations(&notice.id))?
        .unwrap_or_default();
    let lately = policy::count_violations(&mut window, count, decision.now);
    status.violations = status.violations.saturating_add(count);
    if refusals::is_one(notice) {
        status.refused = Some(refusals::after(status.refused.as_ref(), notice));
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
