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

/// The time, by a clock that may not have been set: no earlier than something that has happened, such as the
/// beginning of the device's own certificate.
pub(crate) fn at_least(now_ms: Option<i64>, floor_ms: i64) -> i64 {
    now_ms.map_or(floor_ms, |now| now.max(floor_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_is_a_floor() {
        assert_eq!([None, Some(3), Some(7)].map(|now| at_least(now, 5)), [5, 5, 7]);
    }
}
