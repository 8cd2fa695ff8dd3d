//! The deterministic world: the front door's sessions, the services' loops and the clients in one thread, on
//! a simulated clock, network and disk. One seed decides everything, so that a failure is seen again.
//!
//! ```text
//! clients ─ bytes ─► Connection ─► Door ─► links ─► HostLoop ─► Disk
//! (ours)    (may be   (session)              (may break) (service)  (may be full, fail, lose)
//!            cut, late)
//! ```
//!
//! The code of the product runs here, not a model of it: `session` (connections, door, windows, facts),
//! `service` (host loop, follower, kept answers, events, wake-ups, effects) and the four services. What the
//! world plays are the edges: sockets, the router's queues, threads, the clock, the disk.
//!
//! A run is a [`Plan`]: what is done and what goes wrong, and when. [`run`] carries it out and holds it
//! against the [`Invariant`]s at every step. A plan that fails is cut down by [`shrink`] until nothing can be
//! left out.
#![forbid(unsafe_code)]

mod clients;
mod dice;
mod disk;
mod front;
mod genesis;
mod invariant;
mod keeper;
mod link;
mod network;
mod plan;
pub mod planted;
mod platter;
mod sdk;
mod shrink;
mod story;
mod tree;
mod witness;
mod world;

pub use disk::TurnEnd;
pub use invariant::{Invariant, Violation};
pub use plan::{Act, Fault, Plan};
pub use shrink::shrink;
pub use story::Story;
pub use world::{Figures, Outcome, run};
