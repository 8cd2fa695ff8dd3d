//! The host loop's own records.

use contract::v1::Approval;
use prost::Message;

/// The answer that was given to a request, kept for its repeats.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AnswerRecord {
    /// SHA-256 of the request's payload: the same id with another body is a conflict.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) body: Vec<u8>,
    /// Empty while the answer is still to come.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) payload: Vec<u8>,
    /// Empty when accepted.
    #[prost(string, tag = "3")]
    pub(crate) rejected: String,
    #[prost(string, tag = "4")]
    pub(crate) reason: String,
    /// The answer is promised.
    #[prost(bool, tag = "5")]
    pub(crate) in_progress: bool,
    #[prost(int64, tag = "6")]
    pub(crate) expires_ms: i64,
    /// Its place in the ring of its principal's answers.
    #[prost(uint64, tag = "7")]
    pub(crate) place: u64,
}

/// Where the answers begin and end that are kept for a principal: places that only grow, each taken modulo the ring's size.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct RingRecord {
    /// The next place.
    #[prost(uint64, tag = "1")]
    pub(crate) next: u64,
    /// The place of the oldest answer; `next` where there is none.
    #[prost(uint64, tag = "2")]
    pub(crate) first: u64,
}

/// Which of a principal's answers has this place. One that was given anew since has another, and none stands here.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct PlaceRecord {
    #[prost(string, tag = "1")]
    pub(crate) verb: String,
    #[prost(string, tag = "2")]
    pub(crate) request_id: String,
    #[prost(int64, tag = "3")]
    pub(crate) expires_ms: i64,
}

/// A request whose reply was promised.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TicketRecord {
    #[prost(string, tag = "1")]
    pub(crate) topic: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) answer_key: Vec<u8>,
    #[prost(string, tag = "3")]
    pub(crate) request_id: String,
    #[prost(bool, tag = "4")]
    pub(crate) json: bool,
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) correlation: Vec<u8>,
    #[prost(string, tag = "6")]
    pub(crate) response_topic: String,
    #[prost(uint64, tag = "7")]
    pub(crate) connection: u64,
    /// The audit entry that the promise has; 0 when it has none.
    #[prost(uint64, tag = "8")]
    pub(crate) audit: u64,
}

/// A request that waits for approval.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HeldRecord {
    #[prost(message, optional, tag = "1")]
    pub(crate) approval: Option<Approval>,
    /// SHA-256 of the payload as it came.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) body: Vec<u8>,
    #[prost(bool, tag = "3")]
    pub(crate) json: bool,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) correlation: Vec<u8>,
    #[prost(string, tag = "5")]
    pub(crate) response_topic: String,
    #[prost(string, tag = "6")]
    pub(crate) serial: String,
    #[prost(string, tag = "7")]
    pub(crate) address: String,
    #[prost(uint64, tag = "8")]
    pub(crate) connection: u64,
    /// The devices that it names.
    #[prost(string, repeated, tag = "9")]
    pub(crate) devices: Vec<String>,
    /// What its sender had logged in with.
    #[prost(string, tag = "10")]
    pub(crate) login: String,
}

/// An own fact.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FactRecord {
    #[prost(uint64, tag = "1")]
    pub(crate) sequence: u64,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) value: Vec<u8>,
    #[prost(bool, tag = "3")]
    pub(crate) deleted: bool,
    #[prost(string, tag = "4")]
    pub(crate) entity: String,
    #[prost(string, tag = "5")]
    pub(crate) id: String,
}

/// The last numbers given.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Heads {
    #[prost(uint64, tag = "1")]
    pub(crate) event: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) fact: u64,
}

/// A single number: a cursor, a subject's sequence, a time.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Number {
    #[prost(uint64, tag = "1")]
    pub(crate) value: u64,
}

/// What is held of another service's facts.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct CursorRecord {
    #[prost(uint64, tag = "1")]
    pub(crate) epoch: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) sequence: u64,
}

/// An effect whose result is not known.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct EffectRecord {
    #[prost(string, tag = "1")]
    pub(crate) kind: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) payload: Vec<u8>,
}

/// A request to another service without an answer.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct RequestRecord {
    #[prost(string, tag = "1")]
    pub(crate) topic: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) payload: Vec<u8>,
}

/// How far the audit log has come.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct AuditRecord {
    /// The newest entry.
    #[prost(uint64, tag = "1")]
    pub(crate) sequence: u64,
    #[prost(string, tag = "2")]
    pub(crate) hash: String,
    /// The last entry that is no longer kept.
    #[prost(uint64, tag = "3")]
    pub(crate) anchor: u64,
    #[prost(string, tag = "4")]
    pub(crate) anchor_hash: String,
    /// The newest entry and the anchor that were published.
    #[prost(uint64, tag = "5")]
    pub(crate) published: u64,
    #[prost(uint64, tag = "6")]
    pub(crate) published_anchor: u64,
}
