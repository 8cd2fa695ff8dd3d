//! Watches a writer thread: an engine that does not come back fails nothing, and nobody would hear of it.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::StatusCell;

/// A round of so long is told as trouble: a disk that takes half a minute for one write is not well.
pub(crate) const STALLED: Duration = Duration::from_secs(30);
/// After so long nothing is waited for any more.
const HOPELESS: Duration = Duration::from_secs(300);
/// How often it looks.
const LOOK: Duration = Duration::from_secs(1);

/// How a writer thread is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Well,
    /// It has been at one round for too long.
    Stalled,
    /// It will not come back.
    Hopeless,
}

/// Of a round that has taken so long, and was found too long at so many looks in a row. Looks are counted since a
/// process that stood still (SIGSTOP) has not waited for its store meanwhile.
fn judge(round: Option<Duration>, looks: u32) -> Verdict {
    match round {
        Some(_) if STALLED + LOOK * looks >= HOPELESS => Verdict::Hopeless,
        Some(time) if time >= STALLED => Verdict::Stalled,
        _ => Verdict::Well,
    }
}

/// Looks until the shutdown. A process whose store does not come back is ended as a kill would end it, since whoever
/// supervises it can start it again: nothing that was acknowledged is lost by that, and nothing else helps.
pub(crate) async fn watch(service: &'static str, status: StatusCell, shutdown: CancellationToken) {
    let (mut before, mut looks) = (Verdict::Well, 0);
    while shutdown
        .run_until_cancelled(tokio::time::sleep(LOOK))
        .await
        .is_some()
    {
        let verdict = judge(status.round_so_far(), looks);
        looks = if verdict == Verdict::Well { 0 } else { looks + 1 };
        match (before, verdict) {
            (Verdict::Well, Verdict::Stalled) => {
                error!(
                    service,
                    seconds = STALLED.as_secs(),
                    "the store does not answer; its requests wait"
                );
            }
            (Verdict::Stalled, Verdict::Well) => info!(service, "the store answers again"),
            (_, Verdict::Hopeless) => {
                error!(
                    service,
                    seconds = HOPELESS.as_secs(),
                    "the store does not answer; the process ends, start it again"
                );
                std::process::abort();
            }
            _ => {}
        }
        before = verdict;
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{HOPELESS, LOOK, STALLED, Verdict, judge};
    use crate::StatusCell;

    #[test]
    fn a_round_that_takes_too_long_is_trouble_and_then_the_end() {
        let cases = [
            (None, 0, Verdict::Well),
            (Some(STALLED - Duration::from_millis(1)), 0, Verdict::Well),
            (Some(STALLED), 0, Verdict::Stalled),
            (Some(HOPELESS - LOOK), 269, Verdict::Stalled),
            (Some(HOPELESS), 270, Verdict::Hopeless),
            // It stood still itself.
            (Some(HOPELESS * 2), 1, Verdict::Stalled),
        ];
        for (round, looks, verdict) in cases {
            assert_eq!(judge(round, looks), verdict, "{round:?}");
        }
    }

    #[test]
    fn health_tells_of_a_store_that_does_not_answer_and_of_no_other() {
        let status = StatusCell::default();
        status.update(|s| (s.open, s.connected, s.whole) = (true, true, true));
        status.round_begins(Instant::now());
        assert!(status.get().is_ready());
        status.round_begins(Instant::now().checked_sub(STALLED).expect("an uptime"));
        let told = status.get();
        assert!(!told.is_ready());
        assert!(
            told.trouble.starts_with("the store has not answered for 30 s"),
            "{}",
            told.trouble
        );
        status.round_ends();
        assert!(status.get().is_ready() && status.round_so_far().is_none());
    }
}
