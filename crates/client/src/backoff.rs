//! How long to wait before the next attempt.

use std::time::Duration;

/// Pauses that double from one failure to the next, up to a bound, each cut by chance to between half and
/// the whole of it, so that a fleet that lost its server does not come back as one.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    failures: u32,
}

impl Backoff {
    /// Pauses from `first` up to `most`.
    pub const fn new(first: Duration, most: Duration) -> Backoff {
        Backoff {
            first,
            most,
            failures: 0,
        }
    }

    /// The pause after one more failure; `chance` lies between 0 and 1.
    pub fn pause(&mut self, chance: f64) -> Duration {
        let doubled = self.first.saturating_mul(1u32 << self.failures.min(20));
        self.failures = self.failures.saturating_add(1);
        doubled.min(self.most).mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
    }

    /// It went well: the next failure is the first.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_bound_and_start_anew() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(300), ms(1_000));
        let pauses: Vec<_> = (0..4).map(|_| backoff.pause(1.0)).collect();
        assert_eq!(pauses, [ms(300), ms(600), ms(1_000), ms(1_000)]);
        backoff.reset();
        assert_eq!(backoff.pause(0.0), ms(150));
        let mut long = Backoff::new(ms(300), ms(1_000));
        assert!((0..100).map(|_| long.pause(0.5)).all(|p| p <= ms(750)));
    }
}
