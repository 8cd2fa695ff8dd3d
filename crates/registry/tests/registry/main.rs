//! The registry in the real host loop: its verbs, its life cycle, and random sequences of both.
// A failed unwrap is a failed test; rejections are compared whole.
#![allow(clippy::unwrap_used, clippy::result_large_err)]

#[path = "../../../service/testing/rows.rs"]
mod damaged_rows;

mod auditing;
mod buying;
mod checkpoints;
mod commanding;
mod configuring;
mod dynamic_groups;
mod finding;
mod four_eyes;
mod groups_and_people;
mod inventory;
mod jobs;
mod knowing;
mod life;
mod lifecycle;
mod listing;
mod maintaining;
mod registering;
mod reporting;
mod retention;
mod retirement;
mod rows;
mod scopes;
mod sequences;
mod steps;
mod tokens;
mod transferring;
mod tree;
mod types;
mod world;
