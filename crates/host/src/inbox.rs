//! What reaches the writer thread, from wherever, in one order.

use bus::BusEvent;
use contract::v1::Frame;

/// One thing that has happened.
pub(crate) enum Arrival {
    /// The bus.
    Bus(BusEvent),
    /// An effect's result.
    Effect { id: String, result: Vec<u8> },
    /// A query's answer, to be published between two commits.
    Answer { connection: u64, frames: Vec<Frame> },
    /// A read failed in a way that means: open the store anew.
    ReadFailed(String),
}
