//! The only place that reads the time of day.

use std::time::{SystemTime, UNIX_EPOCH};

/// 2025-01-01. A clock that says less has not been set since the device lost power.
const PLAUSIBLE_MS: i64 = 1_735_689_600_000;

/// Milliseconds since 1970; nothing on a device that does not know the time.
// The SDK's edge; everything below takes the time as an argument.
#[allow(clippy::disallowed_methods)]
pub(crate) fn now_ms() -> Option<i64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let ms = i64::try_from(since.as_millis()).ok()?;
    (ms >= PLAUSIBLE_MS).then_some(ms)
}
