//! What keeps one client from harming others. Each has a default that is stated here, with its reason.

use contract::limits;

/// The front door's limits.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections of principals at the same time.
    pub connections: usize,
    /// Connections that have not said who they are yet, beside those: what two cores can shake hands with in
    /// about two seconds, so that whoever waits behind them does not wait long.
    pub handshakes: usize,
    /// Connections of one address (IPv6: of one /64 network) at the same time: a whole site may be behind one.
    pub per_address: usize,
    /// Connections a second, all addresses together: half of what two cores shake hands with, so that the other half
    /// is left for those who are in; a fleet of 20,000 is back in twenty seconds. Those beyond it wait: whoever is
    /// turned away comes again at once. 0 is any number, as for the other rates.
    pub accepts_per_second: u32,
    /// Logins of one person from one address that may fail before the next is not looked at for a while: people
    /// mistype.
    pub login_tries: u32,
    /// The same of one address, whomever it names: some people may be behind one.
    pub login_tries_per_address: u32,
    /// Passwords of one person that may fail from anywhere before the next is not looked at for a while: they can be
    /// guessed from many addresses. Their tokens open all the same.
    pub login_tries_per_person: u32,
    /// Passwords that are looked at or wait for it: two at a time take about a second and a half for all.
    pub logins: usize,
    /// The longest such pause, milliseconds: a person waits so long, a guesser gets nowhere.
    pub login_pause_ms: u64,
    /// How long somebody may be silent when others wait for the place, milliseconds: a handshake over a slow
    /// mobile network has a chance.
    pub silent_ms: u64,
    /// How often a minute somebody may take its own session over: a network that breaks every five seconds.
    pub takeovers_per_minute: u32,
    /// Sessions of one device: itself, a second while it changes networks, a technician's.
    pub sessions_per_device: usize,
    /// Sessions of one operator or integrator: people have many terminals.
    pub sessions_per_person: usize,
    /// Connections that hope for the same id: anybody of a batch may choose any.
    pub claims_per_id: usize,
    /// Connections of claims at the same time, all batches together.
    pub claims: usize,
    /// First certificates that one address (IPv6: one /64 network) asks for in a minute, and as many at once; the machine
    /// itself any number. Twenty a second are less than half of what one batch gives: the others get in as well, and a
    /// factory's 5,000 devices behind one address do within four minutes. 0 is any number.
    pub enrolments_per_address: u32,
    /// Largest CONNECT, bytes: whoever is not let in yet holds no more than that, and all of them together no more than
    /// 64 MiB. A will of some 30 KiB has room.
    pub hello_bytes: u32,
    /// Largest MQTT packet from a principal, bytes: the largest payload, a topic and its properties.
    pub packet_bytes: u32,
    /// Publishes of one connection a second, and whatever costs others as much: each filter of a SUBSCRIBE or an
    /// UNSUBSCRIBE, pings, a PUBREL of nothing. It is a hundredth of what two cores decide, and far more
    /// than a device has to say.
    pub publishes_per_second: u32,
    /// Bytes from one connection a second: an image of 100 MB is there in twelve seconds, and a connection of a
    /// hundred megabits is full.
    pub bytes_per_second: u32,
    /// Publishes of one connection that wait for their acknowledgement.
    pub receive_maximum: u16,
    /// Messages at QoS 1 or 2 that one client leaves unacknowledged, whatever it says it takes: enough to fill a long
    /// line, and little to send again.
    pub in_flight: u16,
    /// User properties of a publish or a will (MQTT 5): each costs far more than its bytes, here and at whoever gets it.
    pub properties: usize,
    /// Packet ids of one connection that wait for their PUBREL. MQTT 5 clients stay below the receive maximum;
    /// those of MQTT 3.1.1 know of none.
    pub exactly_once: usize,
    /// Topics that a client may name by number (MQTT 5).
    pub topic_aliases: u16,
    /// Requests of principals that wait for one service.
    pub window: usize,
    /// Their bytes.
    pub window_bytes: usize,
    /// Messages for a service that carry no promise (heartbeats), the newest of each sender.
    pub receipts: usize,
    /// Subscriptions of one connection.
    pub subscriptions: usize,
    /// Messages that wait for one connection: several pages of replay.
    pub queue: usize,
    /// Their bytes.
    pub queue_bytes: usize,
    /// How long a session is kept without a connection, at most, seconds: a night and the day after it.
    pub session_expiry_s: u32,
    /// Sessions of one device that are kept without a connection.
    pub kept_per_device: usize,
    /// Sessions of one operator or integrator that are.
    pub kept_per_person: usize,
    /// Such sessions of devices, and as many of everybody else, beside them.
    pub kept: usize,
    /// What waits for a device's: some answers, and an order or two.
    pub kept_for_device: Hoard,
    /// What waits for a person's: the events of a while.
    pub kept_for_person: Hoard,
    /// Bytes of all that waits for all of them.
    pub kept_bytes: usize,
    /// Bytes of all retained messages.
    pub retained_bytes: usize,
    /// Time for the CONNECT packet, milliseconds; the TLS handshake has as much.
    pub connect_ms: u64,
    /// How long a request may wait for its service before the connection is closed, milliseconds.
    /// The client then sends it again: what could succeed later is never rejected.
    pub give_up_ms: u64,
    /// How long a client may take nothing of what waits for it while it is not read for that reason,
    /// milliseconds: what waits then is 256 KiB, so that this is about 4 KiB a second.
    pub stalled_ms: u64,
    /// Longest silence of a client that asked for none to be noticed, seconds; MQTT 5 clients are told.
    pub keep_alive_s: u16,
    /// How long after its end a device's certificate still asks for the next one, milliseconds: a month in a
    /// drawer, as long as a device may be away before its certificate ends.
    pub renew_after_ms: u64,
}

/// How much may wait for one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hoard {
    /// Messages.
    pub messages: usize,
    /// Their bytes.
    pub bytes: usize,
}

/// File descriptors for what is no principal's connection: databases, services, HTTP, logs.
const OTHER_FILES: usize = 512;

impl Limits {
    /// Sockets of principals at the same time.
    pub(crate) fn sockets(&self) -> usize {
        self.connections.saturating_add(self.handshakes)
    }

    /// The limits that a process with so many file descriptors can keep.
    #[must_use]
    pub fn within(self, descriptors: u64) -> Limits {
        let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
        let room = descriptors.saturating_sub(OTHER_FILES).max(descriptors / 2);
        if self.sockets() <= room {
            return self;
        }
        let handshakes = self.handshakes.min(room / 4).max(1);
        Limits {
            handshakes,
            connections: self.connections.min(room.saturating_sub(handshakes)).max(1),
            ..self
        }
    }

    /// Connections that only operators may take.
    pub(crate) fn operator_reserve(&self) -> usize {
        (self.connections / 64).min(64)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 20_000,
            handshakes: 2_048,
            per_address: 10_000,
            accepts_per_second: 1_000,
            login_tries: 5,
            login_tries_per_address: 20,
            login_tries_per_person: 50,
            logins: 64,
            login_pause_ms: 60_000,
            silent_ms: 2_000,
            takeovers_per_minute: 12,
            sessions_per_device: 3,
            sessions_per_person: 16,
            claims_per_id: 2,
            claims: 5_000,
            enrolments_per_address: 1_200,
            hello_bytes: 32 * 1024,
            packet_bytes: limits::PAYLOAD_BYTES as u32 + 4 * 1024,
            publishes_per_second: 1_000,
            bytes_per_second: 8 * 1024 * 1024,
            receive_maximum: 64,
            in_flight: 256,
            properties: 64,
            exactly_once: 1_024,
            topic_aliases: 8,
            window: 16_384,
            window_bytes: 64 * 1024 * 1024,
            receipts: 65_536,
            subscriptions: 64,
            queue: 8_192,
            queue_bytes: 16 * 1024 * 1024,
            session_expiry_s: 86_400,
            kept_per_device: 3,
            kept_per_person: 4,
            kept: 20_000,
            kept_for_device: Hoard {
                messages: 128,
                bytes: 256 * 1024,
            },
            kept_for_person: Hoard {
                messages: 2_048,
                bytes: 4 * 1024 * 1024,
            },
            kept_bytes: 128 * 1024 * 1024,
            retained_bytes: 32 * 1024 * 1024,
            connect_ms: 10_000,
            give_up_ms: 30_000,
            stalled_ms: 60_000,
            keep_alive_s: 1_200,
            renew_after_ms: 30 * 86_400_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_promised_fits_the_file_descriptors() {
        for descriptors in [64, 256, 1_024, 4_096, 20_000, 65_536, u64::MAX] {
            let limits = Limits::default().within(descriptors);
            assert!(
                (limits.sockets() as u64) < descriptors,
                "{descriptors}: {limits:?}"
            );
            assert!(limits.handshakes > 0 && limits.connections >= limits.handshakes);
        }
        let enough = Limits::default().within(65_536);
        assert_eq!((enough.connections, enough.handshakes), (20_000, 2_048));
        assert_eq!(Limits::default().within(4_096).connections, 2_688);
    }
}
