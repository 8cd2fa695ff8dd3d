//! `job-run`: many devices are to do something.

use std::collections::BTreeMap;

use contract::{
    Code, Refusal, grant,
    limits::JOB_AT_ONCE,
    v1::{Changed, CommandJob, CommandWarrant, Group, JobState, RunJob},
};
use service::{Fault, Outcome, Sight, View};

use super::{
    super::{
        bound::{self, AT_ONCE_MAX, Bounds},
        run as single, warrant,
    },
    Wake, pump,
    state::{self, Kept},
    tally,
};
use crate::{decide::Situation, policy, state as records, tree};

/// The longest id, so that its devices' commands have one.
const ID_CHARS: usize = 54;
/// The time that a job has where nobody says: a day.
const WITHIN_MS: u64 = 24 * 3_600_000;
/// Jobs that have not ended.
const OPEN_MAX: usize = 64;
/// Devices of one job.
const DEVICES_MAX: u64 = 1_000_000;

/// The bounds of a job, as far as they are said.
#[derive(Debug, Clone, Copy)]
struct Said {
    at_once: Option<u32>,
    each_within_ms: Option<u64>,
}

pub(crate) fn decide(s: &Situation<'_>, sight: &Sight, m: RunJob) -> Result<Outcome, Fault> {
    let (job, said) = (read(s, &m)?, said(&m)?);
    let arguments = single::arguments(&m.arguments)?;
    let named = named(&m)?;
    in_reach(s, sight, &m.group, &named)?;
    let warrants = warrants(s.now_ms, &m, &named)?;
    let mut outcome = Outcome::default();
    let id = job.job_id.clone();
    let version = if let Some(present) = state::present(s.view, &state::name_of(&job))? {
        same(s.view, &present.job, (&job, said), &arguments, &named)?;
        present.job.version
    } else {
        let mut kept = Kept {
            job,
            next: 1,
            each_is_said: said.each_within_ms.is_some(),
            ..Kept::default()
        };
        bind(s, &mut kept.job, said)?;
        begin(s, &mut outcome, &kept, &arguments)?;
        if kept.job.group.is_empty() {
            for device in named.values() {
                let device = records::device(s.view, "device_ids", device)?;
                let warrant = warrants
                    .get(device.device_id.as_str())
                    .map(|&warrant| warrant.clone());
                kept.add(s.now_ms, &mut outcome, device.device_id, warrant);
            }
            kept.job.set_state(JobState::Running);
        } else {
            may_be_told(s.view, &records::group(s.view, "group", &kept.job.group)?)?;
            pump::collect(s, &mut outcome, &mut kept)?;
        }
        tally::write(s, &mut outcome, kept)?;
        1
    };
    outcome.answer(Changed {
        id,
        version,
        ..Changed::default()
    });
    Ok(outcome)
}

/// The job that is asked for, without the bounds of its devices.
fn read(s: &Situation<'_>, m: &RunJob) -> Result<CommandJob, Refusal> {
    let id = match m.job_id.as_str() {
        "" => &m.request_id,
        id => id,
    };
    let job_id = policy::id("job_id", id)?.to_string();
    if job_id.len() > ID_CHARS {
        let message = format!("a job's id has {ID_CHARS} characters at most");
        return Err(Refusal::invalid("job_id", message));
    }
    let within_ms = single::within("within_ms", m.within_ms)?.unwrap_or(WITHIN_MS);
    Ok(CommandJob {
        job_id,
        name: policy::id("name", &m.name)?.to_string(),
        group: m.group.clone(),
        state: JobState::Collecting.into(),
        created_at_ms: s.now_ms,
        created_by: s.actor.clone(),
        deadline_ms: s.now_ms.saturating_add_unsigned(within_ms),
        ..CommandJob::default()
    })
}

fn said(m: &RunJob) -> Result<Said, Refusal> {
    if m.at_once > AT_ONCE_MAX {
        let message = format!("{AT_ONCE_MAX} devices at once at most");
        return Err(Refusal::invalid("at_once", message));
    }
    Ok(Said {
        at_once: (m.at_once != 0).then_some(m.at_once),
        each_within_ms: single::within("each_within_ms", m.each_within_ms)?,
    })
}

/// Holds a job to the rule of its group. Those of its devices are looked at when their turn comes.
fn bind(s: &Situation<'_>, job: &mut CommandJob, said: Said) -> Result<(), Fault> {
    let bounds = match job.group.as_str() {
        "" => Bounds::default(),
        group => bound::of_group(s.view, &records::group(s.view, "group", group)?)?,
    };
    job.at_once = bounds.at_once(said.at_once, JOB_AT_ONCE)?;
    job.each_within_ms = bounds.within("each_within_ms", said.each_within_ms)?;
    Ok(())
}

impl Said {
    /// Where nothing is said, the rules may have let another bound then than they do now.
    fn fits(self, present: &CommandJob) -> bool {
        let (at_once, each_ms) = (present.at_once, present.each_within_ms);
        self.at_once
            .map_or(at_once <= JOB_AT_ONCE, |said| said == at_once)
            && self
                .each_within_ms
                .map_or(each_ms <= single::WITHIN_MS, |said| said == each_ms)
    }
}

/// The devices that are named one by one, each once: by the ids as in keys.
fn named(m: &RunJob) -> Result<BTreeMap<String, String>, Refusal> {
    if m.group.is_empty() == m.device_ids.is_empty() {
        let message = "give either a group, or devices";
        return Err(Refusal::invalid("group", message));
    }
    policy::list("device_ids", m.device_ids.len(), policy::ROWS_MAX)?;
    let ids = m.device_ids.iter();
    ids.map(|id| policy::id("device_ids", id).map(|id| (records::fold(id.as_str()), id.to_string())))
        .collect()
}

/// Whoever has some groups only orders to these, or to devices of them. What else there is is not said.
fn in_reach(
    s: &Situation<'_>,
    sight: &Sight,
    group: &str,
    named: &BTreeMap<String, String>,
) -> Result<(), Fault> {
    let Sight::Groups(groups) = sight else {
        return Ok(());
    };
    let denied = |field: &str, what: &str| {
        let message = format!(
            "`job-run` was granted to you for {} only; `{what}` is not among them",
            grant::named(groups)
        );
        Err(Refusal::new(Code::Denied, message).at(field).into())
    };
    if !group.is_empty() && !sight.has_group(group) {
        return denied("group", group);
    }
    for device in named.values() {
        if !records::in_sight(s.view, sight, device)? {
            return denied("device_ids", device);
        }
    }
    Ok(())
}

/// The signatures, by device: none, or one of each that is named.
fn warrants<'a>(
    now_ms: i64,
    m: &'a RunJob,
    named: &BTreeMap<String, String>,
) -> Result<BTreeMap<&'a str, &'a CommandWarrant>, Refusal> {
    policy::list("warrants", m.warrants.len(), policy::ROWS_MAX)?;
    let mut warrants = BTreeMap::new();
    for of in &m.warrants {
        let missing = || Refusal::invalid("warrants", format!("`{}` has no signature", of.device_id));
        let warrant = of.warrant.as_ref().ok_or_else(missing)?;
        warrant::check("warrants", now_ms, warrant)?;
        warrants.insert(of.device_id.as_str(), warrant);
    }
    let all = named
        .values()
        .all(|device| warrants.contains_key(device.as_str()));
    if warrants.is_empty() || (all && warrants.len() == named.len() && !named.is_empty()) {
        return Ok(warrants);
    }
    let message = "a signed job names its devices, and has a signature for each of them and no others";
    Err(Refusal::invalid("warrants", message))
}

fn may_be_told(view: &View<'_>, group: &Group) -> Result<(), Fault> {
    let refusal = |code, message: String| Err(Refusal::new(code, message).at("group").into());
    let mut members = 0;
    for id in tree::below(view, &group.group_id)? {
        let group = records::group(view, "group", &id)?;
        if group.settling {
            return refusal(
                Code::Precondition,
                format!("the members of `{id}` are just being found; ask again"),
            );
        }
        members += group.members;
    }
    let id = &group.group_id;
    match members {
        0 => refusal(Code::Precondition, format!("`{id}` has no members")),
        n if n > DEVICES_MAX => refusal(Code::Limit, format!("a job is for {DEVICES_MAX} devices at most")),
        _ => Ok(()),
    }
}

/// What stands beside a job's record.
fn begin(s: &Situation<'_>, outcome: &mut Outcome, kept: &Kept, arguments: &str) -> Result<(), Fault> {
    let mut open = state::open(s.view)?;
    if open.names.len() >= OPEN_MAX {
        let message = format!("{OPEN_MAX} jobs have not ended; cancel some, or let them end");
        return Err(Refusal::new(Code::Limit, message).into());
    }
    let job = &kept.job;
    let name = state::name_of(job);
    open.names.push(name.clone());
    outcome.put(state::OPEN, &open);
    outcome
        .changes
        .put(state::arguments_key(&name), arguments.as_bytes().to_vec());
    outcome.wake_at(Wake::Deadline.key(job), job.deadline_ms);
    Ok(())
}

/// The same once more changes nothing; another one needs another name.
fn same(
    view: &View<'_>,
    present: &CommandJob,
    (wanted, said): (&CommandJob, Said),
    arguments: &str,
    named: &BTreeMap<String, String>,
) -> Result<(), Fault> {
    let what = |job: &CommandJob| {
        let texts = [&job.job_id, &job.name, &job.group].map(String::clone);
        (texts, job.deadline_ms - job.created_at_ms)
    };
    let name = state::name_of(present);
    let mut fits =
        what(present) == what(wanted) && said.fits(present) && state::arguments(view, &name)? == arguments;
    if fits && present.group.is_empty() {
        let rows = state::rows_from(view, &name, 1, policy::ROWS_MAX + 1)?;
        fits = rows.iter().map(|row| &row.device_id).eq(named.values());
    }
    if fits {
        return Ok(());
    }
    let message = format!("you have another job `{}` already", present.job_id);
    Err(Refusal::new(Code::Exists, message).at("job_id").into())
}
