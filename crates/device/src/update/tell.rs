//! What watchers and the server are told of an update.

use contract::v1::UpdateState;

use super::journal::{End, How, Job, Journal, Stage};
use crate::event::{Event, UpdateStep};

/// What a watcher is told when the journal has gone from one stage to another.
pub(crate) fn told(before: &Journal, after: &Journal) -> Option<Event> {
    match (&before.stage, &after.stage) {
        (was, is) if was == is => None,
        (Stage::Downloading { job, .. } | Stage::Verified { job }, Stage::Idle) => {
            Some(of_job(job, UpdateStep::CalledOff, 0))
        }
        (_, Stage::Downloading { job, .. }) => Some(of_job(job, UpdateStep::Downloading, 0)),
        (_, Stage::Verified { job }) => Some(of_job(job, UpdateStep::Verified, 100)),
        (_, Stage::Installing { job }) => Some(of_job(job, UpdateStep::Installing, 100)),
        (_, Stage::Ended(end)) => Some(of_end(end)),
        _ => None,
    }
}

/// What a watcher is told of a download that goes on; nothing once it was called off, or another took its place.
pub(crate) fn progress(journal: &Journal, job: &Job, percent: u32) -> Option<Event> {
    let is_wanted = matches!(&journal.stage, Stage::Downloading { job: wanted, .. } if wanted == job);
    is_wanted.then(|| of_job(job, UpdateStep::Downloading, percent))
}

/// A step that is not an end.
fn of_job(job: &Job, step: UpdateStep, percent: u32) -> Event {
    Event::Update {
        rollout_id: job.rollout_id.clone(),
        version: job.image.version.clone(),
        step,
        detail: String::new(),
        percent,
    }
}

fn of_end(end: &End) -> Event {
    let step = match end.how {
        How::Succeeded => UpdateStep::Succeeded,
        How::Failed => UpdateStep::Failed,
        How::RolledBack => UpdateStep::RolledBack,
        How::Refused => UpdateStep::Refused,
    };
    Event::Update {
        rollout_id: end.rollout_id.clone(),
        version: end.version.clone(),
        step,
        detail: end.detail.clone(),
        percent: 100,
    }
}

impl How {
    /// The word the server knows it by.
    pub(crate) fn state(self) -> UpdateState {
        match self {
            How::Succeeded => UpdateState::Succeeded,
            How::Failed => UpdateState::Failed,
            How::RolledBack => UpdateState::RolledBack,
            How::Refused => UpdateState::Refused,
        }
    }
}
