//! Configuration of devices: what they are to have, and what they say they have.
//!
//! What a device is to have is laid in layers, the weakest first: its type's template, its groups' templates by
//! priority, what was set for it alone. Each layer is a merge patch without null. The whole is written down in
//! the device's record under a version that grows with each change of it; the device is told the difference, and
//! asks for the whole when it connects.
//!
//! Invariants:
//! - A record's `desired` follows from its layers once no walk and no wake-up is under way.
//! - Whatever changes a layer changes one record, or begins a walk of bounded pages.
//! - The key `cx{device}` is there exactly while the device's record says drift.
//! - What others know of a device says how it drifts once no wake-up is under way.
//! - A report that says nothing new writes nothing.

mod event;
mod follow;
mod layers;
mod report;
mod set;
mod show;
mod state;
mod template;
mod walk;

pub(crate) use follow::{WAKE, begin, forget_group, hand_over, note, renew, wake};
pub(crate) use report::decide as report;
pub(crate) use set::{decide as set, fits, read_settings};
pub(crate) use show::{current, drift, explain, own, show, templates};
pub(crate) use state::{DRIFT_WAKE, drift_of, word};
pub(crate) use template::{priority, put as put_template, remove as remove_template};
