//! How a device's configuration drifts is kept with what others know of it, so that devices are found and grouped by it.

use service::{Fault, Outcome};

use super::{Situation, hear};
use crate::config;

/// The configuration was written, or is gone: whoever looks for devices by it is told.
pub(super) fn decide(s: &Situation<'_>, device: &str) -> Result<Outcome, Fault> {
    let drift = config::drift_of(s.view, device)?;
    hear::news(s, device, |live| live.set_drift(drift), |_, _| Ok(false))
}
