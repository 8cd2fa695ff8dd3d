//! Tiny rules, one idea a file: who may be certified, with which key, for how long. Each takes facts and time, and either
//! passes, with what it has read, or is the refusal in the words that the caller hears.

mod batch;
mod clock;
mod csr;
mod device;
mod factory;
mod person;
mod reason;
mod renewal;
mod room;
mod secret;
mod server;
mod word;

pub(crate) use self::{
    batch::{announced, batch, claim_lifetime, not_opened, pattern, rate, types},
    clock::clock,
    csr::{csr, expected_key, key, key_kind},
    device::{device, new_device},
    factory::{built_as, factory_name, named_by_factory, not_opened_by_factory},
    person::{person, person_kind, person_lifetime},
    reason::{reason, reasons},
    renewal::{renewable, renewal_rate, renewal_time},
    room::{LIVE_MAX, PERSON_LIVE_MAX, room},
    secret::secret_lifetime,
    server::{hosts, names, server_due, server_hosts},
    word::{id, key_fingerprint, serial, why},
};
