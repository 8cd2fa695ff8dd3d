//! Trouble that goes on is told once, and then once a minute: it is tried again much more often.

use std::{
    collections::BTreeMap,
    fmt::Display,
    time::{Duration, Instant},
};

/// How often the same trouble is told.
const EVERY: Duration = Duration::from_secs(60);

/// What was told lately.
#[derive(Default)]
pub(crate) struct Trouble {
    told: BTreeMap<String, Instant>,
    /// Whether something was told that is not over.
    open: bool,
}

impl Trouble {
    /// Whether this is told now.
    pub(crate) fn is_told(&mut self, what: &str, error: &impl Display, now: Instant) -> bool {
        self.told
            .retain(|_, at| now.saturating_duration_since(*at) < EVERY);
        let text = format!("{what}: {error}");
        if self.told.contains_key(&text) {
            return false;
        }
        self.told.insert(text, now);
        self.open = true;
        true
    }

    /// It is over; whether that is told: whoever read of no trouble need not read of its end.
    pub(crate) fn is_over(&mut self) -> bool {
        std::mem::take(&mut self.open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_told_once_a_minute_and_its_end_as_often() {
        let mut trouble = Trouble::default();
        let begun = Instant::now();
        let mut lines = 0;
        // The disk is full and has room again, twice a second for two minutes.
        for n in 0..240 {
            let now = begun + Duration::from_millis(500 * n);
            lines += u32::from(trouble.is_told("commit", &"full", now));
            lines += u32::from(trouble.is_over());
        }
        assert_eq!(lines, 4);
        let now = begun + Duration::from_secs(119);
        assert!(trouble.is_told("open", &"full", now) && trouble.is_told("commit", &"damaged", now));
        assert!(!trouble.is_told("open", &"full", now));
    }
}
