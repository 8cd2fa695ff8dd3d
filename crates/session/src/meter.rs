//! Each limit by name, and how often it was met: what an operator reads of it.

use contract::{
    limits::{TOPIC_BYTES, TOPIC_LEVELS},
    topic::TooLong,
};

use crate::limits::Limits;

macro_rules! limits {
    ($($name:ident = $word:literal, $unit:literal, $value:expr, $beyond:literal;)*) => {
        /// A limit of the front door. The names are those of [`Limits`]' fields.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs)] // each row says what it is
        pub enum Limit { $($name,)* }

        impl Limit {
            /// All of them, in the order in which they are told.
            pub const ALL: &'static [Limit] = &[$(Limit::$name),*];

            /// Its name.
            pub const fn word(self) -> &'static str {
                match self { $(Limit::$name => $word,)* }
            }

            /// What it counts.
            pub const fn unit(self) -> &'static str {
                match self { $(Limit::$name => $unit,)* }
            }

            /// What happens when it is met.
            pub const fn beyond(self) -> &'static str {
                match self { $(Limit::$name => $beyond,)* }
            }

            /// Its value.
            pub fn value(self, limits: &Limits) -> u64 {
                let value: fn(&Limits) -> u64 = match self { $(Limit::$name => $value,)* };
                value(limits)
            }
        }
    };
}

limits! {
    Connections = "connections", "connections", |l| l.connections as u64, "refused: server busy";
    OperatorReserve = "operator_reserve", "connections", |l| l.operator_reserve() as u64, "others than operators are refused: server busy";
    Handshakes = "handshakes", "connections", |l| l.handshakes as u64, "the longest silent makes way, or the newest is turned away";
    PerAddress = "per_address", "connections", |l| l.per_address as u64, "turned away";
    AcceptsPerSecond = "accepts_per_second", "connections a second", |l| u64::from(l.accepts_per_second), "waits before its handshake";
    Silent = "silent_ms", "ms", |l| l.silent_ms, "closed, as others wait";
    Connect = "connect_ms", "ms", |l| l.connect_ms, "closed before it was let in";
    TakeoversPerMinute = "takeovers_per_minute", "takeovers a minute", |l| u64::from(l.takeovers_per_minute), "refused: connection rate exceeded; the session that is there stays";
    LoginTries = "login_tries", "logins", |l| u64::from(l.login_tries), "that person's next one from there is not looked at for a while";
    LoginTriesPerAddress = "login_tries_per_address", "logins", |l| u64::from(l.login_tries_per_address), "the next one from there is not looked at for a while";
    LoginTriesPerPerson = "login_tries_per_person", "passwords", |l| u64::from(l.login_tries_per_person), "that person's next one is not looked at for a while";
    Logins = "logins", "passwords", |l| l.logins as u64, "refused: server busy";
    SessionsPerDevice = "sessions_per_device", "sessions", |l| l.sessions_per_device as u64, "refused: quota exceeded";
    SessionsPerPerson = "sessions_per_person", "sessions", |l| l.sessions_per_person as u64, "refused: quota exceeded";
    ClaimsPerId = "claims_per_id", "sessions", |l| l.claims_per_id as u64, "refused: quota exceeded";
    Claims = "claims", "sessions", |l| l.claims as u64, "refused: server busy";
    EnrolmentsPerAddress = "enrolments_per_address", "first certificates a minute", |l| u64::from(l.enrolments_per_address), "refused: limit, with when to come again";
    HelloBytes = "hello_bytes", "bytes", |l| u64::from(l.hello_bytes), "closed: packet too large";
    PacketBytes = "packet_bytes", "bytes", |l| u64::from(l.packet_bytes), "closed: packet too large";
    TopicBytes = "topic_bytes", "bytes", |_| TOPIC_BYTES as u64, "refused: topic name or filter invalid";
    TopicLevels = "topic_levels", "levels", |_| TOPIC_LEVELS as u64, "refused: topic name or filter invalid";
    Properties = "properties", "user properties", |l| l.properties as u64, "refused: quota exceeded";
    PublishesPerSecond = "publishes_per_second", "publishes a second", |l| u64::from(l.publishes_per_second), "not read until it may again";
    BytesPerSecond = "bytes_per_second", "bytes a second", |l| u64::from(l.bytes_per_second), "not read until it may again";
    ReceiveMaximum = "receive_maximum", "publishes", |l| u64::from(l.receive_maximum), "not read until one is acknowledged";
    InFlight = "in_flight", "messages", |l| u64::from(l.in_flight), "the rest waits in its queue";
    Unheld = "unheld", "requests at QoS 0", |l| u64::from(l.receive_maximum), "refused: busy";
    ExactlyOnce = "exactly_once", "packet ids", |l| l.exactly_once as u64, "closed: receive maximum exceeded";
    TopicAliases = "topic_aliases", "topics", |l| u64::from(l.topic_aliases), "closed: topic alias invalid";
    Window = "window", "requests", |l| l.window as u64, "not read until there is room";
    WindowBytes = "window_bytes", "bytes", |l| l.window_bytes as u64, "not read until there is room";
    Receipts = "receipts", "senders", |l| l.receipts as u64, "the newest of others is not kept";
    Subscriptions = "subscriptions", "filters", |l| l.subscriptions as u64, "that subscription is refused: quota exceeded";
    Queue = "queue", "messages", |l| l.queue as u64, "the oldest of devices' data goes, else closed: quota exceeded";
    QueueBytes = "queue_bytes", "bytes", |l| l.queue_bytes as u64, "the oldest of devices' data goes, else closed: quota exceeded";
    SessionExpiry = "session_expiry_s", "s", |l| u64::from(l.session_expiry_s), "granted so much and no more";
    KeptPerDevice = "kept_per_device", "sessions", |l| l.kept_per_device as u64, "the one that ends first is forgotten";
    KeptPerPerson = "kept_per_person", "sessions", |l| l.kept_per_person as u64, "the one that ends first is forgotten";
    Kept = "kept", "sessions", |l| l.kept as u64, "the newest is not kept";
    KeptDeviceMessages = "kept_for_device.messages", "messages", |l| l.kept_for_device.messages as u64, "the oldest event or data goes, else the session";
    KeptDeviceBytes = "kept_for_device.bytes", "bytes", |l| l.kept_for_device.bytes as u64, "the oldest event or data goes, else the session";
    KeptPersonMessages = "kept_for_person.messages", "messages", |l| l.kept_for_person.messages as u64, "the oldest event or data goes, else the session";
    KeptPersonBytes = "kept_for_person.bytes", "bytes", |l| l.kept_for_person.bytes as u64, "the oldest event or data goes, else the session";
    KeptBytes = "kept_bytes", "bytes", |l| l.kept_bytes as u64, "the oldest event or data goes, else the session";
    RetainedBytes = "retained_bytes", "bytes", |l| l.retained_bytes as u64, "the newest is not kept";
    GiveUp = "give_up_ms", "ms", |l| l.give_up_ms, "closed without an acknowledgement";
    Stalled = "stalled_ms", "ms", |l| l.stalled_ms, "closed: quota exceeded";
    KeepAlive = "keep_alive_s", "s", |l| u64::from(l.keep_alive_s), "closed: silent for one and a half of what was agreed";
}

impl From<TooLong> for Limit {
    fn from(too_long: TooLong) -> Limit {
        match too_long {
            TooLong::Bytes => Limit::TopicBytes,
            TooLong::Levels => Limit::TopicLevels,
        }
    }
}

/// How often each was met.
#[derive(Debug, Clone)]
pub struct Meter([u64; Limit::ALL.len()]);

impl Default for Meter {
    fn default() -> Meter {
        Meter([0; Limit::ALL.len()])
    }
}

impl Meter {
    /// It was met once more.
    pub(crate) fn count(&mut self, limit: Limit) {
        self.0[limit as usize] = self.0[limit as usize].saturating_add(1);
    }

    /// How often it was met.
    pub fn of(&self, limit: Limit) -> u64 {
        self.0[limit as usize]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_limit_stands_once_in_its_place() {
        let names: BTreeSet<_> = Limit::ALL.iter().map(|limit| limit.word()).collect();
        assert_eq!(names.len(), Limit::ALL.len());
        for (place, limit) in Limit::ALL.iter().enumerate() {
            assert_eq!(*limit as usize, place);
            assert!(limit.value(&Limits::default()) > 0, "{limit:?}");
        }
    }

    #[test]
    fn what_is_counted_is_told_of_that_limit_alone() {
        let mut meter = Meter::default();
        meter.count(Limit::Queue);
        meter.count(Limit::Queue);
        assert_eq!((meter.of(Limit::Queue), meter.of(Limit::Kept)), (2, 0));
    }
}
