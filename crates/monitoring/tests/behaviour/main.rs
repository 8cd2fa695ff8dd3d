//! The monitoring service as its host runs it, one behaviour a file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may fail where it stands"
)]

mod presence;
mod rules;
mod sequences;
mod snapshots;
mod world;
