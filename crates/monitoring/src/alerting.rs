//! Raising and clearing alerts. There is one open alert at most for a device and a rule.

use contract::{
    ServiceName,
    v1::{Alert, DeviceStatus, OpenAlert, Response, RestrictDevice, Restriction, Rule, Severity},
};
use service::Fault;

use crate::{
    decision::Decision,
    event,
    policy::{self, Change},
    state::{self, Mark, Points},
};

/// Rules there may be; each costs a look when a device is retired.
pub(crate) const RULES_MAX: usize = 256;
/// Cleared alerts that are kept of a device, so that one that flaps fills no disk.
const CLEARED_KEPT: usize = 32;

impl Decision<'_> {
    /// A device's metric has this value now: every rule about it gets a point.
    pub(crate) fn observe(
        &mut self,
        status: &mut DeviceStatus,
        metric: &str,
        value: f64,
    ) -> Result<(), Fault> {
        for (_, rule) in self.list::<Rule>(&state::watches(metric), None, RULES_MAX)? {
            let key = state::points(&rule.rule_id, &status.device_id);
            let former = self.load::<Points>(&key)?.unwrap_or_default();
            let mut points = former.clone();
            match policy::observe(&mut points, &rule, policy::is_beyond(&rule, value)) {
                Change::Raised => self.raise(status, &rule, value)?,
                Change::Cleared => {
                    let detail = format!("{metric} is {value}");
                    self.lift(&rule.rule_id, &status.device_id.clone(), Some(status), &detail)?;
                }
                Change::Stays if points == former => {}
                Change::Stays if points == Points::default() => self.out.delete(key),
                Change::Stays => self.out.put(key, &points),
            }
        }
        Ok(())
    }

    /// The built-in rule's alert.
    pub(crate) fn raise_offline(
        &mut self,
        status: &mut DeviceStatus,
        severity: Severity,
        detail: String,
    ) -> Result<(), Fault> {
        let key = state::points(policy::OFFLINE, &status.device_id);
        if self.load::<Points>(key)?.is_none() {
            let alert = Alert {
                rule_id: policy::OFFLINE.into(),
                detail,
                ..Alert::default()
            };
            self.open(
                status,
                Alert {
                    severity: severity as i32,
                    ..alert
                },
            );
        }
        Ok(())
    }

    /// Clears a rule's alert on a device, and forgets what the rule has seen of it.
    pub(crate) fn lift(
        &mut self,
        rule: &str,
        device: &str,
        status: Option<&mut DeviceStatus>,
        detail: &str,
    ) -> Result<(), Fault> {
        let key = state::points(rule, device);
        let Some(points) = self.load::<Points>(&key)? else {
            return Ok(());
        };
        self.out.delete(key);
        let Some(mut alert) = self.load::<Alert>(state::open_alert(&points.alert_id))? else {
            return Ok(());
        };
        alert.open = false;
        alert.cleared_at_ms = self.now;
        self.out.put(state::alert(&alert.alert_id), &alert);
        self.out.delete(state::open_alert(&alert.alert_id));
        self.counters.open_alerts = self.counters.open_alerts.saturating_sub(1);
        if let Some(status) = status {
            status.open_alerts = status.open_alerts.saturating_sub(1);
            status.open.retain(|open| open.rule_id != alert.rule_id);
        }
        event::cleared(&mut self.out, &alert, detail);
        self.keep_cleared(&alert)
    }

    fn raise(&mut self, status: &mut DeviceStatus, rule: &Rule, value: f64) -> Result<(), Fault> {
        let side = if value > rule.threshold { "above" } else { "below" };
        let alert = Alert {
            rule_id: rule.rule_id.clone(),
            severity: rule.severity,
            detail: format!("{} is {value}, {side} {}", rule.metric, rule.threshold),
            value,
            ..Alert::default()
        };
        let alert = self.open(status, alert);
        let free = self.fact(&status.device_id)?.is_some_and(|fact| {
            !matches!(
                fact.restriction(),
                Restriction::Quarantined | Restriction::Suspended
            )
        });
        if rule.response() == Response::Quarantine && free {
            let order = RestrictDevice {
                device_id: status.device_id.clone(),
                reason: format!(
                    "alert {} of rule {}: {}",
                    alert.alert_id, alert.rule_id, alert.detail
                ),
                ..RestrictDevice::default()
            };
            self.out
                .ask(alert.alert_id, ServiceName::Registry, "quarantine", &order);
        }
        Ok(())
    }

    fn open(&mut self, status: &mut DeviceStatus, alert: Alert) -> Alert {
        self.counters.alerts += 1;
        self.counters.open_alerts += 1;
        status.open_alerts += 1;
        let alert = Alert {
            // In the order of time, and unique even after a backup was restored.
            alert_id: format!("{:012x}-{:08x}", self.now.max(0), self.counters.alerts),
            device_id: status.device_id.clone(),
            open: true,
            raised_at_ms: self.now,
            ..alert
        };
        note_open(status, &alert);
        let points = Points {
            alert_id: alert.alert_id.clone(),
            ..Points::default()
        };
        self.out
            .put(state::points(&alert.rule_id, &alert.device_id), &points);
        self.out.put(state::alert(&alert.alert_id), &alert);
        self.out.put(state::open_alert(&alert.alert_id), &alert);
        event::raised(&mut self.out, &alert);
        alert
    }

    /// Marks a cleared alert, and drops the device's oldest when there are too many.
    fn keep_cleared(&mut self, alert: &Alert) -> Result<(), Fault> {
        let prefix = state::cleared_of(&alert.device_id);
        self.out.put(format!("{prefix}{}", alert.alert_id), &Mark {});
        let kept = self.list::<Mark>(&prefix, None, CLEARED_KEPT + 1)?;
        if let Some((oldest, _)) = kept.first().filter(|_| kept.len() > CLEARED_KEPT) {
            self.out.delete(state::alert(oldest));
            self.out.delete(format!("{prefix}{oldest}"));
        }
        Ok(())
    }
}

/// Writes an alert down in its device's status.
fn note_open(status: &mut DeviceStatus, alert: &Alert) {
    let place = status
        .open
        .binary_search_by(|open| open.rule_id.cmp(&alert.rule_id))
        .unwrap_or_else(|place| place);
    let open = OpenAlert {
        rule_id: alert.rule_id.clone(),
        severity: alert.severity,
    };
    status.open.insert(place, open);
}
