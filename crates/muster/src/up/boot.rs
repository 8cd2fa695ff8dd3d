//! The number of a start of the front door: greater than that of every start before it, also when the clock was set back.
//! Whoever is told of sessions takes what has a smaller one for older (docs/operations.md).

use std::{fs, path::Path};

use tracing::warn;

use crate::folder::write_public;

/// Beside the services' folders.
const FILE: &str = "front-door.boot";

/// The number of this start. Milliseconds since 1970, so that it also grows where the file was lost.
pub(super) fn next(state: &Path, wall_ms: i64) -> u64 {
    let path = state.join(FILE);
    let last = fs::read_to_string(&path).ok();
    let number = after(last.as_deref(), wall_ms);
    // On a full disk the clock alone must do.
    if let Err(error) = write_public(&path, number.to_string().as_bytes()) {
        warn!(
            "{error:#}; if the clock is set back before the next start, presence is not believed until it has caught up"
        );
    }
    number
}

fn after(last: Option<&str>, wall_ms: i64) -> u64 {
    let last: Option<u64> = last.and_then(|last| last.trim().parse().ok());
    let least = last.map_or(0, |last| last.saturating_add(1));
    u64::try_from(wall_ms).unwrap_or_default().max(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_whatever_the_clock_says() {
        for (last, wall_ms, expected) in [
            (None, 1_000, 1_000),
            (Some("900\n"), 1_000, 1_000),
            (Some("1000"), 1_000, 1_001),
            (Some("5000"), 1_000, 5_001),
            (Some("5000"), -1, 5_001),
            (Some("no number"), 1_000, 1_000),
            (Some("18446744073709551615"), 1_000, u64::MAX),
        ] {
            assert_eq!(after(last, wall_ms), expected, "{last:?} at {wall_ms}");
        }
    }

    #[test]
    fn the_next_start_has_a_greater_one_also_when_the_clock_was_set_back() {
        let state = tempfile::tempdir().unwrap();
        let first = next(state.path(), 5_000);
        assert_eq!((first, next(state.path(), 1_000)), (5_000, 5_001));
    }
}
