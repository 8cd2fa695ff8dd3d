//! Commands to devices.
//!
//! ```text
//!           asked for          begun              done
//! queued ─────────────► sent ─────────► running ─────────► succeeded, failed, rejected
//!    │                   │                 │
//!    └── cancelled ◄─────┴── deadline ─────┴─────────────► timed out
//! ```
//!
//! A device asks for one command at a time and is told when there is another. It says that it begins before it does:
//! what was cancelled or has timed out by then is refused, and not run.
//!
//! Invariants:
//! - A final state is never left. What a device says afterwards is written down beside it.
//! - A command that was begun is never given as one that was not.
//! - A device's tray names exactly its commands: the open ones, and the newest of those that ended.
//! - Each open command has a wake-up at its deadline.

mod allow;
mod bound;
mod cancel;
mod end;
mod event;
mod hand;
mod job;
mod output;
mod report;
mod run;
mod show;
mod state;
mod warrant;

pub(crate) use allow::{ANY, why};
pub(crate) use bound::{rule_at_once, rule_within, stricter};
pub(crate) use cancel::decide as cancel;
pub(crate) use end::{WAKE, note, wake};
pub(crate) use hand::decide as hand;
pub(crate) use job::{
    WAKE as JOB_WAKE, cancel as cancel_job, devices as list_job_devices, list as list_jobs, run as run_job,
    show as show_job, told as told_job, wake as wake_job,
};
pub(crate) use output::{decide as take_output, read as read_output};
pub(crate) use report::decide as report;
pub(crate) use run::decide as run;
pub(crate) use show::{list, show};
