//! The revocation lists, one of each authority and all at once: scheduled after a revocation, and again well before it ends.
//!
//! ```text
//! due ── page ──► page ──► … ──► gathered ── signed and written (effect) ──► published
//! ```
//!
//! Each page is a decision of its own, and signing has a thread of its own: a list may be long, and others are served in
//! between.

use contract::{
    Code, Refusal,
    v1::{ListPublished, ListsPublished},
};
use prost::Message;
use service::{Answer, Fault, Outcome};

use super::Situation;
use crate::{
    effects::{self, Entry, ListMade, ListOrder, Part},
    event,
    state::{self, Gathered, ListState, RevokedEntry, Waiting},
};

/// The wake-up that makes a list.
pub(super) const LIST_WAKE: &str = "list";
/// The wake-up when a file of the lists is not where it was: all are made anew.
pub const LOST: &str = "lists-lost";
/// The word before the number in the id of the effect that makes a list.
pub(super) const MADE: &str = "crl-2-list";
/// The same for its parts: it sorts before, so that after a crash the parts run first again.
const PART: &str = "crl-1-part";
/// Lines that are gathered in one decision.
const PAGE: usize = 1_000;
/// Bytes of one part: well below what a record may hold.
const PART_BYTES: usize = 32 * 1024;
/// How much longer than the last list took the next one is waited for: many revocations do not make one list after the
/// other all the time.
const PAUSE_TIMES: i64 = 3;
/// Pause before a list that failed is tried again, milliseconds.
const AGAIN_MS: i64 = 60_000;
/// How many may wait for a list.
const WAITING_MAX: usize = 64;
/// When somebody is to ask again for whom there is no room, milliseconds.
const ROOM_MS: u64 = 2_000;

/// `publish-lists`. A list that is being made is waited for: it says all that was revoked before, unless something was
/// revoked since it was begun. So nobody has lists made more often than they can be.
pub(super) fn publish(s: &mut Situation<'_>) -> Result<Outcome, Fault> {
    let mut list = load(s)?;
    if list.waiting.len() >= WAITING_MAX {
        let message =
            format!("{WAITING_MAX} requests wait for the next revocation list; ask again when it is there");
        return Err(Refusal::new(Code::Busy, message).retry_after_ms(ROOM_MS).into());
    }
    let mut outcome = Outcome::default();
    let number = match list.making {
        0 => next_number(&list),
        making => making + u64::from(list.stale),
    };
    if list.making == 0 {
        outcome.wake_at(LIST_WAKE, s.now_ms);
    }
    let ticket = format!("list-{}", s.random_hex());
    list.waiting.push(Waiting {
        ticket: ticket.clone(),
        number,
    });
    outcome.put(state::LIST, &list);
    outcome.answer = Answer::Later(ticket);
    Ok(outcome)
}

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

/// A file is lost; where no list was made yet, it was never there.
pub(super) fn lost(s: &Situation<'_>) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    if load(s)?.number > 0 {
        make_anew(s, &mut outcome)?;
    }
    Ok(outcome)
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
        gathered: None,
        ..list
    };
    outcome.put(state::LIST, &above);
    outcome.wake_at(LIST_WAKE, s.now_ms);
    Ok(())
}

fn load(s: &Situation<'_>) -> Result<ListState, Fault> {
    Ok(s.view.load(state::LIST)?.unwrap_or_default())
}

/// Begins the next list, or gathers the next page of what it says. What had ended by itself when the last one was made
/// is left out and forgotten. What is revoked meanwhile may come too late for it, and is in the one after it.
pub(super) fn make(s: &Situation<'_>) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let list = match load(s)? {
        list if list.making == 0 => begun(s, list),
        list if list.gathered.is_some() => list,
        _ => return Ok(outcome),
    };
    let mut gathered = list.gathered.clone().unwrap_or_default();
    let is_last = page(s, &mut outcome, &list, &mut gathered)?;
    if is_last {
        order(&mut outcome, &list, &gathered);
    } else {
        outcome.wake_at(LIST_WAKE, s.now_ms);
    }
    let gathered = Some(gathered).filter(|_| !is_last);
    outcome.put(state::LIST, &ListState { gathered, ..list });
    Ok(outcome)
}

fn next_number(list: &ListState) -> u64 {
    list.number.max(list.tried) + 1
}

fn begun(s: &Situation<'_>, list: ListState) -> ListState {
    let number = next_number(&list);
    ListState {
        making: number,
        tried: number,
        making_at_ms: s.now_ms,
        stale: false,
        next_update_ms: s
            .now_ms
            .saturating_add_unsigned(s.service.settings.crl_lifetime_ms),
        gathered: Some(Gathered::default()),
        ..list
    }
}

fn order(outcome: &mut Outcome, list: &ListState, gathered: &Gathered) {
    let order = ListOrder {
        number: list.making,
        this_update_ms: list.making_at_ms,
        next_update_ms: list.next_update_ms,
        bytes: gathered.bytes,
        digest: gathered.digest.clone(),
    };
    let id = format!("{MADE}/{:016x}", list.making);
    outcome.effect(id, effects::LIST, order.encode_to_vec());
}

/// Has the lines of the next page written; whether it was the last one.
fn page(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    list: &ListState,
    gathered: &mut Gathered,
) -> Result<bool, Fault> {
    let after = Some(gathered.after.as_slice()).filter(|after| !after.is_empty());
    let rows = s.view.list::<RevokedEntry>(state::REVOKED, after, PAGE)?;
    let is_last = rows.len() < PAGE;
    let mut lines = Vec::new();
    for (key, entry) in rows {
        if entry.not_after_ms < list.published_at_ms {
            outcome.delete(key.clone());
        } else {
            let line = line(&key, entry);
            gathered.digest = effects::chained(&gathered.digest, &line);
            lines.extend(line);
        }
        gathered.after = key;
        if lines.len() >= PART_BYTES {
            write(outcome, list.making, gathered, std::mem::take(&mut lines));
        }
    }
    if !lines.is_empty() {
        write(outcome, list.making, gathered, lines);
    }
    Ok(is_last)
}

fn line(key: &[u8], entry: RevokedEntry) -> Vec<u8> {
    let serial = key.get(state::REVOKED.len()..).unwrap_or_default();
    let line = Entry {
        serial: String::from_utf8_lossy(serial).into_owned(),
        at_ms: entry.at_ms,
        reason: entry.reason,
        issuer: entry.issuer,
    };
    line.encode_length_delimited_to_vec()
}

fn write(outcome: &mut Outcome, number: u64, gathered: &mut Gathered, lines: Vec<u8>) {
    let id = format!("{PART}/{number:016x}-{:08x}", gathered.parts);
    let part = Part {
        offset: gathered.bytes,
        entries: lines,
    };
    gathered.bytes += part.entries.len() as u64;
    gathered.parts += 1;
    outcome.effect(id, effects::LIST_PART, part.encode_to_vec());
}

/// The list is published, or will be tried again.
pub(super) fn made(s: &Situation<'_>, result: &[u8]) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let made = ListMade::decode(result).unwrap_or_default();
    let list = load(s)?;
    let failed = !made.failure.is_empty() || made.number != list.making;
    let (done, waiting) = list
        .waiting
        .iter()
        .cloned()
        .partition(|one| one.number <= made.number);
    let after = ListState {
        making: 0,
        stale: false,
        gathered: None,
        waiting,
        ..list.clone()
    };
    let published = ListState {
        number: list.making,
        published_at_ms: list.making_at_ms,
        ..after.clone()
    };
    outcome.put(state::LIST, if failed { &after } else { &published });
    if !failed {
        event::lists_published(&mut outcome, &published);
    }
    answer(
        &mut outcome,
        done,
        if failed {
            Err(&made)
        } else {
            Ok((&published, &made))
        },
    );
    let settings = &s.service.settings;
    let at_ms = match (failed, list.stale) {
        (true, _) => s.now_ms.saturating_add(AGAIN_MS),
        (false, true) => {
            let took_ms = s.now_ms.saturating_sub(list.making_at_ms).clamp(0, AGAIN_MS);
            let pause_ms = took_ms.saturating_mul(PAUSE_TIMES);
            s.now_ms
                .saturating_add_unsigned(settings.crl_delay_ms)
                .saturating_add(pause_ms)
        }
        (false, false) => s.now_ms.saturating_add_unsigned(settings.crl_lifetime_ms / 2),
    };
    outcome.wake_at(LIST_WAKE, at_ms);
    Ok(outcome)
}

/// Answers those who waited for this list.
fn answer(outcome: &mut Outcome, done: Vec<Waiting>, made: Result<(&ListState, &ListMade), &ListMade>) {
    for one in done {
        match made {
            Ok((list, made)) => outcome.complete(one.ticket, Ok(Box::new(published(list, made)))),
            Err(made) => {
                let message = "the revocation lists could not be made; those before stand, and others are tried in a minute";
                let refusal = Refusal {
                    behind: made.failure.clone(),
                    ..Refusal::new(Code::Internal, message)
                };
                outcome.complete(one.ticket, Err(refusal));
            }
        }
    }
}

fn published(list: &ListState, made: &ListMade) -> ListsPublished {
    let lists = made.lists.iter().map(|one| ListPublished {
        issuer: one.issuer.clone(),
        entries: one.entries,
    });
    ListsPublished {
        request_id: String::new(),
        number: list.number,
        this_update_ms: list.published_at_ms,
        next_update_ms: list.next_update_ms,
        lists: lists.collect(),
    }
}
