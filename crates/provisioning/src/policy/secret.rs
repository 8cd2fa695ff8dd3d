//! How long a one-time secret lasts.

use contract::Refusal;

/// The longest life of a device's one-time secret, milliseconds: a year, as it may be printed on the device.
const SECRET_LIFETIME_MAX_MS: i64 = 365 * crate::DAY_MS as i64;

/// How long a device's one-time secret lasts from now.
pub(crate) fn secret_lifetime(expires_ms: i64, now_ms: i64) -> Result<(), Refusal> {
    match expires_ms.checked_sub(now_ms) {
        Some(60_000..=SECRET_LIFETIME_MAX_MS) => Ok(()),
        Some(..60_000) => Err(Refusal::invalid("expires_ms", "a secret lasts a minute at least")),
        _ => Err(Refusal::invalid("expires_ms", "a secret lasts a year at most")),
    }
}
