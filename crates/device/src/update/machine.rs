//! What becomes of the journal when something happens, and what is to be done next.

use super::{
    journal::{End, How, Job, Journal, Stage},
    judge::Offer,
};

/// Starts of a new image before the old one comes back.
const BOOTS_MAX: u32 = 3;
/// An image that is whole and wrong is fetched once more: the fault may have been the disk's.
const ATTEMPTS_MAX: u32 = 2;
/// Longest detail that the server takes.
const DETAIL_CHARS: usize = 500;

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// The server assigns something.
    Offered(Offer),
    /// The server assigns nothing, or called this off.
    Unassigned,
    /// The image is whole and right.
    Fetched,
    /// The image is whole and wrong.
    Damaged(String),
    /// The image cannot be fetched or stored.
    Failed(String),
    /// What is fetched may no longer be installed.
    Refused(String),
    /// The server knows that the image is being installed, and still assigns it.
    Announced,
    /// The image is in its slot.
    Staged,
    /// The image is started.
    Started,
    /// The new image is well.
    Healthy,
    /// The new image is not well.
    Unhealthy(String),
    /// The old image runs.
    Undone,
    /// The server knows the end.
    Acknowledged,
}

/// What is to be done, as often as it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Task {
    /// Fetch the image and check it.
    Fetch(Job),
    /// Tell the server that it is being installed, and ask whether it still is to be.
    Announce(Job),
    /// Put the image into the slot that does not run.
    Stage(Job),
    /// Start the image and judge it.
    Try(Job),
    /// Start the old image.
    Undo,
    /// Tell the server how it ended.
    Report(End),
}

/// What follows. An input that does not fit the stage, because it is late or comes twice, changes nothing.
pub(crate) fn step(journal: &Journal, input: Input) -> Journal {
    let mut next = journal.clone();
    match (journal.stage.clone(), input) {
        (stage, Input::Offered(offer)) => offered(&mut next, stage, offer),
        (Stage::Downloading { .. } | Stage::Verified { .. }, Input::Unassigned) => next.stage = Stage::Idle,
        (Stage::Downloading { job, .. }, Input::Fetched) => next.stage = Stage::Verified { job },
        (Stage::Downloading { job, attempt }, Input::Damaged(why)) => {
            if attempt < ATTEMPTS_MAX {
                let attempt = attempt + 1;
                next.stage = Stage::Downloading { job, attempt };
            } else {
                end(&mut next, &job, How::Refused, why);
            }
        }
        (Stage::Downloading { job, .. } | Stage::Installing { job }, Input::Failed(why)) => {
            end(&mut next, &job, How::Failed, why);
        }
        (Stage::Verified { job }, Input::Refused(why)) => end(&mut next, &job, How::Refused, why),
        (Stage::Verified { job }, Input::Announced) => next.stage = Stage::Installing { job },
        (Stage::Installing { job }, Input::Staged) => {
            next.put(next.active.other(), Some(job.image.clone()));
            next.stage = Stage::Trying { job, boots: 0 };
        }
        (Stage::Trying { job, boots }, Input::Started) => {
            next.stage = if boots < BOOTS_MAX {
                let boots = boots + 1;
                Stage::Trying { job, boots }
            } else {
                let why = format!("it was started {BOOTS_MAX} times and did not prove itself");
                Stage::RollingBack { job, why }
            };
        }
        (Stage::Trying { job, .. }, Input::Healthy) => {
            next.active = next.active.other();
            next.floor = next.floor.max(job.image.sequence);
            end(&mut next, &job, How::Succeeded, String::new());
        }
        (Stage::Trying { job, .. }, Input::Unhealthy(why)) => next.stage = Stage::RollingBack { job, why },
        (Stage::RollingBack { job, why }, Input::Undone) => {
            next.put(next.active.other(), None);
            end(&mut next, &job, How::RolledBack, why);
        }
        (Stage::Ended(end), Input::Acknowledged) => {
            next.last = Some(end);
            next.stage = Stage::Idle;
        }
        _ => {}
    }
    next
}

/// What is to be done in this stage.
pub(crate) fn task(journal: &Journal) -> Option<Task> {
    match journal.stage.clone() {
        Stage::Idle => None,
        Stage::Downloading { job, .. } => Some(Task::Fetch(job)),
        Stage::Verified { job } => Some(Task::Announce(job)),
        Stage::Installing { job } => Some(Task::Stage(job)),
        Stage::Trying { job, .. } => Some(Task::Try(job)),
        Stage::RollingBack { .. } => Some(Task::Undo),
        Stage::Ended(end) => Some(Task::Report(end)),
    }
}

/// A newer assignment takes the place of one that can still be called off; once it is being installed, the
/// next one waits for its end.
fn offered(next: &mut Journal, stage: Stage, offer: Offer) {
    if !matches!(
        stage,
        Stage::Idle | Stage::Downloading { .. } | Stage::Verified { .. }
    ) {
        return;
    }
    let (Offer::Fit(Job { rollout_id, .. }) | Offer::Unfit { rollout_id, .. }) = &offer;
    if let Stage::Downloading { job, .. } | Stage::Verified { job } = &stage
        && job.rollout_id == *rollout_id
    {
        return;
    }
    if let Some(last) = next.last.as_ref().filter(|last| last.rollout_id == *rollout_id) {
        next.stage = Stage::Ended(last.clone());
        return;
    }
    next.stage = match offer {
        Offer::Fit(job) => Stage::Downloading { job, attempt: 1 },
        Offer::Unfit {
            rollout_id,
            version,
            why,
        } => Stage::Ended(End {
            rollout_id,
            version,
            how: How::Refused,
            detail: printable(&why),
        }),
    };
}

fn end(next: &mut Journal, job: &Job, how: How, why: String) {
    next.stage = Stage::Ended(End {
        rollout_id: job.rollout_id.clone(),
        version: job.image.version.clone(),
        how,
        detail: printable(&why),
    });
}

/// As the server takes it: one line, bounded.
fn printable(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(plain).take(DETAIL_CHARS).collect()
}
