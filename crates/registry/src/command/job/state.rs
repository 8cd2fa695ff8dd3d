//! The records and their keys; ids in keys are folded.
//!
//! | key | record |
//! |---|---|
//! | `kj{job}` | [`Kept`] |
//! | `ka{job}` | the arguments, a JSON object as text |
//! | `kr{job} NUL {number, 8 hex digits}` | [`JobDevice`] |
//! | `kw{job} NUL {number, 8 hex digits}` | empty: the device is under way |
//! | `kn` | [`Open`] |

use contract::{
    Refusal,
    v1::{CommandJob, CommandState, CommandWarrant, DeviceCommand, JobCounts, JobDevice, JobState},
};
use prost::Message;
use serde_json::{Value, json};
use service::{Fault, Outcome, View, store::StoreError};

use super::super::state as commands;
use crate::{policy, state::fold};

/// Devices that one decision writes down, begins or ends.
pub(super) const PAGE: usize = 200;
/// The jobs that have not ended.
pub(super) const OPEN: &str = "kn";

/// A job as it is stored. What does not change, and may be long, stands elsewhere.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Kept {
    /// The job, without its arguments.
    #[prost(message, required, tag = "1")]
    pub(super) job: CommandJob,
    /// The first device whose turn has not come, by its number.
    #[prost(uint32, tag = "2")]
    pub(super) next: u32,
    /// The last member of the group that is written down, as in keys.
    #[prost(string, tag = "3")]
    pub(super) after: String,
    /// When it was told last how far it is.
    #[prost(int64, tag = "4")]
    pub(super) told_at_ms: i64,
    /// There is a wake-up that will tell of it.
    #[prost(bool, tag = "5")]
    pub(super) will_tell: bool,
    /// While it is ending: what becomes of those that wait, and at last of the job.
    #[prost(enumeration = "CommandState", tag = "6")]
    pub(super) cause: i32,
}

/// The jobs that have not ended.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Open {
    #[prost(string, repeated, tag = "1")]
    pub(super) ids: Vec<String>,
}

/// All jobs.
pub(super) const ALL: &str = "kj";

pub(super) fn key(job: &str) -> String {
    format!("{ALL}{}", fold(job))
}

pub(super) fn arguments_key(job: &str) -> String {
    format!("ka{}", fold(job))
}

/// The devices of a job.
pub(super) fn rows(job: &str) -> String {
    format!("kr{}\0", fold(job))
}

pub(super) fn row_key(job: &str, number: u32) -> String {
    format!("{}{number:08x}", rows(job))
}

/// The devices of a job that are under way.
pub(super) fn under_way(job: &str) -> String {
    format!("kw{}\0", fold(job))
}

pub(super) fn under_way_key(job: &str, number: u32) -> String {
    format!("{}{number:08x}", under_way(job))
}

/// The job of this id or of its twin.
pub(super) fn present(view: &View<'_>, id: &str) -> Result<Option<Kept>, StoreError> {
    view.load(key(id))
}

/// The job of exactly this id.
pub(super) fn find(view: &View<'_>, id: &str) -> Result<Kept, Fault> {
    let id = policy::id("job_id", id)?;
    let found = present(view, id.as_str())?.filter(|found| found.job.job_id == id.as_str());
    Ok(found.ok_or_else(|| Refusal::not_found("job", id.as_str()).at("job_id"))?)
}

pub(super) fn arguments(view: &View<'_>, job: &str) -> Result<String, StoreError> {
    let bytes = view.get(arguments_key(job).as_bytes())?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

pub(super) fn row(view: &View<'_>, job: &str, number: u32) -> Result<Option<JobDevice>, StoreError> {
    view.load(row_key(job, number))
}

/// Up to `limit` devices of a job from a number on.
pub(super) fn rows_from(
    view: &View<'_>,
    job: &str,
    number: u32,
    limit: usize,
) -> Result<Vec<JobDevice>, StoreError> {
    let before = row_key(job, number.saturating_sub(1));
    let rows = view.list::<JobDevice>(rows(job), Some(before.as_bytes()), limit)?;
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

pub(super) fn open(view: &View<'_>) -> Result<Open, StoreError> {
    Ok(view.load(OPEN)?.unwrap_or_default())
}

pub(super) fn is_final(state: JobState) -> bool {
    use JobState::*;
    match state {
        Unspecified | Collecting | Running | Ending => false,
        Succeeded | Failed | Cancelled | TimedOut => true,
    }
}

impl Kept {
    /// Devices in this state.
    fn count(&mut self, state: CommandState) -> Option<&mut u32> {
        let counts = self.job.counts.get_or_insert_default();
        Some(match state {
            CommandState::Unspecified => return None,
            CommandState::Waiting => &mut counts.waiting,
            CommandState::Queued => &mut counts.queued,
            CommandState::Sent => &mut counts.sent,
            CommandState::Running => &mut counts.running,
            CommandState::Succeeded => &mut counts.succeeded,
            CommandState::Failed => &mut counts.failed,
            CommandState::Rejected => &mut counts.rejected,
            CommandState::TimedOut => &mut counts.timed_out,
            CommandState::Cancelled => &mut counts.cancelled,
        })
    }

    /// How many devices are where.
    pub(super) fn counts(&self) -> JobCounts {
        self.job.counts.unwrap_or_default()
    }

    /// How many devices are under way.
    pub(super) fn under_way(&self) -> u32 {
        let counts = self.counts();
        counts.queued + counts.sent + counts.running
    }

    /// Writes a further device down.
    pub(super) fn add(
        &mut self,
        now_ms: i64,
        outcome: &mut Outcome,
        device_id: String,
        warrant: Option<CommandWarrant>,
    ) {
        self.job.devices += 1;
        let row = JobDevice {
            number: self.job.devices,
            device_id,
            state: CommandState::Waiting.into(),
            since_ms: now_ms,
            warrant,
            ..JobDevice::default()
        };
        self.recount(CommandState::Unspecified, CommandState::Waiting);
        outcome.put(row_key(&self.job.job_id, row.number), &row);
    }

    /// Writes that a device of the job went on to another state; a final one is kept.
    pub(super) fn turn(
        &mut self,
        now_ms: i64,
        outcome: &mut Outcome,
        row: &mut JobDevice,
        to: CommandState,
        error: &str,
    ) {
        let from = row.state();
        if from == to || commands::is_final(from) {
            return;
        }
        self.recount(from, to);
        row.set_state(to);
        row.since_ms = now_ms;
        error.clone_into(&mut row.error);
        outcome.put(row_key(&self.job.job_id, row.number), row);
        if commands::is_final(to) && from != CommandState::Waiting {
            outcome.delete(under_way_key(&self.job.job_id, row.number));
        }
    }

    fn recount(&mut self, from: CommandState, to: CommandState) {
        if let Some(count) = self.count(from) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = self.count(to) {
            *count += 1;
        }
    }
}

/// The name of a device's command in a job.
pub(super) fn command_id(job: &str, number: u32) -> String {
    format!("{job}-{number}")
}

/// Whether this is the command of that row.
pub(super) fn belongs(command: &DeviceCommand, row: &JobDevice) -> bool {
    row.command_id == command.command_id && row.device_id == command.device_id
}

/// What the audit log tells of commands' and jobs' records, by the rest of their keys.
pub(crate) fn told(rest: &str, record: &[u8]) -> Option<(String, Value)> {
    let (letter, id) = rest.split_at_checked(1)?;
    match letter {
        "j" => {
            let job = Kept::decode(record).ok()?.job;
            Some((format!("jobs/{}", job.job_id), serde_json::to_value(&job).ok()?))
        }
        "a" => {
            let arguments = String::from_utf8_lossy(record);
            Some((format!("jobs/{id}"), json!({ "arguments": arguments })))
        }
        _ => None,
    }
}
