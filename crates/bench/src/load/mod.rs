//! The load: devices that report, counted and timed.

pub(crate) mod arrivals;
pub(crate) mod crowd;
mod meter;
pub(crate) mod report;
mod sender;
mod subscriber;

pub(crate) use self::{
    crowd::{Crowd, Load, Span},
    meter::{Figures, Meter},
    sender::{Pace, Sender},
    subscriber::Subscriber,
};
