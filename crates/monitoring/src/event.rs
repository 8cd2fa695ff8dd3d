//! The only place where events and facts are made. Data is in the form of the contract's JSON: enums by name, 64-bit
//! numbers as strings.

use contract::v1::{Alert, Connectivity, DeviceStatus, Presence, Rule, SecurityNotice, StatusFact};
use serde_json::{Value, json};
use service::{FactDraft, Outcome};

use crate::request::cut;

/// A device is there.
pub(crate) fn online(out: &mut Outcome, status: &DeviceStatus, was: Connectivity, since_ms: i64) {
    let mut data = session(status);
    data["was"] = was.as_str_name().into();
    data["since_ms"] = since_ms.to_string().into();
    out.event(device(status), "online", data);
}

/// A device has been away for longer than the grace.
pub(crate) fn offline(out: &mut Outcome, status: &DeviceStatus, away_since_ms: i64) {
    let mut data = session(status);
    data["cause"] = status.cause.as_str().into();
    data["reason"] = status.reason.as_str().into();
    data["away_since_ms"] = away_since_ms.to_string().into();
    out.event(device(status), "offline", data);
}

/// A device's session was taken over from elsewhere; the device is there.
pub(crate) fn taken_over(out: &mut Outcome, status: &DeviceStatus, former: &Presence) {
    let mut data = session(status);
    data["cause"] = cut(&former.cause).into();
    data["former"] = json!({
        "address": cut(&former.address),
        "client_id": cut(&former.client_id),
        "serial": cut(&former.serial),
        "boot": former.boot.to_string(),
        "session": former.session.to_string(),
    });
    out.event(device(status), "taken-over", data);
}

/// A device's newest session.
fn session(status: &DeviceStatus) -> Value {
    json!({
        "address": status.address,
        "protocol": status.protocol,
        "keep_alive_s": status.keep_alive_s,
        "client_id": status.client_id,
        "serial": status.serial,
        "tls": status.tls,
        "boot": status.boot.to_string(),
        "session": status.session.to_string(),
    })
}

/// A device tried what it may not.
pub(crate) fn security(out: &mut Outcome, status: &DeviceStatus, notice: &SecurityNotice, lately: u64) {
    let data = json!({
        "what": cut(&notice.what),
        "detail": cut(&notice.detail),
        "address": cut(&notice.address),
        "serial": cut(&notice.serial),
        "count": notice.count,
        "last_minute": lately.to_string(),
    });
    out.event(device(status), "security", data);
}

/// Somebody else than a device that is watched tried what they may not.
pub(crate) fn stranger(out: &mut Outcome, notice: &SecurityNotice) {
    let data = json!({
        "kind": cut(&notice.kind),
        "id": cut(&notice.id),
        "what": cut(&notice.what),
        "detail": cut(&notice.detail),
        "address": cut(&notice.address),
        "serial": cut(&notice.serial),
        "batch": cut(&notice.batch),
        "count": notice.count,
    });
    out.event(client(notice), "security", data);
}

/// An operator closed somebody's connections.
pub(crate) fn kicked(out: &mut Outcome, notice: &SecurityNotice) {
    let data = json!({
        "kind": cut(&notice.kind),
        "id": cut(&notice.id),
        "by": cut(&notice.by),
        "reason": cut(&notice.detail),
        "address": cut(&notice.address),
        "count": notice.count,
    });
    out.event(client(notice), "kicked", data);
}

/// Somebody tried to log in in somebody's name.
pub(crate) fn login_failed(out: &mut Outcome, notice: &SecurityNotice) {
    let data = json!({
        "kind": cut(&notice.kind),
        "id": cut(&notice.id),
        "why": cut(&notice.detail),
        "address": cut(&notice.address),
        "count": notice.count,
    });
    out.event(client(notice), "login-failed", data);
}

/// An alert is open.
pub(crate) fn raised(out: &mut Outcome, alert: &Alert) {
    out.event(subject(alert), "raised", data(alert, &alert.detail));
}

/// An alert is over.
pub(crate) fn cleared(out: &mut Outcome, alert: &Alert, detail: &str) {
    out.event(subject(alert), "cleared", data(alert, detail));
}

/// A rule was made, changed or removed.
pub(crate) fn rule_changed(out: &mut Outcome, rule: &Rule, removed: bool) {
    let data = json!({
        "metric": rule.metric,
        "comparison": rule.comparison().as_str_name(),
        "threshold": rule.threshold,
        "severity": rule.severity().as_str_name(),
        "response": rule.response().as_str_name(),
        "version": rule.version.to_string(),
        "removed": removed,
    });
    out.event(format!("rules/{}", rule.rule_id), "changed", data);
}

/// What others need to know of a device. One in its grace counts as online, so that a short break of a fleet is
/// told to nobody.
pub(crate) fn fact_of(status: &DeviceStatus) -> StatusFact {
    let (connectivity, last_seen_ms) = match status.connectivity() {
        Connectivity::Grace => (Connectivity::Online, 0),
        other => (other, status.last_seen_ms),
    };
    StatusFact {
        device_id: status.device_id.clone(),
        connectivity: connectivity.into(),
        last_seen_ms,
        alerts: status.open.clone(),
        refused: status.refused.clone(),
    }
}

/// Tells it; what is known already is not told again.
pub(crate) fn status(out: &mut Outcome, status: &DeviceStatus) {
    out.fact("status", status.device_id.as_str(), &fact_of(status));
}

/// A device is watched no longer.
pub(crate) fn forgotten(out: &mut Outcome, device: &str) {
    out.facts.push(FactDraft {
        entity: "status",
        id: device.into(),
        value: None,
    });
}

fn device(status: &DeviceStatus) -> String {
    format!("devices/{}", status.device_id)
}

fn client(notice: &SecurityNotice) -> String {
    format!("clients/{}.{}", notice.kind, notice.id)
}

fn subject(alert: &Alert) -> String {
    format!("alerts/{}", alert.alert_id)
}

fn data(alert: &Alert, detail: &str) -> Value {
    json!({
        "device_id": alert.device_id,
        "rule_id": alert.rule_id,
        "severity": alert.severity().as_str_name(),
        "detail": detail,
        "value": alert.value,
        "raised_at_ms": alert.raised_at_ms.to_string(),
    })
}
