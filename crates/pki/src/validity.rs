//! Periods of validity, in milliseconds since 1970 at the edges and whole seconds inside certificates.

use std::time::Duration;

use rcgen::date_time_ymd;
use serde::{Deserialize, Serialize};

/// How far back a certificate's start lies, because a device's clock may be behind ours.
pub const BACKDATE_MS: u64 = 60_000;

/// 9999-12-31T23:59:59Z, the last instant a certificate can state.
const LAST_SECOND: u64 = 253_402_300_799;

/// A period with both ends included, of whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validity {
    /// The first instant, in milliseconds since 1970.
    pub not_before_ms: i64,
    /// The last instant, in milliseconds since 1970.
    pub not_after_ms: i64,
}

/// Why no period of validity can be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValidityError {
    /// The instant lies outside the period of the authority.
    #[error("the authority is not valid at this time")]
    AuthorityNotValid,
    /// The period would end before it lasted a second.
    #[error("the period of validity is empty")]
    Empty,
    /// The period lies outside 1970 to 9999.
    #[error("the period of validity lies outside 1970 to 9999")]
    OutOfRange,
}

impl Validity {
    /// The period of a self-signed root: from a minute before `now_ms`, for `lifetime_ms`.
    pub fn starting(now_ms: i64, lifetime_ms: u64) -> Result<Validity, ValidityError> {
        let lifetime = i64::try_from(lifetime_ms).map_err(|_| ValidityError::OutOfRange)?;
        let end = now_ms.checked_add(lifetime).ok_or(ValidityError::OutOfRange)?;
        Validity {
            not_before_ms: whole(now_ms.saturating_sub_unsigned(BACKDATE_MS)),
            not_after_ms: whole(end),
        }
        .checked(now_ms)
    }

    /// The period of a certificate under an authority: as [`Validity::starting`], cut to the authority's
    /// own.
    pub fn within(authority: Validity, now_ms: i64, lifetime_ms: u64) -> Result<Validity, ValidityError> {
        if !authority.contains(now_ms) {
            return Err(ValidityError::AuthorityNotValid);
        }
        let wish = Validity::starting(now_ms, lifetime_ms)?;
        Validity {
            not_before_ms: wish.not_before_ms.max(authority.not_before_ms),
            not_after_ms: wish.not_after_ms.min(authority.not_after_ms),
        }
        .checked(now_ms)
    }

    /// Whether the instant lies in the period.
    pub fn contains(self, now_ms: i64) -> bool {
        (self.not_before_ms..=self.not_after_ms).contains(&now_ms)
    }

    /// Whether the other period lies in this one entirely.
    pub fn encloses(self, inner: Validity) -> bool {
        self.contains(inner.not_before_ms) && self.contains(inner.not_after_ms)
    }

    pub(crate) fn of(read: &x509_parser::certificate::Validity) -> Validity {
        Validity {
            not_before_ms: read.not_before.timestamp().saturating_mul(1000),
            not_after_ms: read.not_after.timestamp().saturating_mul(1000),
        }
    }

    pub(crate) fn stamp(self, params: &mut rcgen::CertificateParams) -> Result<(), ValidityError> {
        if whole(self.not_after_ms) <= whole(self.not_before_ms) {
            return Err(ValidityError::Empty);
        }
        params.not_before = date_time_ymd(1970, 1, 1) + since_epoch(self.not_before_ms)?;
        params.not_after = date_time_ymd(1970, 1, 1) + since_epoch(self.not_after_ms)?;
        Ok(())
    }

    fn checked(self, now_ms: i64) -> Result<Validity, ValidityError> {
        since_epoch(self.not_before_ms)?;
        since_epoch(self.not_after_ms)?;
        if self.not_after_ms <= now_ms {
            Err(ValidityError::Empty)
        } else {
            Ok(self)
        }
    }
}

/// The time from 1970 to the instant, in whole seconds, if a certificate can state it.
pub(crate) fn since_epoch(ms: i64) -> Result<Duration, ValidityError> {
    let seconds = u64::try_from(ms.div_euclid(1000)).map_err(|_| ValidityError::OutOfRange)?;
    if seconds > LAST_SECOND {
        Err(ValidityError::OutOfRange)
    } else {
        Ok(Duration::from_secs(seconds))
    }
}

/// The instant without its part of a second.
pub(crate) fn whole(ms: i64) -> i64 {
    ms.div_euclid(1000).saturating_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_500;
    const CA: Validity = Validity {
        not_before_ms: NOW - 30_500,
        not_after_ms: NOW + 99_500,
    };

    #[test]
    fn a_period_is_cut_to_the_authoritys() {
        let long = Validity::within(CA, NOW, 1_000_000).unwrap();
        assert_eq!(long, CA);
        let short = Validity::within(CA, NOW, 10_000).unwrap();
        assert_eq!(short.not_after_ms, NOW + 9_500);
    }

    #[test]
    fn an_authority_outside_its_period_gives_none() {
        for now in [CA.not_before_ms - 1, CA.not_after_ms + 1] {
            assert_eq!(
                Validity::within(CA, now, 10_000),
                Err(ValidityError::AuthorityNotValid)
            );
        }
        assert_eq!(
            Validity::within(CA, CA.not_after_ms, 10_000),
            Err(ValidityError::Empty)
        );
    }

    #[test]
    fn periods_no_certificate_can_state() {
        assert_eq!(Validity::starting(NOW, 0), Err(ValidityError::Empty));
        assert_eq!(Validity::starting(NOW, u64::MAX), Err(ValidityError::OutOfRange));
        assert_eq!(
            Validity::starting(NOW, 300_000_000_000_000),
            Err(ValidityError::OutOfRange)
        );
        assert_eq!(Validity::starting(0, 1_000), Err(ValidityError::OutOfRange));
    }
}
