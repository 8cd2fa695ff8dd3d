//! How many certificates one party may have.

use contract::{Code, Refusal};

use crate::state::Record;

/// Certificates of one device that can be used at the same time, those being signed included.
pub(crate) const LIVE_MAX: usize = 8;
/// The same of a person: one for each machine.
pub(crate) const PERSON_LIVE_MAX: usize = 32;

/// Whether one more certificate may be planned beside these.
pub(crate) fn room(records: &[Record], now_ms: i64, max: usize, message: &str) -> Result<(), Refusal> {
    if records.iter().filter(|r| r.takes_room(now_ms)).count() < max {
        return Ok(());
    }
    Err(Refusal::new(Code::Limit, message))
}
