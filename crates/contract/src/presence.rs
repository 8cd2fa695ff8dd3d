//! What the front door says of how a session ended, where others act on it: a word in
//! [`Presence::cause`](crate::v1::Presence).

/// Another session of the same client took its place.
pub const TAKEOVER: &str = "takeover";
