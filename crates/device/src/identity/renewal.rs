//! When the next certificate is due.

use sha2::{Digest, Sha256};

/// Two thirds into its life, and up to a twelfth of its life later, by chance: certificates of one morning
/// are not renewed in one minute. The chance is drawn from the serial, so that it stands after a restart.
pub(crate) fn due_ms(not_before_ms: i64, not_after_ms: i64, serial: &str) -> i64 {
    let life = not_after_ms.saturating_sub(not_before_ms).max(0);
    let digest = Sha256::digest(serial);
    let chance = i64::from(u16::from_be_bytes([digest[0], digest[1]]));
    let jitter = i128::from(life) * i128::from(chance) / i128::from(u16::MAX) / 12;
    let two_thirds = i128::from(life) * 2 / 3;
    not_before_ms.saturating_add(i64::try_from(two_thirds + jitter).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn between_two_thirds_and_three_quarters(start in 0i64..1 << 50, life in 0i64..1 << 50, serial in ".*") {
            let due = due_ms(start, start + life, &serial) - start;
            prop_assert!(due >= life * 2 / 3 && due <= life * 3 / 4 + 1);
        }
    }

    #[test]
    fn serials_spread() {
        let dues: std::collections::BTreeSet<_> = (0..100)
            .map(|n| due_ms(0, 90 * 86_400_000, &n.to_string()))
            .collect();
        assert!(dues.len() > 95);
    }
}
