//! The door and its connections, driven by bytes, frames and time alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod admission;
mod data;
mod desk;
mod duplicates;
mod ended;
mod enrolling;
mod events;
mod exactly_once;
mod factories;
mod judging;
mod kept;
mod kicks;
mod limits;
mod logins;
mod mutations;
mod pace;
mod packets;
mod policies;
mod promise;
mod refusals;
mod retained;
mod sequences;
mod shared;
mod slow;
mod strictness;
mod version_5;
mod wills;
mod world;
