//! Mistakes on purpose: what the invariants are worth is what they find.

pub use service::planted::{Mistake, is, plant};
