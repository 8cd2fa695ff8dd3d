//! Answers that are kept, so that a repeated request changes nothing and hears the same.

use contract::{
    Code, Refusal, limits,
    v1::{Done, Frame},
    verb::Repeat,
    wire::{self, Encoding, Reply},
};
use prost::Message;

use super::{Call, Group, HostLoop, ring};
use crate::{
    keys,
    outcome::Answer,
    planted::{self, Mistake},
    record::{AnswerRecord, TicketRecord},
    service::{Now, Service},
    store::{Read, StoreError},
    view::View,
};

impl<S: Service> HostLoop<S> {
    /// Answers a repeat, a conflict or a nameless request. False: the request is new.
    pub(super) fn answer_again(
        &self,
        call: &Call,
        group: &mut Group<S::Request>,
        base: &dyn Read,
    ) -> Result<bool, StoreError> {
        if let Err(refusal) = check_name(&call.request_id) {
            self.refuse(call, &refusal, group);
            return Ok(true);
        }
        if planted::is(Mistake::DedupeForgotten) {
            return Ok(false);
        }
        let key = keys::answer(&call.caller.principal, call.verb.name, &call.request_id);
        let view = View::new(base, &group.batch);
        let Some(kept) = view.raw_record::<AnswerRecord>(&key)? else {
            return Ok(false);
        };
        if kept.body != call.digest() {
            let message = "this request id was used for another request; choose a new one";
            self.refuse(
                call,
                &Refusal::new(Code::Conflict, message).at("request_id"),
                group,
            );
        } else if kept.in_progress {
            self.redirect_ticket(call, &key, group, base)?;
            group.replies.push(call.taken());
        } else {
            let frame = call.kept(
                &self.settings.root,
                kept.payload.into(),
                kept.rejected,
                kept.reason,
            );
            group.replies.push(frame);
        }
        Ok(true)
    }

    /// The promised reply goes to whoever asked last: the first connection may be gone.
    fn redirect_ticket(
        &self,
        call: &Call,
        answer_key: &[u8],
        group: &mut Group<S::Request>,
        base: &dyn Read,
    ) -> Result<(), StoreError> {
        let view = View::new(base, &group.batch);
        let Some(number) = view.raw(&keys::ticket(&in_progress(answer_key)))? else {
            return Ok(());
        };
        let ticket = String::from_utf8(number).unwrap_or_default();
        let former = view.raw_record::<TicketRecord>(&keys::ticket(&ticket))?;
        let record = TicketRecord {
            audit: former.map_or(0, |former| former.audit),
            ..self.ticket_record(call, answer_key)
        };
        group.batch.put(keys::ticket(&ticket), record.encode_to_vec());
        Ok(())
    }

    fn ticket_record(&self, call: &Call, answer_key: &[u8]) -> TicketRecord {
        TicketRecord {
            topic: self
                .settings
                .root
                .up(&call.caller.principal, S::NAME, call.verb.name),
            answer_key: answer_key.to_vec(),
            request_id: call.request_id.clone(),
            json: call.encoding == Encoding::Json,
            correlation: call.correlation.to_vec(),
            response_topic: call.response_topic.clone(),
            connection: call.connection,
            audit: call.audit,
        }
    }

    /// Answers a decided request, and keeps the answer where the verb asks for it.
    pub(super) fn give_answer(
        &mut self,
        call: Call,
        answer: Answer,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        now: Now,
    ) -> Result<(), StoreError> {
        let root = &self.settings.root;
        let frame = match &answer {
            Answer::Done => call.accepted(root, wire::encode(&Done::default(), call.encoding)),
            Answer::Now(reply) => call.accepted(root, reply.encode(call.encoding)),
            Answer::Refused(refusal) => call.rejected(root, refusal),
            Answer::Later(_) => call.taken(),
        };
        if call.verb.repeat == Repeat::Answered && !may_come_again(&answer) {
            let key = keys::answer(&call.caller.principal, call.verb.name, &call.request_id);
            if let Answer::Later(ticket) = &answer {
                let record = self.ticket_record(&call, &key);
                group.batch.put(keys::ticket(ticket), record.encode_to_vec());
                group
                    .batch
                    .put(keys::ticket(&in_progress(&key)), ticket.as_bytes());
            }
            let record = AnswerRecord {
                body: call.digest(),
                payload: frame.payload.to_vec(),
                rejected: frame.rejected.clone(),
                reason: frame.reason.clone(),
                in_progress: matches!(answer, Answer::Later(_)),
                expires_ms: kept_until(now),
                place: 0,
            };
            ring::keep(&call, key, record, group, base)?;
        }
        group.replies.push(frame);
        Ok(())
    }

    /// Gives the reply that a ticket promised.
    pub(super) fn complete(
        &mut self,
        ticket: &str,
        reply: Result<Box<dyn Reply>, Refusal>,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        now: Now,
    ) -> Result<(), StoreError> {
        let view = View::new(base, &group.batch);
        let Some(record) = view.raw_record::<TicketRecord>(&keys::ticket(ticket))? else {
            return Ok(());
        };
        let kept = view.raw_record::<AnswerRecord>(&record.answer_key)?;
        let answer_key = record.answer_key;
        let encoding = if record.json {
            Encoding::Json
        } else {
            Encoding::Protobuf
        };
        let frame = Frame {
            topic: record.topic,
            correlation: record.correlation.into(),
            response_topic: record.response_topic,
            connection: record.connection,
            ..Frame::default()
        };
        let Ok(mut call) = Call::read(S::NAME, &self.settings.root, frame) else {
            return Ok(());
        };
        call.encoding = encoding;
        call.request_id = record.request_id;
        self.record_completion(record.audit, reply.as_ref().err(), group, base, now)?;
        let frame = match reply {
            Ok(reply) => call.accepted(&self.settings.root, reply.encode(encoding)),
            Err(refusal) => call.rejected(&self.settings.root, &refusal),
        };
        if let Some(kept) = kept {
            let done = AnswerRecord {
                payload: frame.payload.to_vec(),
                rejected: frame.rejected.clone(),
                reason: frame.reason.clone(),
                in_progress: false,
                expires_ms: kept_until(now),
                ..kept
            };
            ring::keep(&call, answer_key.clone(), done, group, base)?;
        }
        group.batch.delete(keys::ticket(ticket));
        group.batch.delete(keys::ticket(&in_progress(&answer_key)));
        group.replies.push(frame);
        Ok(())
    }
}

/// Until when an answer is kept that is given now, milliseconds since 1970.
fn kept_until(now: Now) -> i64 {
    let kept_ms = u64::try_from(limits::ANSWER_KEPT.as_millis()).unwrap_or(u64::MAX);
    now.wall_ms.saturating_add_unsigned(kept_ms)
}

/// A refusal that says when to try again is not the last word, so it is not remembered: the same request may
/// be accepted then.
fn may_come_again(answer: &Answer) -> bool {
    matches!(answer, Answer::Refused(refusal) if refusal.retry_after_ms > 0)
}

/// Where the ticket of an answer in progress is found.
fn in_progress(answer_key: &[u8]) -> String {
    format!("for {}", answer_key.escape_ascii())
}

fn check_name(request_id: &str) -> Result<(), Refusal> {
    if request_id.is_empty() {
        let message =
            "this verb needs a request_id (or MQTT 5 correlation data), so that a repeat is recognised";
        return Err(Refusal::invalid("request_id", message));
    }
    if !contract::request_id::is_name(request_id) {
        let message = format!(
            "a request id has up to {} printable bytes",
            limits::REQUEST_ID_BYTES
        );
        return Err(Refusal::invalid("request_id", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_printable() {
        assert!(check_name("r-1").is_ok());
        for bad in ["", "a\nb", &"x".repeat(129)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
