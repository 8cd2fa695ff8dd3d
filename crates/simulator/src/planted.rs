//! Mistakes on purpose: what the invariants are worth is what they find.

/// Those of the devices' SDK.
pub use device::planted as of_devices;
pub use service::planted::{Mistake, is, plant};
