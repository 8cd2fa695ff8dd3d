//! Times as people give them: from now on, or a date.

use std::{str::FromStr, time::UNIX_EPOCH};

use host::clock::wall_ms;

/// Milliseconds of a day.
pub(in crate::cli) const DAY_MS: i64 = 86_400_000;
/// Names the two forms in the help.
pub(in crate::cli) const FORMS: &str = "TIME|DATE";

/// A point in time: `30d` from now, `2030-01-31`, or `2030-01-31T12:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct When(i64);

/// Why a text is no point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "give a time from now such as `30d` or `12h`, or a date such as `2030-01-31` or `2030-01-31T12:00:00Z`"
)]
pub(in crate::cli) struct BadWhen;

impl When {
    /// Milliseconds since 1970, UTC.
    pub(in crate::cli) fn ms(self) -> i64 {
        self.0
    }

    fn read(text: &str, now_ms: i64) -> Option<When> {
        let ms = match humantime::parse_duration(text) {
            Ok(ahead) => now_ms.checked_add(i64::try_from(ahead.as_millis()).ok()?)?,
            Err(_) => day_ms(text)?,
        };
        Some(When(ms))
    }
}

impl FromStr for When {
    type Err = BadWhen;

    fn from_str(text: &str) -> Result<When, BadWhen> {
        When::read(text, wall_ms()).ok_or(BadWhen)
    }
}

/// The beginning of a day such as `2030-01-31`, UTC; or that instant, where there is a time behind it.
pub(in crate::cli) fn day_ms(text: &str) -> Option<i64> {
    let midnight = || humantime::parse_rfc3339(&format!("{text}T00:00:00Z"));
    let time = humantime::parse_rfc3339(text).or_else(|_| midnight()).ok()?;
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_from_now_and_dates() {
        for (text, expected) in [
            ("30d", Some(1_000 + 30 * 86_400_000)),
            ("1h 30m", Some(1_000 + 5_400_000)),
            ("1970-01-02", Some(86_400_000)),
            ("1970-01-01T00:01:00Z", Some(60_000)),
            ("", None),
            ("soon", None),
            ("30", None),
            ("1970-13-01", None),
            ("1960-01-01", None),
            ("1970-01-01T00:01:00", None),
        ] {
            assert_eq!(When::read(text, 1_000), expected.map(When), "{text:?}");
        }
    }
}
