//! A job's record: written with its counts, told of at a pace, ended with its last device.

use contract::v1::{CommandJob, CommandState, JobState};
use service::{Fault, Outcome};

use super::{
    Wake,
    state::{self, Kept, Open},
};
use crate::decide::Situation;

/// Between two events about how far a job is.
const PACE_MS: i64 = 1_000;
/// How long a job is kept when it has ended: 30 days.
const KEPT_MS: i64 = 30 * 24 * 3_600_000;

/// Writes a job that went a step on, and what follows from it.
pub(super) fn write(s: &Situation<'_>, outcome: &mut Outcome, mut kept: Kept) -> Result<(), Fault> {
    let counts = kept.counts();
    let state = kept.job.state();
    if state::is_final(state) {
        return Ok(());
    }
    if state != JobState::Collecting && counts.waiting == 0 && kept.under_way() == 0 {
        return end(s, outcome, kept);
    }
    let more = match state {
        JobState::Collecting => true,
        JobState::Running => counts.waiting > 0 && kept.has_room(),
        _ => counts.waiting > 0,
    };
    if more {
        outcome.wake_at(Wake::Go.key(&kept.job), s.now_ms);
    }
    pace(s.now_ms, outcome, &mut kept);
    put(outcome, kept);
    Ok(())
}

fn put(outcome: &mut Outcome, mut kept: Kept) {
    kept.job.version = kept.job.version.saturating_add(1);
    outcome.put(state::key(&state::name_of(&kept.job)), &kept);
}

/// Tells now, or sees to it that it is told.
fn pace(now_ms: i64, outcome: &mut Outcome, kept: &mut Kept) {
    if kept.job.version == 0 {
        kept.told_at_ms = now_ms;
        event(outcome, &kept.job, "created");
    } else if !kept.will_tell {
        kept.will_tell = true;
        let at_ms = now_ms.max(kept.told_at_ms.saturating_add(PACE_MS));
        outcome.wake_at(Wake::Tell.key(&kept.job), at_ms);
    }
}

/// The wake-up that tells.
pub(super) fn tell(s: &Situation<'_>, outcome: &mut Outcome, mut kept: Kept) {
    if state::is_final(kept.job.state()) {
        return;
    }
    kept.will_tell = false;
    kept.told_at_ms = s.now_ms;
    event(outcome, &kept.job, "progressed");
    put(outcome, kept);
}

fn end(s: &Situation<'_>, outcome: &mut Outcome, mut kept: Kept) -> Result<(), Fault> {
    let how = verdict(s.now_ms, &kept);
    let job = &mut kept.job;
    job.set_state(how);
    job.ended_at_ms = s.now_ms;
    for wake in [Wake::Go, Wake::Deadline, Wake::Tell] {
        outcome.no_wake(wake.key(job));
    }
    outcome.wake_at(Wake::Forget.key(job), s.now_ms.saturating_add(KEPT_MS));
    let mut open: Open = state::open(&s.view.over(&outcome.changes))?;
    let ended = state::name_of(job);
    open.names.retain(|name| *name != ended);
    outcome.put(state::OPEN, &open);
    put(outcome, kept.clone());
    kept.job.version = kept.job.version.saturating_add(1);
    event(outcome, &kept.job, "ended");
    Ok(())
}

/// What a job comes to whose devices have all come to an end.
fn verdict(now_ms: i64, kept: &Kept) -> JobState {
    let counts = kept.counts();
    let cause = CommandState::try_from(kept.cause).unwrap_or_default();
    if counts.succeeded == kept.job.devices {
        JobState::Succeeded
    } else if cause == CommandState::Cancelled && counts.cancelled > 0 {
        JobState::Cancelled
    } else if counts.timed_out > 0 && now_ms >= kept.job.deadline_ms {
        JobState::TimedOut
    } else {
        JobState::Failed
    }
}

fn event(outcome: &mut Outcome, job: &CommandJob, name: &'static str) {
    let data = serde_json::to_value(job).unwrap_or_default();
    outcome.event(format!("jobs/{}", job.job_id), name, data);
}
