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
#![forbid(unsafe_code)]
// This crate is tests through and through: what fails must fail loudly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod files;
mod server;
pub mod topics;
mod world;

pub use files::{cargo_output, muster, muster_program, repository, write_identity};
pub use server::Server;
pub use world::{Person, World};
