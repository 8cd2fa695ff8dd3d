//! The records and their keys. Ids hold no `/`, so keys are words and ids joined by it.
//!
//! | key | record |
//! |---|---|
//! | `status/{device}` | [`contract::v1::DeviceStatus`] |
//! | `seen/{device}` | [`crate::sessions::Seen`]: its sessions |
//! | `front-door` | [`FrontDoor`]: the boot and snapshot that count |
//! | `counters` | [`Counters`] |
//! | `rule/{rule}` | [`contract::v1::Rule`] |
//! | `watch/{metric}\|{rule}` | the same, by metric |
//! | `removing/{rule}` | a mark while a removed rule's alerts are cleared |
//! | `points/{rule}/{device}` | [`Points`]: what a rule has seen of a device; none when all is well |
//! | `alert/{alert}` | [`contract::v1::Alert`], in the order of time |
//! | `open/{alert}` | the same, the open ones |
//! | `cleared/{device}/{alert}` | a mark for each cleared alert that is kept |
//! | `violations/{device}` | [`Violations`] of the last minute |
//! | `refused/{kind}/{id}` | [`contract::v1::RefusedTry`] of somebody who is no watched device |
//! | `refused-at/{ms}/{kind}/{id}` | a mark for each, in the order of time |

use prost::Message;

/// The fleet in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Counters {
    #[prost(uint64, tag = "1")]
    pub(crate) online: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) offline: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) grace: u64,
    #[prost(uint64, tag = "4")]
    pub(crate) never: u64,
    #[prost(uint64, tag = "5")]
    pub(crate) open_alerts: u64,
    /// How many alerts there have ever been.
    #[prost(uint64, tag = "6")]
    pub(crate) alerts: u64,
    /// Records of somebody who was not let in.
    #[prost(uint64, tag = "7")]
    pub(crate) refused: u64,
}

/// What the front door has last said of itself.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct FrontDoor {
    #[prost(uint64, tag = "1")]
    pub(crate) boot: u64,
    /// The newest snapshot that was begun.
    #[prost(uint64, tag = "2")]
    pub(crate) snapshot: u64,
    /// The snapshot whose absentees are being looked for; 0: those of older boots alone.
    #[prost(uint64, tag = "3")]
    pub(crate) sought: u64,
    /// The last device that was looked at in search of absentees.
    #[prost(string, tag = "4")]
    pub(crate) sought_to: String,
}

/// What a rule has seen of a device.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Points {
    /// Points in a row beyond the threshold.
    #[prost(uint32, tag = "1")]
    pub(crate) beyond: u32,
    /// Points in a row within it, while an alert is open.
    #[prost(uint32, tag = "2")]
    pub(crate) within: u32,
    /// The open alert; empty when there is none.
    #[prost(string, tag = "3")]
    pub(crate) alert_id: String,
}

/// What a device tried lately and may not.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Violations {
    /// One entry a second at most, oldest first.
    #[prost(message, repeated, tag = "1")]
    pub(crate) lately: Vec<Second>,
}

/// Violations within a second.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Second {
    #[prost(int64, tag = "1")]
    pub(crate) at_ms: i64,
    #[prost(uint64, tag = "2")]
    pub(crate) count: u64,
}

/// A key that only says that something is so.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Mark {}

pub(crate) const FRONT_DOOR: &str = "front-door";
pub(crate) const COUNTERS: &str = "counters";
pub(crate) const STATUSES: &str = "status/";
pub(crate) const RULES: &str = "rule/";
pub(crate) const ALERTS: &str = "alert/";
pub(crate) const OPEN_ALERTS: &str = "open/";
pub(crate) const REFUSED_AT: &str = "refused-at/";

pub(crate) fn status(device: &str) -> String {
    format!("{STATUSES}{device}")
}

pub(crate) fn seen(device: &str) -> String {
    format!("seen/{device}")
}

pub(crate) fn rule(rule: &str) -> String {
    format!("{RULES}{rule}")
}

pub(crate) fn watches(metric: &str) -> String {
    format!("watch/{metric}|")
}

pub(crate) fn watch(metric: &str, rule: &str) -> String {
    format!("watch/{metric}|{rule}")
}

pub(crate) fn removing(rule: &str) -> String {
    format!("removing/{rule}")
}

pub(crate) fn points_of(rule: &str) -> String {
    format!("points/{rule}/")
}

pub(crate) fn points(rule: &str, device: &str) -> String {
    format!("points/{rule}/{device}")
}

pub(crate) fn alert(id: &str) -> String {
    format!("{ALERTS}{id}")
}

pub(crate) fn open_alert(id: &str) -> String {
    format!("{OPEN_ALERTS}{id}")
}

pub(crate) fn cleared_of(device: &str) -> String {
    format!("cleared/{device}/")
}

pub(crate) fn refused(kind: &str, id: &str) -> String {
    format!("refused/{kind}/{id}")
}

pub(crate) fn refused_at(ms: i64, kind: &str, id: &str) -> String {
    format!("{REFUSED_AT}{:016x}/{kind}/{id}", ms.max(0))
}

pub(crate) fn violations(device: &str) -> String {
    format!("violations/{device}")
}
