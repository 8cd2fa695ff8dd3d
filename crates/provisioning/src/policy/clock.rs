//! Whether the clock can be trusted.

use contract::{Code, Refusal};

/// How far the clock may stand behind the last certificate.
const CLOCK_SLACK_MS: i64 = 5 * 60_000;

/// A clock that stands behind the last certificate would issue what is not valid yet, or too long.
pub(crate) fn clock(latest_ms: i64, now_ms: i64) -> Result<(), Refusal> {
    if now_ms >= latest_ms.saturating_sub(CLOCK_SLACK_MS) {
        return Ok(());
    }
    let minutes = latest_ms.saturating_sub(now_ms) / 60_000;
    let message = format!(
        "the server's clock stands {minutes} minutes behind the last certificate it issued; set it right first"
    );
    Err(Refusal::new(Code::Precondition, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_may_lag_a_little() {
        assert!(clock(1_000_000, 1_000_000 - CLOCK_SLACK_MS).is_ok());
        assert!(clock(1_000_000, 1_000_000 - CLOCK_SLACK_MS - 1).is_err());
    }
}
