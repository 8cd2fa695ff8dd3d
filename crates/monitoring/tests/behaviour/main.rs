//! The monitoring service as its host runs it, one behaviour a file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may fail where it stands"
)]

#[path = "../../../service/testing/rows.rs"]
mod damaged_rows;

mod presence;
mod rows;
mod rules;
mod scopes;
mod sequences;
mod snapshots;
mod world;
