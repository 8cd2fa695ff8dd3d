//! The service in its host loop, on a store in memory, with a real authority.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::result_large_err)] // the contract's own message, in tests only

mod admitting;
mod auditing;
#[path = "../../../service/testing/rows.rs"]
mod damaged_rows;

mod events;
mod founding;
mod four_eyes;
mod hooks;
mod in_flight;
mod issuing;
mod late;
mod manufacturers;
mod many;
mod people;
mod purging;
mod refusing;
mod renewing;
mod restoring;
mod revoking;
mod rollover;
mod rows;
mod scopes;
mod sequences;
mod server;
mod world;
