//! How long answers are kept: each principal's lie in a ring, in the order in which they were given. The oldest one goes
//! when its time is over, or when there are too many.
//!
//! A ring has one row that says when it is to be looked at, not one for each answer: an answer is two rows.

use contract::{Principal, limits::ANSWERS_PER_PRINCIPAL};
use prost::Message;

use super::{Call, Group, HostLoop};
use crate::{
    keys,
    record::{AnswerRecord, PlaceRecord, RingRecord},
    service::{Now, Service},
    store::{Read, StoreError},
    view::View,
};

/// Answers that are removed in one round.
const SWEEP: usize = 256;
/// How often answers are looked for whose time is over, milliseconds.
const SWEEP_EVERY_MS: u64 = 10_000;

impl<S: Service> HostLoop<S> {
    /// Forgets answers whose time is over. The rest follows in the next round.
    pub(super) fn sweep_answers(
        &mut self,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        now: Now,
    ) -> Result<(), StoreError> {
        if now.mono_ms.saturating_sub(self.swept_at) < SWEEP_EVERY_MS {
            return Ok(());
        }
        let mut left = SWEEP;
        for (key, _) in base.scan(keys::ANSWERS_END, None, SWEEP)? {
            let Some((at_ms, who)) = keys::split_answers_end(&key) else {
                group
                    .warnings
                    .push("an end of kept answers cannot be read; it is kept".into());
                continue;
            };
            if at_ms > now.wall_ms || left == 0 {
                break;
            }
            group.batch.delete(key);
            if let Some(end_ms) = forget(&who, now, &mut left, group, base)? {
                group.batch.put(keys::answers_end(end_ms, &who), Vec::new());
            }
        }
        if left > 0 {
            self.swept_at = now.mono_ms;
        }
        Ok(())
    }
}

/// Forgets up to `left` of somebody's answers; when the others are to be looked at.
fn forget<R>(
    who: &Principal,
    now: Now,
    left: &mut usize,
    group: &mut Group<R>,
    base: &dyn Read,
) -> Result<Option<i64>, StoreError> {
    let mut ring = ring_of(who, &View::new(base, &group.batch))?;
    let mut end = None;
    while ring.first < ring.next {
        // One that was given anew, perhaps in this very round, has another place.
        if let Some(place) = answer_at(who, ring.first, &View::new(base, &group.batch))? {
            if place.expires_ms > now.wall_ms || *left == 0 {
                end = Some(place.expires_ms);
                break;
            }
            *left -= 1;
            remove(who, ring.first, &place, group);
        }
        ring.first += 1;
    }
    group.batch.put(keys::ring(who), ring.encode_to_vec());
    Ok(end)
}

/// Writes an answer, and gives it the next place in the principal's ring, where the oldest may have to go for it. An
/// answer that follows a promise, or the word that another person must approve, is kept from now on.
pub(super) fn keep<R>(
    call: &Call,
    key: Vec<u8>,
    mut record: AnswerRecord,
    group: &mut Group<R>,
    base: &dyn Read,
) -> Result<(), StoreError> {
    let who = &call.caller.principal;
    let former = View::new(base, &group.batch).raw_record::<AnswerRecord>(&key)?;
    if let Some(former) = former {
        group.batch.delete(slot(who, former.place));
    }
    let mut ring = ring_of(who, &View::new(base, &group.batch))?;
    if ring.first == ring.next {
        group
            .batch
            .put(keys::answers_end(record.expires_ms, who), Vec::new());
    } else if ring.next - ring.first >= ANSWERS_PER_PRINCIPAL as u64 {
        if let Some(oldest) = answer_at(who, ring.first, &View::new(base, &group.batch))? {
            remove(who, ring.first, &oldest, group);
        }
        ring.first += 1;
    }
    let place = PlaceRecord {
        verb: call.verb.name.to_owned(),
        request_id: call.request_id.clone(),
        expires_ms: record.expires_ms,
    };
    record.place = ring.next;
    group.batch.put(slot(who, record.place), place.encode_to_vec());
    group.batch.put(key, record.encode_to_vec());
    ring.next += 1;
    group.batch.put(keys::ring(who), ring.encode_to_vec());
    Ok(())
}

fn ring_of(who: &Principal, view: &View<'_>) -> Result<RingRecord, StoreError> {
    Ok(view.raw_record(&keys::ring(who))?.unwrap_or_default())
}

/// The answer at a place; none where what stands there cannot be read, which costs room and nothing else.
fn answer_at(who: &Principal, place: u64, view: &View<'_>) -> Result<Option<PlaceRecord>, StoreError> {
    let row = view.raw(&slot(who, place))?;
    Ok(row.and_then(|bytes| PlaceRecord::decode(bytes.as_slice()).ok()))
}

fn remove<R>(who: &Principal, at: u64, place: &PlaceRecord, group: &mut Group<R>) {
    group.batch.delete(slot(who, at));
    group
        .batch
        .delete(keys::answer(who, &place.verb, &place.request_id));
}

fn slot(who: &Principal, place: u64) -> Vec<u8> {
    keys::ring_slot(who, place % ANSWERS_PER_PRINCIPAL as u64)
}
