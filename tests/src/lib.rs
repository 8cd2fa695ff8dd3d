//! A world for whole-system tests: a real `muster` process on a real disk, real mTLS, real devices.
//!
//! ```no_run
//! # async fn example() {
//! let mut world = world::World::new().await;
//! let admin = world.admin().await;
//! world.register(&admin, &["pump-7"]).await;
//! let pump = world.device(&admin, "pump-7").await;
//! world.kill();
//! world.start().await;
//! # }
//! ```
//!
//! For tests under fire there are a [`Crew`] that makes traffic, a [`Load`] that keeps a journal of every
//! acknowledgement, and a [`checkup`] for after the fault.
#![forbid(unsafe_code)]
// This crate is tests through and through: what fails must fail loudly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod audit;
pub mod chaos;
mod checkup;
mod crew;
pub mod disk;
mod files;
mod in_turn;
mod load;
mod manufacturer;
pub mod mqtt;
pub mod pages;
mod parts;
mod ports;
pub mod power;
mod preload;
mod process;
mod scene;
mod server;
mod tally;
pub mod topics;
// Shared with tests that use all of it.
#[allow(dead_code)]
#[path = "../strangers/wire.rs"]
mod wire;
mod world;

pub use audit::Verdict;
pub use checkup::{Promptness, Vitals, checkup, gets_in, health, memory_kib};
pub use crew::Crew;
pub use files::{cargo_output, muster, muster_program, repository, write_identity};
pub use in_turn::{agent, kill_in_turn};
pub use load::{Journal, Load};
pub use manufacturer::Manufacturer;
pub use parts::{PARTS, Parts};
pub use ports::free_port;
pub use process::{Process, signal};
pub use scene::Scene;
pub use server::Server;
pub use tally::{Tally, times};
pub use world::{Person, World};
