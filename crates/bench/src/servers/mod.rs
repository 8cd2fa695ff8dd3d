//! The servers under test, each a process of its own.

pub(crate) mod health;
pub(crate) mod mosquitto;
pub(crate) mod muster;
pub(crate) mod postgres;
mod process;

use std::net::SocketAddr;

pub(crate) use self::{
    health::{Counters, Work},
    mosquitto::Mosquitto,
    muster::Muster,
    postgres::Postgres,
    process::{Process, own_cpu},
};

/// Where clients reach a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) plain: SocketAddr,
    pub(crate) tls: SocketAddr,
}
