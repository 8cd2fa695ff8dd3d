//! Strangers' topics, filters and payloads.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod messages;
mod topics;
