//! When those are to come again who came too early: one moment after the other, so that they come back in a row and not
//! at once.

/// The longest that anybody is told to wait, unless the pace is slower than [`PLACES`] in that time.
pub const LONGEST_US: i64 = 60_000_000;
/// How many are told moments of their own at least.
pub const PLACES: i64 = 16;

/// How long a row is where one comes in each interval.
pub fn longest(interval_us: i64) -> i64 {
    LONGEST_US.max(PLACES.saturating_mul(interval_us))
}

/// When whoever is turned away is to come: one interval after the one before him, who was told `told_us`, and not before
/// there is one free. When the row is as long as anybody is told to wait, its later half is filled again, evenly.
pub fn moment(told_us: i64, now_us: i64, free_us: i64, interval_us: i64) -> i64 {
    let longest = longest(interval_us);
    let next = free_us.max(told_us.saturating_add(interval_us));
    match next.saturating_sub(now_us) <= longest {
        true => next,
        false => free_us.max(now_us.saturating_add(longest / 2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_is_full_is_filled_again_from_its_middle() {
        let interval = 1_000_000;
        let mut told = 0;
        let moments: Vec<_> = (0..100)
            .map(|_| {
                told = moment(told, 0, 5_000_000, interval);
                told / interval
            })
            .collect();
        let expected = (5..=60).chain(30..=60).chain(30..=42);
        assert_eq!(moments, expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_slow_pace_has_a_longer_row() {
        let minute = 60_000_000;
        let mut told = 0;
        for place in 1..=PLACES {
            told = moment(told, 0, minute, minute);
            assert_eq!(told, place * minute);
        }
        assert_eq!(moment(told, 0, minute, minute), 8 * minute);
    }
}
