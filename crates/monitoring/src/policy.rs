//! The rules of monitoring, each a small function over values.

use std::net::SocketAddr;

use contract::v1::{
    Comparison, Criticality, DeviceFact, DeviceStatus, Heartbeat, Presence, Restriction, Rule, Severity,
    Stage,
};

use crate::state::{Points, Second, Violations};

/// The rule that is built in: a device is away for longer than the grace.
pub(crate) const OFFLINE: &str = "offline";
/// Metrics that no device can send.
pub(crate) const OWN_METRICS: &str = "security.";
/// Violations of the last minute.
pub(crate) const VIOLATIONS: &str = "security.violations";
/// The minute in it.
pub(crate) const VIOLATIONS_MS: i64 = 60_000;
/// A whole fleet needs longer to come back than one device: graces after a restart of the front door.
pub(crate) const RESTART_GRACES: i64 = 4;
/// A grace that ends later than this was slept through, by this service or by the clock: it says nothing
/// of the device, which is given another.
pub(crate) const OVERSLEPT_MS: i64 = 10_000;

/// What a point means for a rule's alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing yet.
    Stays,
    /// It is raised.
    Raised,
    /// It is over.
    Cleared,
}

/// Whether a value is on the wrong side.
pub(crate) fn is_beyond(rule: &Rule, value: f64) -> bool {
    match rule.comparison() {
        Comparison::Above => value > rule.threshold,
        Comparison::Below => value < rule.threshold,
        Comparison::Unspecified => false,
    }
}

/// Adds a point to what a rule has seen.
pub(crate) fn observe(points: &mut Points, rule: &Rule, beyond: bool) -> Change {
    let open = !points.alert_id.is_empty();
    match (open, beyond) {
        (false, true) => {
            points.beyond += 1;
            if points.beyond >= rule.points_to_raise {
                Change::Raised
            } else {
                Change::Stays
            }
        }
        (false, false) => {
            points.beyond = 0;
            Change::Stays
        }
        (true, true) => {
            points.within = 0;
            Change::Stays
        }
        (true, false) => {
            points.within += 1;
            if points.within >= rule.points_to_clear {
                Change::Cleared
            } else {
                Change::Stays
            }
        }
    }
}

/// How bad it is that a device is lost. One that said goodbye is only worth a note.
pub(crate) fn severity_of_loss(criticality: Criticality, cause: &str) -> Severity {
    match criticality {
        _ if cause == "clean" => Severity::Low,
        Criticality::Low => Severity::Low,
        Criticality::Unspecified | Criticality::Medium => Severity::Medium,
        Criticality::High => Severity::High,
        Criticality::Critical => Severity::Critical,
    }
}

/// Whether anybody should be alarmed that a device is away: not when it is meant to be.
pub(crate) fn is_missed(fact: &DeviceFact) -> bool {
    fact.stage() != Stage::Retiring && fact.restriction() != Restriction::Suspended
}

/// Whether a device has a status.
pub(crate) fn is_watched(fact: &DeviceFact) -> bool {
    fact.stage() != Stage::Retired
}

/// Whether a heartbeat came before, or before another that is here already. Devices that count no boots
/// are taken at their word.
pub(crate) fn is_old(known: &DeviceStatus, heartbeat: &Heartbeat) -> bool {
    let same_boot = heartbeat.boot_count != 0 && heartbeat.boot_count == known.boot_count;
    let repeat = heartbeat.uptime_ms != 0
        && (heartbeat.uptime_ms, heartbeat.boot_count) == (known.uptime_ms, known.boot_count)
        && heartbeat.metrics == known.metrics;
    repeat || (same_boot && heartbeat.uptime_ms < known.uptime_ms)
}

/// How long a device that went may be away, by why it went.
pub(crate) fn graces(cause: &str) -> i64 {
    if cause == "server-shutdown" {
        RESTART_GRACES
    } else {
        1
    }
}

/// Whether a former session came from another address than the newest, or with another certificate.
pub(crate) fn is_elsewhere(newest: &DeviceStatus, former: &Presence) -> bool {
    // The port is another one each time.
    let host = |address: &str| address.parse::<SocketAddr>().map(|address| address.ip());
    host(&newest.address).ok() != host(&former.address).ok() || newest.serial != former.serial
}

/// Adds violations, forgets those older than the minute, and says how many are left.
pub(crate) fn count_violations(window: &mut Violations, count: u64, now: i64) -> u64 {
    window
        .lately
        .retain(|second| second.at_ms <= now && now - second.at_ms < VIOLATIONS_MS);
    let second = now - now.rem_euclid(1_000);
    match window.lately.last_mut() {
        _ if count == 0 => {}
        Some(last) if last.at_ms == second => last.count = last.count.saturating_add(count),
        _ => window.lately.push(Second { at_ms: second, count }),
    }
    window
        .lately
        .iter()
        .fold(0, |sum, second| sum.saturating_add(second.count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(raise: u32, clear: u32) -> Rule {
        Rule {
            points_to_raise: raise,
            points_to_clear: clear,
            ..Rule::default()
        }
    }

    /// Plays points (`!` beyond, `.` within) and writes what comes of each.
    fn play(rule: &Rule, points: &str) -> String {
        let mut seen = Points::default();
        let step = |c| match observe(&mut seen, rule, c == '!') {
            Change::Stays => ' ',
            Change::Raised => {
                seen = Points {
                    alert_id: "a".into(),
                    ..Points::default()
                };
                'R'
            }
            Change::Cleared => {
                seen = Points::default();
                'C'
            }
        };
        points.chars().map(step).collect()
    }

    #[test]
    fn points_in_a_row() {
        for (raise, clear, points, expected) in [
            (1, 1, "!.!.", "RCRC"),
            (3, 1, "!!.!!!!.", "     R C"),
            (1, 3, "!..!...", "R     C"),
            (2, 2, "!.!.!.!.", "        "),
            (2, 2, "!!.!.!..", " R     C"),
        ] {
            assert_eq!(play(&rule(raise, clear), points), expected, "{points}");
        }
    }

    #[test]
    fn sides() {
        let rule = |comparison: Comparison| Rule {
            comparison: comparison as i32,
            threshold: 5.0,
            ..Rule::default()
        };
        for (comparison, value, expected) in [
            (Comparison::Above, 5.1, true),
            (Comparison::Above, 5.0, false),
            (Comparison::Below, 4.9, true),
            (Comparison::Below, 5.0, false),
            (Comparison::Unspecified, 9.0, false),
        ] {
            assert_eq!(is_beyond(&rule(comparison), value), expected);
        }
    }

    #[test]
    fn old_heartbeats() {
        let known = DeviceStatus {
            uptime_ms: 500,
            boot_count: 3,
            ..DeviceStatus::default()
        };
        for (uptime_ms, boot_count, expected) in [
            (500, 3, true),
            (499, 3, true),
            (501, 3, false),
            (1, 4, false),
            (1, 0, false),
            (0, 3, true),
        ] {
            let heartbeat = Heartbeat {
                uptime_ms,
                boot_count,
                ..Heartbeat::default()
            };
            assert_eq!(
                is_old(&known, &heartbeat),
                expected,
                "{uptime_ms} in boot {boot_count}"
            );
        }
    }

    proptest! {
        #[test]
        fn the_window_is_bounded_and_right(steps in prop::collection::vec((0i64..5_000, 0u64..9), 0..200)) {
            let (mut window, mut now, mut all) = (Violations::default(), 0, Vec::new());
            for (passed, count) in steps {
                now += passed;
                all.push((now - now % 1_000, count));
                let sum = count_violations(&mut window, count, now);
                let expected: u64 = all.iter().filter(|(at, _)| now - at < VIOLATIONS_MS).map(|(_, n)| n).sum();
                prop_assert_eq!(sum, expected);
                prop_assert!(window.lately.len() <= 60);
            }
        }
    }
}
