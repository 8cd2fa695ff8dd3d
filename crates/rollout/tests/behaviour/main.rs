//! The rollout service as its host runs it, one behaviour a file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may fail where it stands"
)]

mod artifacts;
mod campaigns;
mod downloads;
mod proofs;
mod sequences;
mod world;
