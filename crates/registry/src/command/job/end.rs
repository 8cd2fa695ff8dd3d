//! The early end of a job, and the end of its record.

use contract::{
    Code, Refusal, names,
    v1::{CancelJob, Changed, CommandJob, CommandState, JobState},
};
use service::{Caller, Fault, Outcome};

use super::{
    super::{end as single, event, state as commands},
    Wake,
    state::{self, Kept, PAGE},
    tally,
};
use crate::{choice::Choice, decide::Situation};

/// `job-cancel`: no further device begins, and what was not begun is taken back.
pub(crate) fn cancel(s: &Situation<'_>, by: &Caller, m: CancelJob) -> Result<Outcome, Fault> {
    let kept = state::seen(s.view, by, &m.owner, &m.job_id)?;
    let mut outcome = Outcome::default();
    let job = kept.job.clone();
    match job.state() {
        JobState::Cancelled => {}
        JobState::Ending if kept.cause == i32::from(CommandState::Cancelled) => {}
        state if state::is_final(state) => {
            let word = names::said(state.name());
            let refusal = Refusal {
                present_version: job.version,
                ..Refusal::new(Code::NotAllowed, format!("the job is over: {word}"))
            };
            return Err(refusal.at("job_id").into());
        }
        _ => {
            let reason = format!("taken back by {}", s.actor);
            stop(s, &mut outcome, kept, CommandState::Cancelled, reason.clone())?;
            take_back(s, &mut outcome, &job, &reason)?;
        }
    }
    let after = state::present(&s.view.over(&outcome.changes), &state::name_of(&job))?;
    let version = after.map_or(job.version, |kept| kept.job.version);
    outcome.answer(Changed {
        id: job.job_id,
        version,
        ..Changed::default()
    });
    Ok(outcome)
}

/// Lets no further device begin.
fn stop(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    mut kept: Kept,
    cause: CommandState,
    reason: String,
) -> Result<(), Fault> {
    kept.job.set_state(JobState::Ending);
    kept.job.reason = reason;
    kept.cause = cause.into();
    tally::write(s, outcome, kept)
}

/// Takes back the commands that no device has begun.
fn take_back(s: &Situation<'_>, outcome: &mut Outcome, job: &CommandJob, reason: &str) -> Result<(), Fault> {
    let name = state::name_of(job);
    let prefix = state::under_way(&name);
    let most = usize::try_from(job.at_once).unwrap_or(usize::MAX);
    for (key, _) in s.view.scan(prefix.as_bytes(), None, most)? {
        let digits = key.get(prefix.len()..).unwrap_or_default();
        let number = std::str::from_utf8(digits).ok();
        let Some(number) = number.and_then(|text| u32::from_str_radix(text, 16).ok()) else {
            continue;
        };
        let Some(row) = state::row(s.view, &name, number)? else {
            continue;
        };
        let command = commands::present(s.view, &row.device_id, &row.command_id)?;
        let Some(mut command) = command else { continue };
        if matches!(command.state(), CommandState::Queued | CommandState::Sent) {
            let mut tray = commands::tray(s.view, &command.device_id)?;
            reason.clone_into(&mut command.error);
            single::end(s, outcome, &mut tray, &mut command, CommandState::Cancelled)?;
            commands::put_tray(outcome, &command.device_id, &tray);
            event::notice(outcome, &command.device_id);
        }
    }
    Ok(())
}

/// A job's time is over. The commands of those that have begun end by themselves at the same time.
pub(super) fn deadline(s: &Situation<'_>, outcome: &mut Outcome, kept: Kept) -> Result<(), Fault> {
    if !matches!(kept.job.state(), JobState::Collecting | JobState::Running) {
        return Ok(());
    }
    if kept.job.deadline_ms > s.now_ms {
        outcome.wake_at(Wake::Deadline.key(&kept.job), kept.job.deadline_ms);
        return Ok(());
    }
    let reason = "the job's time was over before its turn".to_owned();
    stop(s, outcome, kept, CommandState::TimedOut, reason)
}

/// Removes an ended job, its devices first, a page at a time.
pub(super) fn forget(s: &Situation<'_>, outcome: &mut Outcome, job: &CommandJob) -> Result<(), Fault> {
    if !state::is_final(job.state()) {
        return Ok(());
    }
    let name = state::name_of(job);
    let rows = s.view.scan(state::rows(&name).as_bytes(), None, PAGE)?;
    let more = rows.len() == PAGE;
    for (key, _) in rows {
        outcome.delete(key);
    }
    if more {
        outcome.wake_at(Wake::Forget.key(job), s.now_ms);
    } else {
        outcome.delete(state::key(&name));
        outcome.delete(state::arguments_key(&name));
    }
    Ok(())
}
