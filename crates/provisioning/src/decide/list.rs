//! The revocation lists, one of each authority and all at once: scheduled after a revocation, and again well before it ends.

use prost::Message;
use service::{Fault, Outcome};
use sha2::{Digest, Sha256};

use super::Situation;
use crate::{
    effects::{self, Entry, ListMade, ListOrder, Part},
    state::{self, ListState, RevokedEntry},
};

/// The wake-up that makes a list.
pub(super) const LIST_WAKE: &str = "list";
/// The word before the number in the id of the effect that makes a list.
pub(super) const MADE: &str = "crl-2-list";
/// The same for its parts: it sorts before, so that after a crash the parts run first again.
const PART: &str = "crl-1-part";
/// Bytes of one part: well below what a record may hold.
const PART_BYTES: usize = 32 * 1024;
/// Pause before a list that failed is tried again, milliseconds.
const AGAIN_MS: i64 = 60_000;

/// A list is due soon: revocations in quick succession come into one.
pub(super) fn schedule(s: &Situation<'_>, outcome: &mut Outcome) -> Result<(), Fault> {
    let list = load(s)?;
    if list.making > 0 {
        outcome.put(state::LIST, &ListState { stale: true, ..list });
    } else {
        outcome.wake_at(
            LIST_WAKE,
            s.now_ms.saturating_add_unsigned(s.service.settings.crl_delay_ms),
        );
    }
    Ok(())
}

/// Lists are due at once, for other authorities. One that is being made may be of those before.
pub(super) fn make_anew(s: &Situation<'_>, outcome: &mut Outcome) -> Result<(), Fault> {
    let list = load(s)?;
    if list.making > 0 {
        outcome.put(state::LIST, &ListState { stale: true, ..list });
    } else {
        outcome.wake_at(LIST_WAKE, s.now_ms);
    }
    Ok(())
}

/// No list comes with this number or a lower one, not even one that is being made; the next is due soon.
pub(super) fn go_on_above(s: &Situation<'_>, outcome: &mut Outcome, number: u64) -> Result<(), Fault> {
    let list = load(s)?;
    if list.making > 0 {
        outcome.no_effect(format!("{MADE}/{:016x}", list.making));
    }
    let above = ListState {
        tried: list.tried.max(number),
        making: 0,
        ..list
    };
    outcome.put(state::LIST, &above);
    outcome.wake_at(LIST_WAKE, s.now_ms);
    Ok(())
}

fn load(s: &Situation<'_>) -> Result<ListState, Fault> {
    Ok(s.view.load(state::LIST)?.unwrap_or_default())
}

/// Orders the next list. What had ended by itself when the last one was made is left out and forgotten.
pub(super) fn make(s: &Situation<'_>) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let list = load(s)?;
    if list.making > 0 {
        return Ok(outcome);
    }
    let number = list.number.max(list.tried) + 1;
    let (bytes, sha256) = order_parts(s, &mut outcome, number, list.published_at_ms)?;
    let order = ListOrder {
        number,
        this_update_ms: s.now_ms,
        next_update_ms: s
            .now_ms
            .saturating_add_unsigned(s.service.settings.crl_lifetime_ms),
        bytes,
        sha256,
    };
    outcome.effect(
        format!("{MADE}/{number:016x}"),
        effects::LIST,
        order.encode_to_vec(),
    );
    let next_update_ms = order.next_update_ms;
    outcome.put(
        state::LIST,
        &ListState {
            making: number,
            tried: number,
            making_at_ms: s.now_ms,
            stale: false,
            next_update_ms,
            ..list
        },
    );
    Ok(outcome)
}

fn order_parts(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    number: u64,
    last_list_ms: i64,
) -> Result<(u64, Vec<u8>), Fault> {
    let mut digest = Sha256::new();
    let mut part = Part::default();
    let mut count = 0;
    let mut order = |part: &mut Part| {
        let next = Part {
            offset: part.offset + part.entries.len() as u64,
            entries: Vec::new(),
        };
        let full = std::mem::replace(part, next);
        outcome.effect(
            format!("{PART}/{number:016x}-{count:08x}"),
            effects::LIST_PART,
            full.encode_to_vec(),
        );
        count += 1;
    };
    let mut over = Vec::new();
    for (key, entry) in s.view.list::<RevokedEntry>(state::REVOKED, None, usize::MAX)? {
        if entry.not_after_ms < last_list_ms {
            over.push(key);
            continue;
        }
        let serial =
            String::from_utf8_lossy(key.get(state::REVOKED.len()..).unwrap_or_default()).into_owned();
        let line = Entry {
            serial,
            at_ms: entry.at_ms,
            reason: entry.reason,
            issuer: entry.issuer,
        };
        let line = line.encode_length_delimited_to_vec();
        digest.update(&line);
        part.entries.extend(line);
        if part.entries.len() >= PART_BYTES {
            order(&mut part);
        }
    }
    if !part.entries.is_empty() {
        order(&mut part);
    }
    let bytes = part.offset;
    for key in over {
        outcome.delete(key);
    }
    Ok((bytes, digest.finalize().to_vec()))
}

/// The list is published, or will be tried again.
pub(super) fn made(s: &Situation<'_>, result: &[u8]) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let made = ListMade::decode(result).unwrap_or_default();
    let list = load(s)?;
    let failed = !made.failure.is_empty() || made.number != list.making;
    let after = ListState {
        making: 0,
        stale: false,
        ..list.clone()
    };
    let published = ListState {
        number: list.making,
        published_at_ms: list.making_at_ms,
        ..after.clone()
    };
    outcome.put(state::LIST, if failed { &after } else { &published });
    let settings = &s.service.settings;
    let at_ms = match (failed, list.stale) {
        (true, _) => s.now_ms.saturating_add(AGAIN_MS),
        (false, true) => s.now_ms.saturating_add_unsigned(settings.crl_delay_ms),
        (false, false) => s.now_ms.saturating_add_unsigned(settings.crl_lifetime_ms / 2),
    };
    outcome.wake_at(LIST_WAKE, at_ms);
    Ok(outcome)
}
