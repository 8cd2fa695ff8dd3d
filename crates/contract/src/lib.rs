//! Ids, topics, the verb table, messages, events and rejection codes: the words all parts share.
//!
//! Nothing here does I/O, knows the time or decides anything. Whoever may publish what, how large
//! it may be and what answers it stands once, in [`verb::VERBS`].
#![forbid(unsafe_code)]

pub mod approval;
pub mod audit;
pub mod code;
pub mod document;
pub mod event;
mod factory;
pub mod filter;
pub mod grant;
pub mod id;
pub mod limits;
pub mod login;
pub mod names;
pub mod notice;
mod pattern;
pub mod presence;
pub mod request_id;
mod role;
pub mod scope;
pub mod text;
pub mod topic;
pub mod verb;
pub mod wire;

/// The messages of `proto/muster/v1`.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/muster.v1.rs"));
    include!(concat!(env!("OUT_DIR"), "/muster.v1.serde.rs"));
}

pub use code::{Code, Refusal};
pub use id::{Id, Kind, Principal, ServiceName};
pub use pattern::{BadPattern, IdPattern};
pub use topic::{Leaf, Root, Topic};
pub use verb::{Class, Verb};
pub use wire::Encoding;
