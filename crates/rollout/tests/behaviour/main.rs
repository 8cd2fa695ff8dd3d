//! The rollout service as its host runs it, one behaviour a file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may fail where it stands"
)]

#[path = "../../../service/testing/rows.rs"]
mod damaged_rows;

mod artifacts;
mod campaigns;
mod downloads;
mod four_eyes;
mod proofs;
mod recalls;
mod rows;
mod scopes;
mod sequences;
mod world;
