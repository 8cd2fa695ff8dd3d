//! The load client's side of the wire.

pub(crate) mod connection;
pub(crate) mod mqtt;
pub(crate) mod tls;

pub(crate) use connection::{Connection, Login, Proof};
