//! How long to wait before an errand that failed is sent again.

use std::{collections::BTreeMap, time::Duration};

use client::{AskError, Backoff};

use super::{enrolling::after, errand::Errand};

/// The first pause, and the longest.
const FIRST: Duration = Duration::from_secs(5);
const MOST: Duration = Duration::from_secs(60);

/// Pauses that grow with each failure in a row, errand by errand.
#[derive(Debug, Default)]
pub(crate) struct Retries(BTreeMap<Errand, Backoff>);

impl Retries {
    /// The pause after one more failure; `chance` lies between 0 and 1.
    pub(crate) fn pause(&mut self, errand: Errand, chance: f64) -> Duration {
        let pauses = self.0.entry(errand).or_insert_with(|| Backoff::new(FIRST, MOST));
        pauses.pause(chance)
    }

    /// The same, and no shorter than the server asks for where it has refused: a fleet that was refused as one does
    /// not come back as one.
    pub(crate) fn pause_after(&mut self, errand: Errand, error: &AskError, chance: f64) -> Duration {
        let asked = match error {
            AskError::Refused(refusal) => after(refusal),
            _ => Duration::ZERO,
        };
        self.pause(errand, chance).max(asked.mul_f64(1.0 + chance / 5.0))
    }

    /// It went well: the next failure is the first.
    pub(crate) fn went_well(&mut self, errand: Errand) {
        self.0.remove(&errand);
    }
}

#[cfg(test)]
mod tests {
    use contract::{Code, Refusal};

    use super::*;

    #[test]
    fn pauses_grow_for_the_errand_that_fails() {
        let mut retries = Retries::default();
        let pauses: Vec<_> = (0..6)
            .map(|_| retries.pause(Errand::Report, 1.0).as_secs())
            .collect();
        assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
        assert_eq!(retries.pause(Errand::Standing, 1.0).as_secs(), 5);
        retries.went_well(Errand::Report);
        assert_eq!(retries.pause(Errand::Report, 1.0).as_secs(), 5);
    }

    #[test]
    fn a_refusal_for_good_is_not_answered_at_once() {
        let refused = AskError::Refused(Refusal::new(Code::Invalid, "too long"));
        let mut retries = Retries::default();
        assert_eq!(retries.pause_after(Errand::Report, &refused, 0.0).as_secs(), 30);
        let busy = AskError::Refused(Refusal::new(Code::Busy, "").retry_after_ms(1));
        assert!(retries.pause_after(Errand::Standing, &busy, 1.0).as_secs() == 5);
    }
}
