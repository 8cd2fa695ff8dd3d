//! Strangers' requests, certificates, chains and key files.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail where it stands"
)]

mod certificates;
mod keyfiles;
mod requests;
mod site;
