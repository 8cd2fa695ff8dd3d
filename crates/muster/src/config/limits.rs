//! What keeps one client from harming others. What is not set is as the front door has it.

use std::{ops::RangeInclusive, time::Duration};

use broker::{Hoard, Limits};

use super::reader::Reader;

/// More tries than these are no limit: a password of a few thousand common ones would be found.
const LOGIN_TRIES: RangeInclusive<usize> = 1..=1_000;
/// Whatever is counted: one at least, else nobody could do anything.
const SOME: RangeInclusive<usize> = 1..=usize::MAX;
/// What travels in two bytes of MQTT.
const IDS: RangeInclusive<usize> = 1..=u16::MAX as usize;
/// An answer of the smallest service has room, and a packet is no way to fill the memory.
const PACKET_BYTES: RangeInclusive<usize> = 16 * 1024..=1024 * 1024;
/// A client id, a user name and a password have room.
const HELLO_BYTES: RangeInclusive<usize> = 1024..=1024 * 1024;
/// A keep-alive travels in two bytes.
const KEEP_ALIVE: RangeInclusive<Duration> = seconds(10)..=seconds(u16::MAX as u64);
/// A deadline that nobody can meet shuts everybody out.
const DEADLINE: RangeInclusive<Duration> = seconds(1)..=seconds(3_600);

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Those of the front door.
pub(super) fn read(reader: &mut Reader) -> Limits {
    let usual = Limits::default();
    let came_in = entrance(reader, usual);
    let stays = sessions(reader, came_in);
    packets(reader, stays)
}

/// Who comes in, and how fast.
fn entrance(reader: &mut Reader, usual: Limits) -> Limits {
    Limits {
        connections: reader.number("limits.connections", usual.connections, SOME),
        handshakes: reader.number("limits.handshakes", usual.handshakes, SOME),
        per_address: reader.number("limits.per_address", usual.per_address, SOME),
        accepts_per_second: reader.value("limits.accepts_per_second", usual.accepts_per_second),
        silent_ms: milliseconds(reader, "limits.silent", usual.silent_ms, &DEADLINE),
        connect_ms: milliseconds(reader, "limits.connect", usual.connect_ms, &DEADLINE),
        takeovers_per_minute: reader.value("limits.takeovers_per_minute", usual.takeovers_per_minute),
        login_tries: small(reader, "limits.login_tries", usual.login_tries, LOGIN_TRIES),
        login_tries_per_address: small(
            reader,
            "limits.login_tries_per_address",
            usual.login_tries_per_address,
            LOGIN_TRIES,
        ),
        login_tries_per_person: small(
            reader,
            "limits.login_tries_per_person",
            usual.login_tries_per_person,
            LOGIN_TRIES,
        ),
        login_pause_ms: milliseconds(
            reader,
            "limits.login_pause",
            usual.login_pause_ms,
            &(seconds(1)..=seconds(86_400)),
        ),
        logins: reader.number("limits.logins", usual.logins, 1..=10_000),
        ..usual
    }
}

/// How many sessions there are, and what is kept for them.
fn sessions(reader: &mut Reader, usual: Limits) -> Limits {
    Limits {
        sessions_per_device: reader.number("limits.sessions_per_device", usual.sessions_per_device, SOME),
        sessions_per_person: reader.number("limits.sessions_per_person", usual.sessions_per_person, SOME),
        claims_per_id: reader.number("limits.claims_per_id", usual.claims_per_id, SOME),
        claims: reader.number("limits.claims", usual.claims, SOME),
        enrolments_per_address: reader.value("limits.enrolments_per_address", usual.enrolments_per_address),
        session_expiry_s: whole_seconds(reader, "limits.session_expiry", usual.session_expiry_s),
        kept_per_device: reader.value("limits.kept_per_device", usual.kept_per_device),
        kept_per_person: reader.value("limits.kept_per_person", usual.kept_per_person),
        kept: reader.value("limits.kept", usual.kept),
        kept_for_device: Hoard {
            messages: reader.value("limits.kept_for_device.messages", usual.kept_for_device.messages),
            bytes: reader.value("limits.kept_for_device.bytes", usual.kept_for_device.bytes),
        },
        kept_for_person: Hoard {
            messages: reader.value("limits.kept_for_person.messages", usual.kept_for_person.messages),
            bytes: reader.value("limits.kept_for_person.bytes", usual.kept_for_person.bytes),
        },
        kept_bytes: reader.value("limits.kept_bytes", usual.kept_bytes),
        retained_bytes: reader.value("limits.retained_bytes", usual.retained_bytes),
        ..usual
    }
}

/// What one connection says and takes.
fn packets(reader: &mut Reader, usual: Limits) -> Limits {
    let packet_bytes = small(reader, "limits.packet_bytes", usual.packet_bytes, PACKET_BYTES);
    // A CONNECT is a packet.
    let hello_bytes = usual.hello_bytes.min(packet_bytes);
    Limits {
        hello_bytes: small(reader, "limits.hello_bytes", hello_bytes, HELLO_BYTES),
        packet_bytes,
        properties: reader.value("limits.properties", usual.properties),
        topic_aliases: small(reader, "limits.topic_aliases", usual.topic_aliases, 0..=1_024),
        publishes_per_second: reader.value("limits.publishes_per_second", usual.publishes_per_second),
        bytes_per_second: reader.value("limits.bytes_per_second", usual.bytes_per_second),
        receive_maximum: small(reader, "limits.receive_maximum", usual.receive_maximum, IDS),
        exactly_once: reader.number("limits.exactly_once", usual.exactly_once, IDS),
        in_flight: small(reader, "limits.in_flight", usual.in_flight, IDS),
        subscriptions: reader.number("limits.subscriptions", usual.subscriptions, SOME),
        queue: reader.number("limits.queue", usual.queue, SOME),
        queue_bytes: reader.number("limits.queue_bytes", usual.queue_bytes, SOME),
        stalled_ms: milliseconds(reader, "limits.stalled", usual.stalled_ms, &DEADLINE),
        give_up_ms: milliseconds(reader, "limits.give_up", usual.give_up_ms, &DEADLINE),
        keep_alive_s: keep_alive(reader, usual.keep_alive_s),
        ..usual
    }
}

/// A number that travels in less than a word.
fn small<T>(reader: &mut Reader, name: &'static str, usual: T, bounds: RangeInclusive<usize>) -> T
where
    T: Copy + TryInto<usize> + TryFrom<usize>,
{
    let default = usual.try_into().unwrap_or(usize::MAX);
    // What is not within the bounds is reported; the usual value stands in for it.
    T::try_from(reader.number(name, default, bounds)).unwrap_or(usual)
}

fn milliseconds(
    reader: &mut Reader,
    name: &'static str,
    usual_ms: u64,
    bounds: &RangeInclusive<Duration>,
) -> u64 {
    let usual = humantime::format_duration(Duration::from_millis(usual_ms)).to_string();
    let read = reader.duration_within(name, &usual, bounds.clone());
    u64::try_from(read.as_millis()).unwrap_or(u64::MAX)
}

fn whole_seconds(reader: &mut Reader, name: &'static str, usual_s: u32) -> u32 {
    let usual = humantime::format_duration(seconds(usual_s.into())).to_string();
    u32::try_from(reader.duration(name, &usual).as_secs()).unwrap_or(u32::MAX)
}

fn keep_alive(reader: &mut Reader, usual_s: u16) -> u16 {
    let usual = humantime::format_duration(seconds(usual_s.into())).to_string();
    let read = reader.duration_within("limits.keep_alive", &usual, KEEP_ALIVE);
    u16::try_from(read.as_secs()).unwrap_or(usual_s)
}
