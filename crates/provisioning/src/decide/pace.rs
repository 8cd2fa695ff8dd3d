//! How fast a batch may be used: whoever comes too early is told when to come again, and loses nothing.

use contract::{Code, Refusal, v1::Claim};
use service::{Fault, Outcome};

use super::Situation;
use crate::state::{self, Pace};

const MINUTE_US: i64 = 60_000_000;
/// How many may come at once, in seconds of the even pace.
const BURST_US: i64 = 10_000_000;

/// Takes one certificate's share of the batch's rate (a generic cell rate, as ITU-T I.371 has it).
pub(super) fn step(s: &Situation<'_>, outcome: &mut Outcome, claim: &Claim) -> Result<(), Fault> {
    let per_minute = match claim.per_minute {
        0 => s.service.settings.per_minute,
        set => set,
    };
    let key = state::pace_key(&claim.batch);
    let pace: Pace = s.view.load(&key)?.unwrap_or_default();
    let due_us = next_due(pace.due_us, s.now_ms.saturating_mul(1_000), per_minute)?;
    outcome.put(key, &Pace { due_us });
    Ok(())
}

/// When the one after this is due; or the refusal, if this one comes too early.
fn next_due(due_us: i64, now_us: i64, per_minute: u32) -> Result<i64, Refusal> {
    let interval = MINUTE_US / i64::from(per_minute.max(1));
    let ahead = due_us.saturating_sub(now_us).max(0);
    // Further ahead than one can get: the clock was put back.
    let ahead = if ahead > BURST_US.max(interval) { 0 } else { ahead };
    let allowed = BURST_US.saturating_sub(interval).max(0);
    if ahead > allowed {
        let wait_us = ahead - allowed;
        let message = format!("this claim gives {per_minute} certificates a minute; try again later");
        let wait_ms = u64::try_from(wait_us / 1_000 + 1).unwrap_or(1);
        return Err(Refusal::new(Code::Limit, message).retry_after_ms(wait_ms));
    }
    Ok(now_us.saturating_add(ahead).saturating_add(interval))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_800_000_000_000_000;

    #[test]
    fn a_slow_batch_gives_one_at_a_time() {
        let due = next_due(0, NOW, 1).unwrap();
        let refused = next_due(due, NOW, 1).unwrap_err();
        assert_eq!((refused.code, refused.retry_after_ms), (Code::Limit, 60_001));
        assert!(next_due(due, NOW + MINUTE_US, 1).is_ok());
    }

    #[test]
    fn a_clock_put_back_shuts_nobody_out() {
        let due = next_due(0, NOW, 60).unwrap();
        assert!(next_due(due, NOW - 3_600_000_000, 60).is_ok_and(|due| due < NOW));
    }

    proptest! {
        /// Whoever waits as long as he is told is served then, and nobody gets more than the rate and the burst.
        #[test]
        fn the_rate_holds_and_waiting_helps(per_minute in 1_u32..10_000, pauses in proptest::collection::vec(0_i64..3_000_000, 1..200)) {
            let (mut now, mut due, mut served) = (NOW, 0, 0_i64);
            for pause in pauses {
                now += pause;
                match next_due(due, now, per_minute) {
                    Ok(next) => (due, served) = (next, served + 1),
                    Err(refusal) => {
                        let then = now + refusal.retry_after_ms as i64 * 1_000;
                        prop_assert!(next_due(due, then, per_minute).is_ok());
                    }
                }
                let interval = MINUTE_US / i64::from(per_minute);
                prop_assert!(served <= (now - NOW + BURST_US.max(interval)) / interval + 1);
            }
        }
    }
}
