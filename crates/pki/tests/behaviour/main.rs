//! What the crate does, one behaviour a file.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail where it stands"
)]

mod csr_refusals;
mod factory;
mod front_door;
mod issuing;
mod keyfile;
mod opening;
mod openssl;
mod provenance;
mod revocation;
mod signing;
mod world;
