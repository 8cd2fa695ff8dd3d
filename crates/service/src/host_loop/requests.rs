//! Deciding requests, and the requests that a service itself makes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use contract::{
    Code, Refusal, Topic,
    id::{Principal, ServiceName},
    request_id,
    topic::Leaf,
    v1::{FactsPage, Frame, Purpose},
    verb::{Class, Repeat},
    wire,
};
use prost::Message;

use super::{Call, Group, HostLoop, Query, approvals, rights};
use crate::{
    keys,
    outcome::{Answer, Outcome},
    record::RequestRecord,
    service::{Context, Fault, Now, Service},
    store::{Read, StoreError},
    view::View,
};

/// A service's own request as a frame. The tag is its correlation data, and comes back with the reply.
pub(super) fn frame(tag: &str, record: RequestRecord) -> Frame {
    let mut frame = Frame {
        topic: record.topic,
        payload: record.payload.into(),
        correlation: tag.as_bytes().to_vec().into(),
        ..Frame::default()
    };
    frame.set_purpose(Purpose::Request);
    frame
}

impl<S: Service> HostLoop<S> {
    pub(super) fn decide_call(
        &mut self,
        mut call: Call,
        kept: Option<Frame>,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        cx: &mut Context<'_>,
    ) -> Result<(), StoreError> {
        if Query::<S::Request>::is_of_the_host(call.verb) {
            return self.ask_host(call, kept, group, base);
        }
        if matches!(call.verb.name, "approve" | "disapprove") {
            return self.decide_approval(call, kept, group, base, cx);
        }
        let parsed = match self.service.parse(call.verb, &call.payload, &call.content_type) {
            Ok(parsed) => parsed,
            Err(refusal) => {
                self.refuse_unread(call, &refusal, group);
                return Ok(());
            }
        };
        call.name_request(parsed.request_id);
        call.subjects = parsed.subjects;
        let is_command = call.verb.class == Class::Command;
        if is_command && call.verb.repeat == Repeat::Answered && self.answer_again(&call, group, base)? {
            return Ok(());
        }
        let service = self.service.clone();
        let devices = service.devices(&parsed.request);
        let refusal = self.refusal(&mut call, &devices, group, base)?;
        if refusal.is_some()
            && let Some(frame) = kept
        {
            self.early.push(frame);
            return Ok(());
        }
        match (is_command, refusal) {
            (false, None) => group.queries.push(Query::of_the_service(call, parsed.request)),
            (false, Some(refusal)) => self.refuse(&call, &refusal, group),
            (true, _) if call.suspect => {
                let message = "this request has made the service fail before; it was not decided";
                self.refuse(&call, &Refusal::new(Code::Internal, message), group);
            }
            (true, Some(refusal)) => {
                group.decided += 1;
                self.conclude(call, approvals::refused(refusal), group, base, cx.now)?;
            }
            (true, None) => {
                group.decided += 1;
                let outcome = self.decided_or_held(&call, parsed.request, group, base, cx)?;
                self.conclude(call, outcome, group, base, cx.now)?;
            }
        }
        Ok(())
    }

    /// What a request comes to; one that another person must approve is kept, unless it comes to nothing anyway.
    fn decided_or_held(
        &mut self,
        call: &Call,
        request: S::Request,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        cx: &mut Context<'_>,
    ) -> Result<Outcome, StoreError> {
        let waiting = match self.waiting(call, &request, group, base, cx) {
            Ok(waiting) => waiting,
            Err(Fault::Refused(refusal)) => return Ok(approvals::refused(refusal)),
            Err(Fault::Store(error @ StoreError::Damaged { .. })) => {
                let refusal = Refusal::new(Code::Internal, error.to_string());
                return Ok(approvals::refused(refusal));
            }
            Err(Fault::Store(error)) => return Err(error),
        };
        let outcome = self.outcome_of(call, request, group, base, cx)?;
        match waiting {
            Some(held) if !matches!(outcome.answer, Answer::Refused(_)) => Ok(approvals::hold(held, group)),
            _ => Ok(outcome),
        }
    }

    /// A query that every service answers in the same way.
    fn ask_host(
        &mut self,
        mut call: Call,
        kept: Option<Frame>,
        group: &mut Group<S::Request>,
        base: &dyn Read,
    ) -> Result<(), StoreError> {
        let refusal = self.refusal(&mut call, &[], group, base)?;
        match (Query::of_the_host(&mut call), refusal, kept) {
            (Err(refusal), ..) => self.refuse_unread(call, &refusal, group),
            (Ok(_), Some(_), Some(frame)) => self.early.push(frame),
            (Ok(_), Some(refusal), None) => self.refuse(&call, &refusal, group),
            (Ok(query), None, _) if query.asks_for_grants() && self.may_be_early() => {
                self.postponed.push(query)
            }
            (Ok(query), None, _) => group.queries.push(query),
        }
        Ok(())
    }

    /// Why the caller may not ask this, if so.
    pub(super) fn refusal(
        &self,
        call: &mut Call,
        devices: &[&str],
        group: &Group<S::Request>,
        base: &dyn Read,
    ) -> Result<Option<Refusal>, StoreError> {
        match rights::judge::<S>(call, devices, &View::new(base, &group.batch)) {
            Ok(()) => Ok(None),
            Err(Fault::Refused(refusal)) => Ok(Some(refusal)),
            Err(Fault::Store(error @ StoreError::Damaged { .. })) => {
                Ok(Some(Refusal::new(Code::Internal, error.to_string())))
            }
            Err(Fault::Store(error)) => Err(error),
        }
    }

    /// Refuses what cannot be read, under the name that the caller gave it, as far as that can be read.
    pub(super) fn refuse_unread(&self, mut call: Call, refusal: &Refusal, group: &mut Group<S::Request>) {
        call.name_request(request_id::salvage(&call.payload).unwrap_or_default());
        self.refuse(&call, refusal, group);
    }

    /// What the service decides on a request.
    pub(super) fn outcome_of(
        &self,
        call: &Call,
        request: S::Request,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        cx: &mut Context<'_>,
    ) -> Result<Outcome, StoreError> {
        let service = self.service.clone();
        let decided = {
            let view = View::new(base, &group.batch);
            catch_unwind(AssertUnwindSafe(|| {
                service.decide(&view, &call.caller, request, cx)
            }))
        };
        Ok(match decided {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(Fault::Refused(refusal))) => Outcome {
                answer: Answer::Refused(refusal),
                ..Outcome::default()
            },
            Ok(Err(Fault::Store(StoreError::Damaged { key, reason }))) => {
                let message = format!("the record {key} is damaged ({reason}); nothing was changed");
                group.warnings.push(message.clone());
                Outcome {
                    answer: Answer::Refused(Refusal::new(Code::Internal, message)),
                    ..Outcome::default()
                }
            }
            Ok(Err(Fault::Store(error))) => return Err(error),
            Err(_) => {
                let message = "the service failed on this request; nothing was changed";
                group
                    .warnings
                    .push(format!("deciding `{}` panicked", call.verb.name));
                Outcome {
                    answer: Answer::Refused(Refusal::new(Code::Internal, message)),
                    ..Outcome::default()
                }
            }
        })
    }

    /// Records, applies and answers what was decided.
    pub(super) fn conclude(
        &mut self,
        mut call: Call,
        outcome: Outcome,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        now: Now,
    ) -> Result<(), StoreError> {
        call.audit = self.record(&call, &outcome, group, base, now)?;
        let actor = call.caller.principal.to_string();
        let answer = self.apply(outcome, &actor, &call.traceparent, group, base, now)?;
        self.give_answer(call, answer, group, base, now)
    }

    /// Applies what the service decided of its own accord (a wake-up, a fact, an effect's result).
    pub(super) fn settle_own(
        &mut self,
        what: &str,
        id: &str,
        decided: Result<Outcome, Fault>,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        cx: &mut Context<'_>,
    ) -> Result<(), StoreError> {
        match decided {
            Ok(outcome) => {
                let actor = self.actor();
                self.apply(outcome, &actor, "", group, base, cx.now).map(|_| ())
            }
            Err(Fault::Refused(refusal)) => {
                group.warnings.push(format!("{what} {id}: {refusal}"));
                Ok(())
            }
            Err(Fault::Store(error @ StoreError::Damaged { .. })) => {
                group.warnings.push(format!("{what} {id}: {error}"));
                Ok(())
            }
            Err(Fault::Store(error)) => Err(error),
        }
    }

    /// An answer to one of this service's own requests.
    pub(super) fn on_reply_frame(
        &mut self,
        frame: Frame,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        cx: &mut Context<'_>,
    ) -> Result<(), StoreError> {
        let me = Principal::from(S::NAME);
        let Some(Topic::Down {
            who,
            service,
            name,
            leaf,
        }) = self.settings.root.parse_topic(&frame.topic)
        else {
            return Ok(());
        };
        if who != me {
            return Ok(());
        }
        if name == "facts" && leaf == Leaf::Accepted {
            return match wire::decode::<FactsPage>(&frame.payload, "") {
                Ok(page) => self.on_facts_page(service, page, group, base, cx),
                Err(_) => Ok(()),
            };
        }
        let Ok(tag) = std::str::from_utf8(&frame.correlation) else {
            return Ok(());
        };
        let key = keys::request(tag);
        if View::new(base, &group.batch).raw(&key)?.is_none() {
            return Ok(());
        }
        let answer = match leaf {
            Leaf::Rejected => Err(Code::from_word(&frame.rejected).unwrap_or(Code::Internal)),
            _ => Ok(frame.payload.as_ref()),
        };
        let this = self.service.clone();
        let decided = this.on_answer(&View::new(base, &group.batch), tag, answer, cx);
        self.settle_own("answer", tag, decided, group, base, cx)?;
        group.batch.delete(key);
        Ok(())
    }

    pub(super) fn own_topic(&self, service: ServiceName, verb: &str) -> String {
        self.settings.root.up(&Principal::from(S::NAME), service, verb)
    }

    pub(super) fn store_request(
        &self,
        tag: &str,
        topic: String,
        payload: Vec<u8>,
        group: &mut Group<S::Request>,
    ) {
        let record = RequestRecord { topic, payload };
        group.batch.put(keys::request(tag), record.encode_to_vec());
        group.requests.push(frame(tag, record));
    }
}
