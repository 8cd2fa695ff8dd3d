//! What a job does next, a page at a time: write its devices down, begin with them, end those that wait.

use contract::{
    Code, Refusal,
    id::ServiceName,
    v1::{CommandJob, CommandState, DeviceCommand, JobDevice, JobState},
    verb::Verb,
};
use service::{Fault, Outcome, Sight};

use super::{
    super::{allow::Order, bound::Held, run as single, state as commands},
    state::{self, Kept, PAGE},
    tally,
};
use crate::{Registry, decide::Situation, state as records, tree};

/// What becomes of a device whose turn has come.
enum Turn {
    /// It has a command of this id.
    Told(String),
    /// It waits, and so do those after it.
    Held(Held),
}

/// The wake-up.
pub(super) fn go(s: &Situation<'_>, outcome: &mut Outcome, mut kept: Kept) -> Result<(), Fault> {
    // It is held once more if it still has to be.
    (kept.job.held_at_once, kept.job.held_by) = (0, String::new());
    match kept.job.state() {
        JobState::Collecting => collect(s, outcome, &mut kept)?,
        JobState::Running => start(s, outcome, &mut kept)?,
        JobState::Ending => leave_out(s, outcome, &mut kept)?,
        _ => return Ok(()),
    }
    tally::write(s, outcome, kept)
}

/// Writes the next members of the group down; after the last the job runs.
pub(super) fn collect(s: &Situation<'_>, outcome: &mut Outcome, kept: &mut Kept) -> Result<(), Fault> {
    let groups = tree::below(s.view, &kept.job.group)?;
    let page = tree::members(s.view, &groups, kept.after.as_bytes(), PAGE)?;
    let more = page.len() == PAGE;
    for folded in page {
        kept.after = String::from_utf8_lossy(&folded).into_owned();
        if let Some(device) = records::device_or_twin(s.view, &kept.after)? {
            kept.add(s.now_ms, outcome, device.device_id, None);
        }
    }
    if !more {
        kept.job.set_state(JobState::Running);
    }
    Ok(())
}

/// Lets as many devices begin as there is room for.
fn start(s: &Situation<'_>, outcome: &mut Outcome, kept: &mut Kept) -> Result<(), Fault> {
    let name = state::name_of(&kept.job);
    let arguments = state::arguments(s.view, &name)?;
    let reach = reach(s, &kept.job)?;
    for mut row in state::rows_from(s.view, &name, kept.next, PAGE)? {
        if !kept.has_room() {
            break;
        }
        match tell(s, outcome, kept, &row, &arguments, reach.as_ref()) {
            Ok(Turn::Held(held)) => {
                (kept.job.held_at_once, kept.job.held_by) = (held.at_once, held.by);
                break;
            }
            Ok(Turn::Told(command_id)) => {
                row.command_id = command_id;
                let key = state::under_way_key(&name, row.number);
                outcome.changes.put(key, Vec::new());
                kept.turn(s.now_ms, outcome, &mut row, CommandState::Queued, "");
            }
            Err(Fault::Refused(refusal)) => {
                let how = match refusal.code {
                    Code::Limit => CommandState::Failed,
                    _ => CommandState::Rejected,
                };
                kept.turn(s.now_ms, outcome, &mut row, how, &refusal.message);
            }
            Err(fault) => return Err(fault),
        }
        kept.next = row.number + 1;
    }
    Ok(())
}

/// What whoever made the job may order to now.
fn reach(s: &Situation<'_>, job: &CommandJob) -> Result<Option<Sight>, Fault> {
    let Some(verb) = Verb::find(ServiceName::Registry, "job-run") else {
        return Ok(None);
    };
    let granted = service::reach::<Registry>(s.view, &job.created_by, verb)?;
    Ok(granted.map(|granted| tree::sight(s.view, &granted)).transpose()?)
}

/// Gives a device its command, or refuses it because it cannot have it.
fn tell(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    kept: &Kept,
    row: &JobDevice,
    arguments: &str,
    reach: Option<&Sight>,
) -> Result<Turn, Fault> {
    let job = &kept.job;
    let Some(device) = records::device_or_twin(s.view, &row.device_id)? else {
        return Err(Refusal::not_found("device", &row.device_id).into());
    };
    if !reach.is_some_and(|sight| sight.covers(&device.groups)) {
        let message = format!("{} may not order this to it any more", job.created_by);
        return Err(Refusal::new(Code::Denied, message).into());
    }
    let mut tray = commands::tray(s.view, &device.device_id)?;
    let order = Order {
        name: &job.name,
        is_signed: row.warrant.is_some(),
        who: &job.created_by,
        verb: "job-run",
    };
    let bounds = single::may(s.view, &device, &tray, order)?;
    let said_ms = kept.each_is_said.then_some(job.each_within_ms);
    let within_ms = bounds.within("each_within_ms", said_ms)?.min(job.each_within_ms);
    if let Some(held) = bounds.held(kept.under_way()) {
        return Ok(Turn::Held(held));
    }
    let Some(command_id) = free_id(s, &device.device_id, job, row.number)? else {
        let message = format!(
            "the device has commands of the ids that `{}` gives already",
            job.job_id
        );
        return Err(Refusal::new(Code::Exists, message).into());
    };
    let mut command = DeviceCommand {
        command_id: command_id.clone(),
        device_id: device.device_id,
        name: job.name.clone(),
        arguments: arguments.to_owned(),
        state: CommandState::Queued.into(),
        created_at_ms: s.now_ms,
        created_by: job.created_by.clone(),
        deadline_ms: job.deadline_ms.min(s.now_ms.saturating_add_unsigned(within_ms)),
        job_id: job.job_id.clone(),
        job_number: row.number,
        warrant: row.warrant.clone(),
        ..DeviceCommand::default()
    };
    single::queue(s, outcome, &mut tray, &mut command)?;
    Ok(Turn::Told(command_id))
}

/// An id for a device's command of which it has no other.
fn free_id(s: &Situation<'_>, device: &str, job: &CommandJob, number: u32) -> Result<Option<String>, Fault> {
    for id in state::command_ids(&job.job_id, number) {
        if commands::present(s.view, device, &id)?.is_none() {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// Ends devices whose turn does not come any more.
fn leave_out(s: &Situation<'_>, outcome: &mut Outcome, kept: &mut Kept) -> Result<(), Fault> {
    let how = CommandState::try_from(kept.cause).unwrap_or(CommandState::Cancelled);
    let reason = kept.job.reason.clone();
    for mut row in state::rows_from(s.view, &state::name_of(&kept.job), kept.next, PAGE)? {
        kept.next = row.number + 1;
        kept.turn(s.now_ms, outcome, &mut row, how, &reason);
    }
    Ok(())
}
