//! How fast a batch may be used: whoever comes too early is told when to come again, and loses nothing. Those who are
//! turned away are told one moment after the other: a batch that is switched on at once comes back in a row.

use contract::{Code, Refusal, v1::Claim};
use service::{Fault, Outcome, row};

use super::{Situation, refused};
use crate::state::{self, Pace};

const MINUTE_US: i64 = 60_000_000;
/// How many may come at once, in seconds of the even pace.
const BURST_US: i64 = 10_000_000;

/// Takes one certificate's share of the batch's rate (a generic cell rate, as ITU-T I.371 has it). Where it is too early for
/// that, all that comes of the request: nothing that was decided before stays.
pub(super) fn step(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    claim: &Claim,
) -> Result<Option<Outcome>, Fault> {
    let per_minute = match claim.per_minute {
        0 => s.service.settings.per_minute,
        set => set,
    };
    let key = state::pace_key(&claim.batch);
    let former: Pace = s.view.load(&key)?.unwrap_or_default();
    let (pace, turn) = turn(former, s.now_ms.saturating_mul(1_000), per_minute);
    let Err(refusal) = turn else {
        outcome.put(key, &pace);
        return Ok(None);
    };
    let mut early = refused::refusal_of(refusal);
    early.put(key, &pace);
    Ok(Some(early))
}

/// What becomes of the pace when one more comes, and whether it is his turn.
fn turn(pace: Pace, now_us: i64, per_minute: u32) -> (Pace, Result<(), Refusal>) {
    let interval = MINUTE_US / i64::from(per_minute.max(1));
    let ahead = pace.due_us.saturating_sub(now_us).max(0);
    // Further ahead than one can get: the clock was put back.
    let ahead = if ahead > BURST_US.max(interval) { 0 } else { ahead };
    let allowed = BURST_US.saturating_sub(interval).max(0);
    if ahead <= allowed {
        let due_us = now_us.saturating_add(ahead).saturating_add(interval);
        return (Pace { due_us, ..pace }, Ok(()));
    }
    let told_us = row::moment(
        pace.told_us,
        now_us,
        now_us.saturating_add(ahead - allowed),
        interval,
    );
    let message = format!("this claim gives {per_minute} certificates a minute; try again later");
    let wait_ms = u64::try_from(told_us.saturating_sub(now_us) / 1_000 + 1).unwrap_or(1);
    let refusal = Refusal::new(Code::Limit, message).retry_after_ms(wait_ms);
    (Pace { told_us, ..pace }, Err(refusal))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_800_000_000_000_000;

    #[test]
    fn a_slow_batch_gives_one_at_a_time_and_the_others_a_place_each() {
        let (pace, served) = turn(Pace::default(), NOW, 1);
        assert_eq!(served, Ok(()));
        let mut row = pace;
        let waits: Vec<_> = (0..3)
            .map(|_| {
                let (next, refused) = turn(row, NOW, 1);
                row = next;
                let refused = refused.unwrap_err();
                assert_eq!(refused.code, Code::Limit);
                refused.retry_after_ms
            })
            .collect();
        assert_eq!(waits, [60_001, 120_001, 180_001]);
        assert!(turn(row, NOW + MINUTE_US, 1).1.is_ok());
    }

    #[test]
    fn a_clock_put_back_shuts_nobody_out() {
        let (pace, _) = turn(Pace::default(), NOW, 60);
        let far = Pace { told_us: NOW, ..pace };
        let then = NOW - 3_600_000_000;
        let (mut pace, served) = turn(far, then, 60);
        assert!(served.is_ok() && pace.due_us < NOW);
        let refused = loop {
            let (next, served) = turn(pace, then, 60);
            pace = next;
            if let Err(refused) = served {
                break refused;
            }
        };
        assert!(refused.retry_after_ms <= 60_001, "{refused:?}");
    }

    proptest! {
        /// Whoever waits as long as he is told is served then if nobody else comes, and nobody gets more than the rate and the
        /// burst.
        #[test]
        fn the_rate_holds_and_waiting_helps(per_minute in 1_u32..10_000, pauses in proptest::collection::vec(0_i64..3_000_000, 1..200)) {
            let (mut now, mut pace, mut served) = (NOW, Pace::default(), 0_i64);
            for pause in pauses {
                now += pause;
                let (next, answer) = turn(pace, now, per_minute);
                pace = next;
                match answer {
                    Ok(()) => served += 1,
                    Err(refusal) => {
                        let then = now + refusal.retry_after_ms as i64 * 1_000;
                        prop_assert!(turn(pace, then, per_minute).1.is_ok());
                    }
                }
                let interval = MINUTE_US / i64::from(per_minute);
                prop_assert!(served <= (now - NOW + BURST_US.max(interval)) / interval + 1);
            }
        }

        /// A batch that is switched on at once, where each comes again when it was told: never do many come at one moment
        /// again, all get in about as fast as the rate gives, and nobody asks often in vain.
        #[test]
        fn a_batch_that_comes_at_once_comes_back_in_a_row(per_minute in 1_u32..10_000, devices in 1_usize..3_000) {
            let interval = MINUTE_US / i64::from(per_minute);
            let longest = row::longest(interval);
            let mut pace = Pace::default();
            let mut waiting = BTreeMap::from([(NOW, devices)]);
            let (mut asked, mut last_us) = (0, NOW);
            // Half of the row holds so many places; each is filled once more when it is full.
            let places = (longest / 2 / interval) as usize;
            while let Some((now, come)) = waiting.pop_first() {
                prop_assert!(now == NOW || come <= devices / places + 2, "{come} of {devices} at once");
                for _ in 0..come {
                    asked += 1;
                    let (next, answer) = turn(pace, now, per_minute);
                    pace = next;
                    match answer {
                        Ok(()) => last_us = now,
                        Err(refusal) => {
                            let wait = refusal.retry_after_ms as i64 * 1_000;
                            prop_assert!(wait <= longest + 1_000);
                            *waiting.entry(now + wait).or_default() += 1;
                        }
                    }
                }
            }
            let even = devices as i64 * interval;
            prop_assert!(last_us - NOW <= even + even / 4 + 2 * longest, "{} us", last_us - NOW);
            let rounds = even / (longest / 2) + 3;
            prop_assert!(asked as i64 <= devices as i64 * rounds, "{asked} requests");
        }
    }
}
