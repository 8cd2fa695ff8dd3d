//! The audit log: who asked for which change, in the same commit as the change.
//!
//! An entry holds the hash of the one before it. The newest hash is published as an event soon after the log
//! has grown, so that whoever keeps the events can tell whether an older entry was touched since.

use contract::{
    Code, Refusal,
    audit::{self, NOTHING_BEFORE},
    id::Kind,
    v1::AuditEntry,
    verb::Audit,
};
use prost::Message;

use super::{Call, Group, HostLoop, changes};
use crate::{
    keys,
    outcome::{Answer, AuditDraft, EventDraft, Outcome},
    record::AuditRecord,
    service::{Now, Service},
    store::{Read, StoreError},
    view::View,
};

/// How long after an entry the head is published, milliseconds: a burst is one event.
const PUBLISH_AFTER_MS: u64 = 10_000;
/// How often entries that are too old are looked for, milliseconds.
const PRUNE_EVERY_MS: u64 = 60_000;
/// Entries that are removed in one round.
const PRUNE_ROUND: usize = 256;
/// Bytes of all subjects of an entry.
const SUBJECTS_BYTES: usize = 24 * 1024;

/// Where the log is.
pub(super) struct Log {
    /// For how long entries are kept, milliseconds; 0 is for ever.
    pub(super) keep_ms: u64,
    state: AuditRecord,
    stored: AuditRecord,
    publish_at: Option<u64>,
    prune_at: u64,
}

impl Log {
    pub(super) fn resume(state: AuditRecord) -> Log {
        Log {
            keep_ms: 0,
            stored: state.clone(),
            state,
            publish_at: None,
            prune_at: 0,
        }
    }

    /// Adds an entry; its number.
    fn add<R>(&mut self, mut entry: AuditEntry, group: &mut Group<R>) -> u64 {
        let first = self.state.sequence == 0;
        entry.previous = if first {
            NOTHING_BEFORE.to_owned()
        } else {
            self.state.hash.clone()
        };
        entry.sequence = self.state.sequence + 1;
        entry.hash = audit::hash(&entry);
        group
            .batch
            .put(keys::audit(entry.sequence), entry.encode_to_vec());
        self.state.sequence = entry.sequence;
        self.state.hash = entry.hash;
        entry.sequence
    }

    fn is_unpublished(&self) -> bool {
        self.state.published != self.state.sequence || self.state.published_anchor != self.state.anchor
    }
}

impl<S: Service> HostLoop<S> {
    /// Records a decided request whose outcome is not applied yet; its entry, or 0 when there is nothing to tell.
    pub(super) fn record(
        &mut self,
        call: &Call,
        outcome: &Outcome,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        now: Now,
    ) -> Result<u64, StoreError> {
        if call.verb.audit == Audit::Unrecorded {
            return Ok(0);
        }
        let Some((word, reason)) = word(call, outcome) else {
            return Ok(0);
        };
        let found = changes::of(&*self.service, outcome, &View::new(base, &group.batch))?;
        let events = outcome.events.len() as u64;
        let entry = AuditEntry {
            who: call.caller.principal.to_string(),
            address: call.address.clone(),
            connection: call.connection,
            serial: call.caller.serial.clone(),
            batch: call
                .caller
                .batch
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            verb: format!("{}/{}", S::NAME, call.verb.name),
            subjects: subjects(call, outcome),
            request_id: call.request_id.clone(),
            request_sha256: hex::encode(call.digest()),
            approved_by: call.approved_by.clone(),
            outcome: word.into(),
            reason: changes::cut(reason),
            changes: found.changes,
            more_changes: found.more,
            first_event: if events > 0 { self.heads.event + 1 } else { 0 },
            last_event: if events > 0 { self.heads.event + events } else { 0 },
            ..self.entry(now)
        };
        Ok(self.audit.add(entry, group))
    }

    /// Records what came of a promise.
    pub(super) fn record_completion(
        &mut self,
        promised: u64,
        refusal: Option<&Refusal>,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        now: Now,
    ) -> Result<(), StoreError> {
        let view = View::new(base, &group.batch);
        // Nothing was promised in the log, or it is no longer kept.
        let Some(taken) = view.raw_record::<AuditEntry>(&keys::audit(promised))? else {
            return Ok(());
        };
        let entry = AuditEntry {
            who: taken.who,
            address: taken.address,
            connection: taken.connection,
            serial: taken.serial,
            batch: taken.batch,
            verb: taken.verb,
            subjects: taken.subjects,
            request_id: taken.request_id,
            request_sha256: taken.request_sha256,
            approved_by: taken.approved_by,
            outcome: refusal.map_or("accepted", |refusal| refusal.code.word()).into(),
            reason: changes::cut(refusal.map(|refusal| refusal.message.clone()).unwrap_or_default()),
            completes: taken.sequence,
            ..self.entry(now)
        };
        self.audit.add(entry, group);
        Ok(())
    }

    /// Records what another part decided.
    pub(super) fn record_draft(&mut self, draft: AuditDraft, group: &mut Group<S::Request>, now: Now) {
        let entry = AuditEntry {
            who: draft.who,
            address: draft.address,
            verb: changes::cut(draft.verb),
            subjects: bounded(draft.subjects),
            outcome: draft.outcome,
            reason: changes::cut(draft.reason),
            count: draft.count,
            changes: draft.changes,
            ..self.entry(now)
        };
        self.audit.add(entry, group);
    }

    /// Removes what is too old, publishes the head when it is time, and writes down where the log is.
    pub(super) fn tend_audit(
        &mut self,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        now: Now,
    ) -> Result<(), StoreError> {
        self.prune(group, base, now)?;
        if self.audit.is_unpublished() {
            let due = *self
                .audit
                .publish_at
                .get_or_insert(now.mono_ms + PUBLISH_AFTER_MS);
            if now.mono_ms >= due {
                self.publish_head(group, base, now)?;
            }
        }
        if self.audit.state != self.audit.stored {
            group
                .batch
                .put(keys::AUDIT_STATE, self.audit.state.encode_to_vec());
            self.audit.stored = self.audit.state.clone();
        }
        Ok(())
    }

    fn publish_head(
        &mut self,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        now: Now,
    ) -> Result<(), StoreError> {
        let state = &mut self.audit.state;
        let event = EventDraft {
            subject: format!("audit/{}", S::NAME),
            name: "head",
            data: serde_json::json!({
                "sequence": state.sequence.to_string(),
                "hash": state.hash,
                "first": (state.anchor + 1).to_string(),
                "anchor_hash": state.anchor_hash,
            }),
        };
        state.published = state.sequence;
        state.published_anchor = state.anchor;
        self.audit.publish_at = None;
        let actor = self.actor();
        self.log_event(event, &actor, "", group, base, now)
    }

    /// Removes entries from the start; the last of them stays as the anchor.
    fn prune(&mut self, group: &mut Group<S::Request>, base: &dyn Read, now: Now) -> Result<(), StoreError> {
        if self.audit.keep_ms == 0 || now.mono_ms < self.audit.prune_at {
            return Ok(());
        }
        self.audit.prune_at = now.mono_ms + PRUNE_EVERY_MS;
        let oldest = now.wall_ms.saturating_sub_unsigned(self.audit.keep_ms);
        let after = keys::audit(self.audit.state.anchor);
        let entries = base.scan(keys::AUDIT, Some(&after), PRUNE_ROUND)?;
        let full = entries.len() == PRUNE_ROUND;
        for (key, bytes) in entries {
            let Ok(entry) = AuditEntry::decode(bytes.as_slice()) else {
                group
                    .warnings
                    .push("an entry of the audit log does not decode; it is kept".into());
                return Ok(());
            };
            if entry.time_ms >= oldest {
                return Ok(());
            }
            group.batch.delete(key);
            self.audit.state.anchor = entry.sequence;
            self.audit.state.anchor_hash = entry.hash;
        }
        if full {
            self.audit.prune_at = now.mono_ms;
        }
        Ok(())
    }

    /// An entry that says no more than when and where it was decided.
    fn entry(&self, now: Now) -> AuditEntry {
        AuditEntry {
            service: S::NAME.word().into(),
            epoch: format!("{:016x}", self.settings.epoch),
            time_ms: now.wall_ms,
            ..AuditEntry::default()
        }
    }
}

/// What the log says that came of a request; `None` when it changed nothing and nobody overstepped a right.
fn word(call: &Call, outcome: &Outcome) -> Option<(&'static str, String)> {
    let is_known = !matches!(call.caller.principal.kind, Kind::Claim | Kind::Device);
    match &outcome.answer {
        Answer::Later(_) => Some(("taken", String::new())),
        Answer::Done | Answer::Now(_) => changes_something(outcome).then(|| ("accepted", String::new())),
        // Whoever holds a batch's key, or a device's, could fill the log: theirs are told as events, and paced.
        Answer::Refused(refusal)
            if is_known && matches!(refusal.code, Code::Denied | Code::AwaitingApproval) =>
        {
            Some((refusal.code.word(), refusal.message.clone()))
        }
        // Somebody approved it: what came of it belongs to that.
        Answer::Refused(refusal) if !call.approved_by.is_empty() => {
            Some((refusal.code.word(), refusal.message.clone()))
        }
        Answer::Refused(_) => None,
    }
}

fn changes_something(outcome: &Outcome) -> bool {
    !outcome.changes.is_empty()
        || !outcome.events.is_empty()
        || !outcome.effects.is_empty()
        || !outcome.requests.is_empty()
}

/// What a request names, and what its events are about.
fn subjects(call: &Call, outcome: &Outcome) -> Vec<String> {
    let mut subjects = call.subjects.clone();
    if subjects.is_empty() && call.caller.principal.kind != Kind::Operator {
        subjects.push(call.caller.principal.to_string());
    }
    let mut known: std::collections::BTreeSet<_> = subjects.iter().cloned().collect();
    for event in &outcome.events {
        if known.insert(event.subject.clone()) {
            subjects.push(event.subject.clone());
        }
    }
    bounded(subjects)
}

fn bounded(subjects: Vec<String>) -> Vec<String> {
    let mut bytes = 0;
    let fits = subjects.into_iter().map(changes::cut).take_while(|subject| {
        bytes += subject.len();
        bytes <= SUBJECTS_BYTES
    });
    fits.collect()
}
