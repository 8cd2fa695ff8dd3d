//! Devices against a front door that is played: mTLS and MQTT 5 as they are on the wire.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../world/mod.rs"]
mod world;

mod certificates;
mod commanding;
mod configuration;
mod full_disk;
mod killed;
mod late;
mod pump;
mod retirement;
mod updates;
