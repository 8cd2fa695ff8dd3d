//! What a service is: the trait, the outcome, and the host loop and follower as sans-I/O machines.
//!
//! ```text
//! inbox ─► HostLoop::decide ─► Group ─► Store::commit ─► Group::committed ─► Released
//!           (pure)             batch     flush, fsync      (asks for the     facts, replies, events,
//!                                                           proof by value)  effects, queries
//! ```
//!
//! A [`Service`] decides; the [`HostLoop`] does for all four what does not differ between them: request
//! ids and kept answers, the event log, facts and followers, wake-ups, effects, replay. A shell (crate
//! `host`, or the simulator) owns the disk, the bus and the clock and drives it.
//!
//! Invariants:
//! - Nothing is published of a group before its batch is durable: [`Group::committed`] takes a
//!   [`store::Durable`], which only an engine can make.
//! - Every request gets one answer: a reply, a refusal, or a promise (`taken`) that is kept on disk.
//! - Events and facts are numbered without gaps within a store's epoch.
#![forbid(unsafe_code)]

pub mod follower;
mod host_loop;
pub mod inspect;
mod keys;
pub mod metric;
mod outcome;
pub mod page;
pub mod planted;
mod record;
pub mod row;
mod service;
mod sight;
pub mod store;
mod told;
mod view;

pub use host_loop::{
    Effect, Group, HostLoop, Input, Query, QueryDone, Released, Settings, granted, reach, touched,
};
pub use outcome::{
    Amount, Answer, AuditDraft, Completion, EffectDraft, EventDraft, FactDraft, Measure, Outcome, PushDraft,
    RequestDraft, WakeDraft,
};
pub use service::{Caller, Context, Entropy, FactChange, Fault, Now, Parsed, QueryContext, Service};
pub use sight::Sight;
pub use told::{subjects, told};
pub use view::View;
