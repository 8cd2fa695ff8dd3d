//! What can be measured, one subcommand a file, and the raw limits beside it.

pub(crate) mod connects;
pub(crate) mod devices;
pub(crate) mod fan;
pub(crate) mod latency;
pub(crate) mod lists;
pub(crate) mod provisioning;
mod raw_signing;
mod raw_sled;
pub(crate) mod renewals;
pub(crate) mod requests;
pub(crate) mod revocations;
pub(crate) mod scale;
pub(crate) mod space;
