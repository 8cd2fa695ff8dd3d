//! The records and their keys; ids in keys are folded.
//!
//! | key | record |
//! |---|---|
//! | `kj{name}` | [`Kept`] |
//! | `ka{name}` | the arguments, a JSON object as text |
//! | `kr{name} NUL {number, 8 hex digits}` | [`JobDevice`] |
//! | `kw{name} NUL {number, 8 hex digits}` | empty: the device is under way |
//! | `kn` | [`Open`] |
//!
//! A job's name is `{job} NUL {owner}`: its id is its owner's own, so that nobody learns of others' jobs by a refusal.

use contract::{
    Refusal,
    id::Principal,
    v1::{CommandJob, CommandState, CommandWarrant, DeviceCommand, JobCounts, JobDevice, JobState},
};
use prost::Message;
use serde_json::{Value, json};
use service::{Caller, Fault, Outcome, Sight, View, store::StoreError};

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
    /// Whoever made the job said how long each device has.
    #[prost(bool, tag = "7")]
    pub(super) each_is_said: bool,
}

/// The jobs that have not ended.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Open {
    /// Their names.
    #[prost(string, repeated, tag = "1")]
    pub(super) names: Vec<String>,
}

/// All jobs.
pub(super) const ALL: &str = "kj";
/// Jobs of one id, of which are looked at where no owner is named.
const NAMESAKES: usize = 10;

/// A job's name in keys.
pub(super) fn name(owner: &str, job: &str) -> String {
    format!("{}\0{}", fold(job), fold(owner))
}

/// The name of this job.
pub(super) fn name_of(job: &CommandJob) -> String {
    name(&job.created_by, &job.job_id)
}

pub(super) fn key(name: &str) -> String {
    format!("{ALL}{name}")
}

pub(super) fn arguments_key(name: &str) -> String {
    format!("ka{name}")
}

/// The devices of a job.
pub(super) fn rows(name: &str) -> String {
    format!("kr{name}\0")
}

pub(super) fn row_key(name: &str, number: u32) -> String {
    format!("{}{number:08x}", rows(name))
}

/// The devices of a job that are under way.
pub(super) fn under_way(name: &str) -> String {
    format!("kw{name}\0")
}

pub(super) fn under_way_key(name: &str, number: u32) -> String {
    format!("{}{number:08x}", under_way(name))
}

/// The job of this name.
pub(super) fn present(view: &View<'_>, name: &str) -> Result<Option<Kept>, StoreError> {
    view.load(key(name))
}

/// The job of exactly this id: of the owner who is named, else of whoever asks, else of the only one who has one.
/// Whoever sees some groups only has no jobs but their own.
pub(super) fn seen(view: &View<'_>, by: &Caller, owner: &str, id: &str) -> Result<Kept, Fault> {
    let id = policy::id("job_id", id)?;
    let (me, sees_all) = (by.principal.to_string(), by.sight == Sight::Everything);
    let whose: Principal = match owner {
        "" => by.principal.clone(),
        owner => owner
            .parse()
            .map_err(|_| Refusal::invalid("owner", "a person, for example `operators/ada`"))?,
    };
    let whose = whose.to_string();
    let exact = |kept: &Kept| kept.job.job_id == id.as_str();
    if whose == me || sees_all {
        let found = present(view, &name(&whose, id.as_str()))?.filter(exact);
        if let Some(found) = found {
            return Ok(found);
        }
    }
    let mut others = Vec::new();
    if owner.is_empty() && sees_all {
        let prefix = format!("{ALL}{}\0", fold(id.as_str()));
        others = view.list::<Kept>(prefix, None, NAMESAKES)?;
        others.retain(|(_, kept)| exact(kept));
    }
    if others.len() > 1 {
        let message = format!("several people have a job `{id}`; say whose");
        let owners = others.into_iter().map(|(_, kept)| kept.job.created_by);
        return Err(Refusal::invalid("owner", message).allowing(owners).into());
    }
    let absent = || Refusal::not_found("job", id.as_str()).at("job_id");
    Ok(others.pop().map(|(_, kept)| kept).ok_or_else(absent)?)
}

pub(super) fn arguments(view: &View<'_>, name: &str) -> Result<String, StoreError> {
    let bytes = view.get(arguments_key(name).as_bytes())?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

pub(super) fn row(view: &View<'_>, name: &str, number: u32) -> Result<Option<JobDevice>, StoreError> {
    view.load(row_key(name, number))
}

/// Up to `limit` devices of a job from a number on.
pub(super) fn rows_from(
    view: &View<'_>,
    name: &str,
    number: u32,
    limit: usize,
) -> Result<Vec<JobDevice>, StoreError> {
    let before = row_key(name, number.saturating_sub(1));
    let rows = view.list::<JobDevice>(rows(name), Some(before.as_bytes()), limit)?;
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

    /// Whether a further device may begin, as far as is known without looking at it.
    pub(super) fn has_room(&self) -> bool {
        let held = Some(self.job.held_at_once).filter(|held| *held != 0);
        self.under_way() < held.map_or(self.job.at_once, |held| held.min(self.job.at_once))
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
        outcome.put(row_key(&name_of(&self.job), row.number), &row);
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
        outcome.put(row_key(&name_of(&self.job), row.number), row);
        if commands::is_final(to) && from != CommandState::Waiting {
            outcome.delete(under_way_key(&name_of(&self.job), row.number));
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

/// Ids that a device's command in a job may have: another person's job may have the same id.
pub(super) fn command_ids(job: &str, number: u32) -> impl Iterator<Item = String> {
    let first = format!("{job}-{number}");
    let others = (2..=9).map({
        let first = first.clone();
        move |n| format!("{first}.{n}")
    });
    std::iter::once(first).chain(others)
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
            let (id, _) = id.split_once('\0')?;
            Some((format!("jobs/{id}"), json!({ "arguments": arguments })))
        }
        _ => None,
    }
}
