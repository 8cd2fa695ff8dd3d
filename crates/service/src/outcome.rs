//! What a decision comes to: writes, an answer, and what is to follow from it.

use contract::{
    code::Refusal,
    id::{Principal, ServiceName},
    v1::AuditChange,
    wire::{Encoding, Reply, Wire},
};
use prost::Message;

use crate::store::Batch;

/// What the caller is told.
#[derive(Default)]
pub enum Answer {
    /// Nothing but that it is done.
    #[default]
    Done,
    /// This.
    Now(Box<dyn Reply>),
    /// The reply comes when [`Outcome::complete`] is called with this ticket.
    Later(String),
    /// A refusal that nevertheless changes something (an event, a counter).
    Refused(Refusal),
}

/// An event to be published.
#[derive(Debug, Clone, PartialEq)]
pub struct EventDraft {
    /// For example `devices/pump-7`.
    pub subject: String,
    /// For example `registered`; must be in the table.
    pub name: &'static str,
    /// Its data, a JSON object.
    pub data: serde_json::Value,
}

/// A fact that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactDraft {
    /// What sort of thing.
    pub entity: &'static str,
    /// Which one.
    pub id: String,
    /// Its value; `None` when it is gone.
    pub value: Option<Vec<u8>>,
}

/// A message to a principal that did not ask.
pub struct PushDraft {
    /// To whom.
    pub to: Principal,
    /// The word in the topic; must be in the table.
    pub name: &'static str,
    /// What it says; `None` takes back a retained one.
    pub message: Option<Box<dyn Reply>>,
}

/// A request to another service. It is sent until it is answered.
pub struct RequestDraft {
    /// Names it for [`crate::Service::on_answer`], and is its request id: unique for ever.
    pub tag: String,
    /// To whom.
    pub service: ServiceName,
    /// What is asked.
    pub verb: &'static str,
    /// The message, protobuf.
    pub payload: Vec<u8>,
}

/// A wake-up that is set or lifted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WakeDraft {
    /// Names it; setting it again moves it.
    pub key: String,
    /// When, milliseconds since 1970; `None` lifts it.
    pub at_ms: Option<i64>,
}

/// Something for whoever watches the server: counted or timed once the decision is on disk, and not kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// Its name, for example `muster_certificates_issued_total`.
    pub name: &'static str,
    /// What tells it from others of this name; few values each.
    pub labels: Vec<(&'static str, &'static str)>,
    /// How much.
    pub amount: Amount,
}

/// How much of something there was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    /// So many more.
    Counted(u64),
    /// A time, seconds.
    Took(f64),
}

/// Something to be done in the world after the commit, at least once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectDraft {
    /// Names it for [`crate::Service::on_effect`]: unique for ever.
    pub id: String,
    /// Which executor.
    pub kind: &'static str,
    /// What to do, as the executor understands it.
    pub payload: Vec<u8>,
}

/// Something that another part decided, and that belongs into the audit log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditDraft {
    /// Who asked, `operators/ada`.
    pub who: String,
    /// From where.
    pub address: String,
    /// What was asked, `registry/retire`.
    pub verb: String,
    /// What it is about.
    pub subjects: Vec<String>,
    /// What came of it: `accepted`, or the code of the refusal.
    pub outcome: String,
    /// Why.
    pub reason: String,
    /// How often.
    pub count: u32,
    /// Fields before and after.
    pub changes: Vec<AuditChange>,
}

/// What an earlier promise comes to.
pub type Completion = Result<Box<dyn Reply>, Refusal>;

/// All that follows from one decision.
#[derive(Default)]
pub struct Outcome {
    /// Writes to the service's own records.
    pub changes: Batch,
    /// The answer.
    pub answer: Answer,
    /// Events, in order.
    pub events: Vec<EventDraft>,
    /// Facts, in order.
    pub facts: Vec<FactDraft>,
    /// Messages to principals.
    pub pushes: Vec<PushDraft>,
    /// Requests to other services.
    pub requests: Vec<RequestDraft>,
    /// Wake-ups.
    pub wakes: Vec<WakeDraft>,
    /// Effects.
    pub effects: Vec<EffectDraft>,
    /// Effects that are not wanted any more, where their results have not come yet.
    pub lifted: Vec<String>,
    /// Tickets of earlier `Later` answers that are answered now.
    pub completes: Vec<(String, Completion)>,
    /// Entries of the audit log about what others decided; what this service decides gets its own.
    pub audits: Vec<AuditDraft>,
    /// For whoever watches the server.
    pub measures: Vec<Measure>,
}

impl Outcome {
    /// An outcome that only answers.
    pub fn reply(message: impl Reply + 'static) -> Outcome {
        Outcome {
            answer: Answer::Now(Box::new(message)),
            ..Outcome::default()
        }
    }

    /// Sets the answer.
    pub fn answer(&mut self, message: impl Reply + 'static) {
        self.answer = Answer::Now(Box::new(message));
    }

    /// Writes a record.
    pub fn put<M: Message>(&mut self, key: impl Into<Vec<u8>>, record: &M) {
        self.changes.put(key, record.encode_to_vec());
    }

    /// Removes a record.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) {
        self.changes.delete(key);
    }

    /// Publishes an event.
    pub fn event(&mut self, subject: impl Into<String>, name: &'static str, data: serde_json::Value) {
        self.events.push(EventDraft {
            subject: subject.into(),
            name,
            data,
        });
    }

    /// Sets a fact.
    pub fn fact<M: Message>(&mut self, entity: &'static str, id: impl Into<String>, value: &M) {
        self.facts.push(FactDraft {
            entity,
            id: id.into(),
            value: Some(value.encode_to_vec()),
        });
    }

    /// Sends a message to a principal, in JSON (an unasked message has no caller's encoding).
    pub fn push(&mut self, to: Principal, name: &'static str, message: impl Reply + 'static) {
        self.pushes.push(PushDraft {
            to,
            name,
            message: Some(Box::new(message)),
        });
    }

    /// Takes back what the front door has retained of a message to a principal.
    pub fn take_back(&mut self, to: Principal, name: &'static str) {
        self.pushes.push(PushDraft {
            to,
            name,
            message: None,
        });
    }

    /// Asks another service.
    pub fn ask<M: Wire>(&mut self, tag: String, service: ServiceName, verb: &'static str, message: &M) {
        let payload = contract::wire::encode(message, Encoding::Protobuf).to_vec();
        self.requests.push(RequestDraft {
            tag,
            service,
            verb,
            payload,
        });
    }

    /// Sets a wake-up.
    pub fn wake_at(&mut self, key: impl Into<String>, at_ms: i64) {
        self.wakes.push(WakeDraft {
            key: key.into(),
            at_ms: Some(at_ms),
        });
    }

    /// Lifts a wake-up.
    pub fn no_wake(&mut self, key: impl Into<String>) {
        self.wakes.push(WakeDraft {
            key: key.into(),
            at_ms: None,
        });
    }

    /// Orders an effect.
    pub fn effect(&mut self, id: impl Into<String>, kind: &'static str, payload: Vec<u8>) {
        self.effects.push(EffectDraft {
            id: id.into(),
            kind,
            payload,
        });
    }

    /// Lifts an effect: it is not run again at the next start. One that runs is not stopped.
    pub fn no_effect(&mut self, id: impl Into<String>) {
        self.lifted.push(id.into());
    }

    /// Answers an earlier request that was promised a reply.
    pub fn complete(&mut self, ticket: impl Into<String>, reply: Result<Box<dyn Reply>, Refusal>) {
        self.completes.push((ticket.into(), reply));
    }

    /// Adds everything of `other` after what is here; its answer wins unless it is `Done`.
    pub fn absorb(&mut self, other: Outcome) {
        self.changes.extend(other.changes);
        if !matches!(other.answer, Answer::Done) {
            self.answer = other.answer;
        }
        self.events.extend(other.events);
        self.facts.extend(other.facts);
        self.pushes.extend(other.pushes);
        self.requests.extend(other.requests);
        self.wakes.extend(other.wakes);
        self.effects.extend(other.effects);
        self.lifted.extend(other.lifted);
        self.completes.extend(other.completes);
        self.audits.extend(other.audits);
    }
}
