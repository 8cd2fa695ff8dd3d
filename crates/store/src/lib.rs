//! The only crate that names sled and redb: a service's database behind [`service::store::Store`], and the
//! files that are too large for a record behind [`service::store::Blobs`].
//!
//! Invariants:
//!
//! - Under sled a commit is one record in a redo log and one fdatasync. It is then shown to readers from memory,
//!   and brought into sled later, when the log is full: see [`SledStore`].
//! - A log is voided only when sled has all of it and sled's files are fsynced: sled's own flush
//!   reaches neither the file's metadata nor the drive's cache.
//! - Readers see nothing that is not on disk.
//! - Once a write has begun and failed, the store is *poisoned*: what sled holds in memory is not to be
//!   trusted, so every later call is refused until the store is dropped and opened anew.
//! - Every value lies in an envelope with a checksum over key and payload, checked on each read. A
//!   damaged record is named, never served.
//! - A commit is refused before it begins when the disk has less room than the reserve, since sled
//!   does not outlive a full disk.
//! - Nothing that was acknowledged is missing in silence: opening counts the rows, and holds the logs
//!   against what was acknowledged. What no file can tell is in `docs/reliability.md`.
//! - Under redb a commit is one transaction, durable when it returns: see [`RedbStore`].
//! - One process at a time: the folder holds a lock file beside sled's own.
//!
//! [`MemoryStore`] and [`MemoryBlobs`] keep the same promises in memory, with faults on demand.
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;

mod applier;
mod ballast;
mod census;
mod checkpoint;
mod committed;
pub mod copy;
mod database;
mod engine;
mod envelope;
mod failpoint;
mod fault;
mod files;
mod folder;
mod journal;
mod kind;
mod layers;
mod limits;
mod memory;
mod memory_blobs;
mod meta;
mod name;
mod off_log;
mod opening;
mod pair;
mod range;
mod recovery;
mod redb_store;
mod redo;
mod repair;
mod room;
mod rows;
mod salvage;
mod stepped;
mod stopped;
mod swap;
mod tally;
mod tree;
mod turn;

pub use database::{Database, Identity};
pub use engine::SledStore;
pub use fault::{Fault, panic_becomes_an_error, quiet_engine_panics};
pub use files::Files;
pub use folder::Held;
pub use kind::Engine;
pub use limits::{MAX_BATCH_BYTES, MAX_KEY_BYTES, MAX_VALUE_BYTES, check as check_batch};
pub use memory::MemoryStore;
pub use memory_blobs::MemoryBlobs;
pub use opening::{OpenOptions, StartCheck};
pub use redb_store::RedbStore;
pub use redo::Medium;
pub use salvage::Seen;
pub use stepped::Stepped;
pub use stopped::{
    ClassStats, Classify, FilesVerified, Lost, Needed, Plan, Repaired, Restored, Rewritten, Stats, Stopped,
    Verified, put_file_back, verify_files,
};
pub use tree::{Stored, Tree};
