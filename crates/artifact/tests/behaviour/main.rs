//! What the crate does, one behaviour a file.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail where it stands"
)]

mod resuming;
mod trust;
