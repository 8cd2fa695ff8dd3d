//! The time that TLS goes by.

use std::time::Duration;

use rustls::time_provider::TimeProvider;
use rustls_pki_types::UnixTime;

/// The system's time, but no earlier than the beginning of one's own certificate: a device that has lost its clock
/// could not tell a server whose certificate is valid from one whose is not valid yet, and would never get to
/// where the time is known.
#[derive(Debug)]
pub(crate) struct NoEarlier(UnixTime);

impl NoEarlier {
    /// Than this, milliseconds since 1970.
    pub(crate) fn than(ms: i64) -> NoEarlier {
        let since = Duration::from_millis(u64::try_from(ms).unwrap_or_default());
        NoEarlier(UnixTime::since_unix_epoch(since))
    }
}

impl TimeProvider for NoEarlier {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::now().max(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_behind_is_not_believed() {
        let (year_3000, year_2001) = (32_503_680_000_000, 978_307_200_000);
        let told = |ms| NoEarlier::than(ms).current_time().map(|time| time.as_secs());
        assert_eq!(told(year_3000), Some(32_503_680_000));
        assert!(told(year_2001) > Some(978_307_200) && told(i64::MIN) >= told(0).map(|now| now - 5));
    }
}
