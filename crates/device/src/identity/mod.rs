//! The device's keys and certificates: which there are, what they must say, when they are due.

mod certificate;
mod keys;
mod renewal;
mod roots;

pub(crate) use certificate::{read_ended, read_fitting};
pub(crate) use keys::{Credentials, Keys, Request};
pub(crate) use renewal::due_ms;
pub(crate) use roots::Roots;
