//! `muster command jobs`

use std::time::Duration;

use anyhow::{Context, Result};
use contract::{
    Id,
    id::{Principal, ServiceName},
    v1::{
        CancelJob, Changed, CommandJob, CommandState, JobDevice, JobDevicesListed, JobShown, JobState,
        JobsListed, ListJobDevices, ListJobs, ShowJob,
    },
};

use super::super::{Global, list::Limit, print, words};

/// Commands that were given to many devices.
#[derive(clap::Subcommand)]
pub(crate) enum Jobs {
    /// List jobs by their ids
    #[command(after_help = "Examples:\n  muster command jobs list --state running")]
    List(List),
    /// One job, its devices counted by state
    #[command(after_help = "Examples:\n  muster command jobs show restart-2026-11")]
    Show(Show),
    /// What became of a job on each device
    #[command(after_help = "Examples:
  muster command jobs devices restart-2026-11 --state failed
  muster --json command jobs devices restart-2026-11 | jq -r .command_id")]
    Devices(Devices),
    /// Let no further device begin, and take back what was not begun
    #[command(after_help = "Examples:\n  muster command jobs cancel restart-2026-11")]
    Cancel(Cancel),
}

#[derive(clap::Args)]
pub(crate) struct List {
    /// Those in this state only
    #[arg(long, value_parser = words::parser::<JobState>())]
    state: Option<JobState>,
    #[command(flatten)]
    limit: Limit,
}

#[derive(clap::Args)]
pub(crate) struct Show {
    /// The job
    id: Id,
    #[command(flatten)]
    of: Of,
}

/// Whose job.
#[derive(clap::Args)]
struct Of {
    /// Who made it [default: yourself, else the only one who has a job of this id]
    #[arg(long, value_name = "operators/NAME")]
    owner: Option<Principal>,
}

impl Of {
    fn text(&self) -> String {
        self.owner.as_ref().map(Principal::to_string).unwrap_or_default()
    }
}

#[derive(clap::Args)]
pub(crate) struct Devices {
    /// The job
    id: Id,
    #[command(flatten)]
    of: Of,
    /// Those in this state only
    #[arg(long, value_parser = words::parser::<CommandState>())]
    state: Option<CommandState>,
    #[command(flatten)]
    limit: Limit,
}

#[derive(clap::Args)]
pub(crate) struct Cancel {
    /// The job
    id: Id,
    #[command(flatten)]
    of: Of,
}

impl Jobs {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Jobs::List(command) => command.run(global),
            Jobs::Show(command) => command.run(global),
            Jobs::Devices(command) => command.run(global),
            Jobs::Cancel(command) => command.run(global),
        }
    }
}

/// How many devices are where, in a sentence.
pub(super) fn counted(job: &CommandJob) -> String {
    let counts = job.counts.unwrap_or_default();
    let counts = [
        (counts.succeeded, CommandState::Succeeded),
        (counts.failed, CommandState::Failed),
        (counts.rejected, CommandState::Rejected),
        (counts.timed_out, CommandState::TimedOut),
        (counts.cancelled, CommandState::Cancelled),
        (counts.running, CommandState::Running),
        (counts.sent, CommandState::Sent),
        (counts.queued, CommandState::Queued),
        (counts.waiting, CommandState::Waiting),
    ];
    let said = counts.into_iter().filter(|(count, _)| *count > 0);
    let said: Vec<_> = said
        .map(|(count, state)| format!("{count} {}", words::say(state)))
        .collect();
    said.join(", ")
}

/// The bound of a device's rule for which the next one waits.
fn held(job: &CommandJob) -> String {
    match job.held_at_once {
        0 => String::new(),
        count => format!("{count} at once by the rule of {}", job.held_by),
    }
}

impl List {
    fn run(self, global: &Global) -> Result<()> {
        let listed = self.limit.collect(
            global,
            (ServiceName::Registry, "job-list"),
            |page| ListJobs {
                page_size: page.size,
                page: page.token,
                state: self.state.map(Into::into).unwrap_or_default(),
                ..ListJobs::default()
            },
            |reply: JobsListed| (reply.jobs, reply.next_page),
        )?;
        let headings = [
            "id", "by", "command", "group", "state", "devices", "counts", "created", "ended",
        ];
        listed.print(global, &headings, |job| {
            vec![
                job.job_id.clone(),
                job.created_by.clone(),
                job.name.clone(),
                job.group.clone(),
                words::say(job.state()),
                job.devices.to_string(),
                counted(job),
                print::time(job.created_at_ms),
                print::time(job.ended_at_ms),
            ]
        })
    }
}

impl Show {
    fn run(self, global: &Global) -> Result<()> {
        let request = ShowJob {
            job_id: self.id.to_string(),
            owner: self.of.text(),
            ..ShowJob::default()
        };
        let shown: JobShown = global.ask(ServiceName::Registry, "job-show", &request)?;
        if global.json {
            return print::json(&shown);
        }
        let job = shown.job.context("the answer holds no job")?;
        let each = Duration::from_millis(job.each_within_ms);
        print::fields(&[
            ("command", job.name.clone()),
            ("arguments", job.arguments.clone()),
            ("group", job.group.clone()),
            ("state", words::say(job.state())),
            ("devices", job.devices.to_string()),
            ("counts", counted(&job)),
            ("at once", job.at_once.to_string()),
            ("held to", held(&job)),
            ("time for each device", print::duration(each)),
            ("by", job.created_by.clone()),
            ("created", print::time(job.created_at_ms)),
            ("ended", print::time(job.ended_at_ms)),
            ("deadline", print::time(job.deadline_ms)),
            ("why", job.reason.clone()),
        ])
    }
}

impl Devices {
    fn run(self, global: &Global) -> Result<()> {
        let listed = self.limit.collect(
            global,
            (ServiceName::Registry, "job-devices"),
            |page| ListJobDevices {
                page_size: page.size,
                page: page.token,
                job_id: self.id.to_string(),
                owner: self.of.text(),
                state: self.state.map(Into::into).unwrap_or_default(),
                ..ListJobDevices::default()
            },
            |reply: JobDevicesListed| (reply.devices, reply.next_page),
        )?;
        let row = |device: &JobDevice| {
            vec![
                device.device_id.clone(),
                words::say(device.state()),
                print::time(device.since_ms),
                device.command_id.clone(),
                device.error.clone(),
            ]
        };
        listed.print(global, &["device", "state", "since", "command", "why"], row)
    }
}

impl Cancel {
    fn run(self, global: &Global) -> Result<()> {
        let request = CancelJob {
            job_id: self.id.to_string(),
            owner: self.of.text(),
            ..CancelJob::default()
        };
        let changed: Changed = global.ask(ServiceName::Registry, "job-cancel", &request)?;
        if global.json {
            return print::json(&changed);
        }
        print::line(format!("{}: no further device begins", changed.id))
    }
}
