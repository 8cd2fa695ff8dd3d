//! Jobs: one command to many devices, so many at once.
//!
//! ```text
//!               all written down            each has come to its end
//! collecting ──────────────────► running ───────────────────────────► succeeded, failed
//!      │                            │
//!      └──── cancel, deadline ──────┴──► ending ────────────────────► cancelled, timed out
//! ```
//!
//! The devices are written down in the order of their ids, each as a row of its own, and begin in this order. What a
//! step costs does not depend on how many there are: it writes the device's row and the job's counts.
//!
//! Invariants:
//! - The counts are those of the rows, and add up to the job's devices.
//! - The rows before `next` had their turn, those from there on wait; so no device has its turn twice.
//! - At most `at_once` devices are under way: queued, sent or running. They are those of the keys `kw`.
//! - A device whose rules let fewer at once begins only while fewer are under way, whichever; those after it wait.
//! - A device has its turn only if whoever made the job may still order to it then.
//! - A final state, of a row or of the job, is never left. A job ends when all its rows have.
//! - A job that has not ended has a wake-up at its deadline, and one for the next page while there is something to
//!   write down, to begin or to end.

mod end;
mod follow;
mod pump;
mod run;
mod show;
mod state;
mod tally;

use contract::v1::CommandJob;
use service::{Fault, Outcome};

use crate::decide::Situation;

pub(crate) use end::cancel;
pub(super) use follow::follow;
pub(crate) use run::decide as run;
pub(crate) use show::{devices, list, show};
pub(crate) use state::told;

/// Begins the name of the wake-ups.
pub(crate) const WAKE: &str = "job/";

/// A wake-up of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wake {
    /// There is a page of devices to write down, to begin or to end.
    Go,
    /// Its time is over.
    Deadline,
    /// There is news to tell.
    Tell,
    /// It has been kept long enough.
    Forget,
}

impl Wake {
    const ALL: [Wake; 4] = [Wake::Go, Wake::Deadline, Wake::Tell, Wake::Forget];

    fn word(self) -> &'static str {
        match self {
            Wake::Go => "go",
            Wake::Deadline => "deadline",
            Wake::Tell => "tell",
            Wake::Forget => "forget",
        }
    }

    fn key(self, job: &CommandJob) -> String {
        format!("{WAKE}{}/{}/{}", job.job_id, job.created_by, self.word())
    }
}

/// A wake-up, by the rest of its name.
pub(crate) fn wake(s: &Situation<'_>, key: &str) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let name = key.split_once('/').and_then(|(job, rest)| {
        let (owner, word) = rest.rsplit_once('/')?;
        Some((state::name(owner, job), word))
    });
    let Some((name, word)) = name else {
        return Ok(outcome);
    };
    let Some(kept) = state::present(s.view, &name)? else {
        return Ok(outcome);
    };
    match Wake::ALL.into_iter().find(|wake| wake.word() == word) {
        Some(Wake::Go) => pump::go(s, &mut outcome, kept)?,
        Some(Wake::Deadline) => end::deadline(s, &mut outcome, kept)?,
        Some(Wake::Tell) => tally::tell(s, &mut outcome, kept),
        Some(Wake::Forget) => end::forget(s, &mut outcome, &kept.job)?,
        None => {}
    }
    Ok(outcome)
}
