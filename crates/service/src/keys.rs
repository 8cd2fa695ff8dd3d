//! The keys of a service's store. One letter says what sort of record; numbers are big-endian, so
//! that their order is the key order.

use contract::id::{Principal, ServiceName};

/// The service's own records: `s` then the service's key.
pub(crate) const STATE: &[u8] = b"s";
/// Events by sequence.
pub(crate) const EVENT: &[u8] = b"e";
/// Own facts by entity and id.
pub(crate) const FACT: &[u8] = b"f";
/// Own facts by sequence.
pub(crate) const FACT_INDEX: &[u8] = b"F";
/// Principals by when the oldest of their kept answers ends, or earlier.
pub(crate) const ANSWERS_END: &[u8] = b"D";
/// Wake-ups by time.
pub(crate) const WAKE: &[u8] = b"w";
/// Effects whose result is not known.
pub(crate) const EFFECT: &[u8] = b"q";
/// Requests to other services without an answer.
pub(crate) const REQUEST: &[u8] = b"r";
/// The last event and fact sequence.
pub(crate) const HEADS: &[u8] = b"h";
/// The last event that the broker has taken.
pub(crate) const OUTBOX: &[u8] = b"o";
/// The bootstrap requests have been decided.
pub(crate) const BOOTSTRAPPED: &[u8] = b"b";

/// The audit log by sequence.
pub(crate) const AUDIT: &[u8] = b"j";
/// Requests that wait for approval.
pub(crate) const HELD: &[u8] = b"p";
/// How far the audit log has come.
pub(crate) const AUDIT_STATE: &[u8] = b"J";

/// Every sort of record in words, by its letter.
pub(crate) const KINDS: [(&[u8], &str); 22] = [
    (STATE, "own records"),
    (EVENT, "events"),
    (b"n", "sequences of subjects"),
    (FACT, "facts"),
    (FACT_INDEX, "facts by sequence"),
    (b"x", "copies of others' facts"),
    (b"c", "cursors in others' facts"),
    (b"d", "kept answers"),
    (ANSWERS_END, "ends of kept answers"),
    (b"a", "rings of kept answers"),
    (b"A", "places in rings of kept answers"),
    (WAKE, "wake-ups by time"),
    (b"W", "wake-ups by name"),
    (EFFECT, "effects"),
    (REQUEST, "requests to other services"),
    (b"t", "tickets of answers to come"),
    (HEADS, "last sequences"),
    (OUTBOX, "outbox cursor"),
    (BOOTSTRAPPED, "bootstrap mark"),
    (HELD, "requests that wait for approval"),
    (AUDIT, "audit log"),
    (AUDIT_STATE, "end of the audit log"),
];

fn join(letter: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut key = letter.to_vec();
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            key.push(0);
        }
        key.extend_from_slice(part);
    }
    key
}

pub(crate) fn state(key: &[u8]) -> Vec<u8> {
    join(STATE, &[key])
}

pub(crate) fn event(sequence: u64) -> Vec<u8> {
    join(EVENT, &[&sequence.to_be_bytes()])
}

pub(crate) fn audit(sequence: u64) -> Vec<u8> {
    join(AUDIT, &[&sequence.to_be_bytes()])
}

pub(crate) fn held(approval: &str) -> Vec<u8> {
    join(HELD, &[approval.as_bytes()])
}

pub(crate) fn subject(subject: &str) -> Vec<u8> {
    join(b"n", &[subject.as_bytes()])
}

pub(crate) fn fact(entity: &str, id: &str) -> Vec<u8> {
    join(FACT, &[entity.as_bytes(), id.as_bytes()])
}

pub(crate) fn fact_index(sequence: u64) -> Vec<u8> {
    join(FACT_INDEX, &[&sequence.to_be_bytes()])
}

/// A copy of another service's fact.
pub(crate) fn copy(owner: ServiceName, entity: &str, id: &str) -> Vec<u8> {
    join(b"x", &[owner.word().as_bytes(), entity.as_bytes(), id.as_bytes()])
}

/// All copies of one owner's facts.
pub(crate) fn copies(owner: ServiceName) -> Vec<u8> {
    let mut key = join(b"x", &[owner.word().as_bytes()]);
    key.push(0);
    key
}

/// Entity and id of a copy's key.
pub(crate) fn split_copy(owner: ServiceName, key: &[u8]) -> Option<(String, String)> {
    let rest = std::str::from_utf8(key.strip_prefix(copies(owner).as_slice())?).ok()?;
    let (entity, id) = rest.split_once('\0')?;
    Some((entity.to_owned(), id.to_owned()))
}

pub(crate) fn cursor(owner: ServiceName) -> Vec<u8> {
    join(b"c", &[owner.word().as_bytes()])
}

pub(crate) fn answer(who: &Principal, verb: &str, request_id: &str) -> Vec<u8> {
    join(
        b"d",
        &[who.to_string().as_bytes(), verb.as_bytes(), request_id.as_bytes()],
    )
}

/// When somebody's kept answers are to be looked at.
pub(crate) fn answers_end(at_ms: i64, who: &Principal) -> Vec<u8> {
    join(ANSWERS_END, &[&time(at_ms), who.to_string().as_bytes()])
}

/// The time in such a key, and whose answers they are.
pub(crate) fn split_answers_end(key: &[u8]) -> Option<(i64, Principal)> {
    let (at_ms, who) = split_time(key.strip_prefix(ANSWERS_END)?)?;
    Some((at_ms, who.parse().ok()?))
}

/// Where a principal's ring of kept answers begins and ends.
pub(crate) fn ring(who: &Principal) -> Vec<u8> {
    join(b"a", &[who.to_string().as_bytes()])
}

/// One place of a principal's ring.
pub(crate) fn ring_slot(who: &Principal, slot: u64) -> Vec<u8> {
    join(b"A", &[who.to_string().as_bytes(), &slot.to_be_bytes()])
}

pub(crate) fn wake(at_ms: i64, key: &str) -> Vec<u8> {
    join(WAKE, &[&time(at_ms), key.as_bytes()])
}

/// What comes before every wake-up of this time, and after those of any time before it.
pub(crate) fn wakes_from(at_ms: i64) -> Vec<u8> {
    join(WAKE, &[&time(at_ms)])
}

/// The time and name in a wake-up's key.
pub(crate) fn split_wake(key: &[u8]) -> Option<(i64, String)> {
    let (at_ms, name) = split_time(key.strip_prefix(WAKE)?)?;
    Some((at_ms, name.to_owned()))
}

/// A time at the beginning, and the name that follows it.
fn split_time(rest: &[u8]) -> Option<(i64, &str)> {
    let (at, name) = rest.split_at_checked(8)?;
    let at = u64::from_be_bytes(at.try_into().ok()?);
    let name = std::str::from_utf8(name.get(1..)?).ok()?;
    Some((i64::try_from(at).ok()?, name))
}

pub(crate) fn wake_time(key: &str) -> Vec<u8> {
    join(b"W", &[key.as_bytes()])
}

pub(crate) fn effect(id: &str) -> Vec<u8> {
    join(EFFECT, &[id.as_bytes()])
}

pub(crate) fn request(tag: &str) -> Vec<u8> {
    join(REQUEST, &[tag.as_bytes()])
}

pub(crate) fn ticket(ticket: &str) -> Vec<u8> {
    join(b"t", &[ticket.as_bytes()])
}

/// A time as eight bytes in key order; times before 1970 count as 1970.
fn time(at_ms: i64) -> [u8; 8] {
    u64::try_from(at_ms).unwrap_or_default().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wakes_sort_by_time_and_split() {
        assert!(wake(9, "b") < wake(10, "a"));
        assert_eq!(split_wake(&wake(77, "retire/x")), Some((77, "retire/x".into())));
        assert!(wake(76, "z") < wakes_from(77) && wakes_from(77) < wake(77, ""));
    }

    #[test]
    fn ends_of_answers_sort_by_time_and_split() {
        let who: Principal = "devices/pump-7".parse().unwrap();
        assert!(answers_end(9, &who) < answers_end(10, &who));
        assert_eq!(split_answers_end(&answers_end(77, &who)), Some((77, who)));
        assert_eq!(split_answers_end(b"D1234567"), None);
    }

    #[test]
    fn every_letter_is_named_once() {
        let letters: std::collections::BTreeSet<_> = KINDS.iter().map(|(letter, _)| letter).collect();
        assert_eq!(letters.len(), KINDS.len());
        let who = "devices/pump-7".parse().unwrap();
        let keys = [
            state(b"k"),
            event(1),
            subject("s"),
            fact("e", "i"),
            fact_index(1),
            copy(ServiceName::Registry, "e", "i"),
            cursor(ServiceName::Registry),
            answer(&who, "v", "r"),
            answers_end(1, &who),
            ring(&who),
            ring_slot(&who, 1),
            wake(1, "k"),
            wake_time("k"),
            effect("e"),
            request("t"),
            ticket("t"),
            audit(1),
            held("ap-1"),
        ];
        for key in keys {
            assert!(letters.contains(&&key[..1]), "{}", key.escape_ascii());
        }
    }

    #[test]
    fn copies_split() {
        let key = copy(ServiceName::Registry, "device", "pump-7");
        assert_eq!(
            split_copy(ServiceName::Registry, &key),
            Some(("device".into(), "pump-7".into()))
        );
    }
}
