//! The service in its host loop, on a store in memory, with a real authority.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod issuing;
mod revoking;
mod sequences;
mod world;
