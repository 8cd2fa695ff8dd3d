//! `muster command run` to many devices

use std::time::Duration;

use anyhow::{Context, Result};
use client::{AskError, Client};
use contract::{
    Id,
    id::ServiceName,
    v1::{Changed, CommandJob, JobShown, JobState, RunJob, ShowJob},
};
use host::clock::wall_ms;
use indicatif::ProgressBar;

use super::{
    super::{Global, global, print, progress, words},
    jobs::counted,
    run::millis,
    sign::Signing,
};
use crate::exit::{Exit, Failure};

/// Between two looks at a job that is waited for.
const LOOK: Duration = Duration::from_millis(500);

/// To whom, if to many.
#[derive(clap::Args)]
pub(super) struct Many {
    /// Tell all members that this group has now, instead of one device
    #[arg(long, value_name = "ID", conflicts_with = "devices")]
    group: Option<Id>,
    /// Tell these devices, instead of one
    #[arg(long, value_name = "ID,ID", value_delimiter = ',')]
    devices: Vec<Id>,
    /// So many devices at once at most; the next has its turn when one has come to its end [default: 20, or what the
    /// group's rule lets]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    at_once: Option<u32>,
    /// How long it may take with all devices
    #[arg(long, default_value = "1d", value_parser = humantime::parse_duration, value_name = "TIME")]
    all_within: Duration,
}

impl Many {
    pub(super) fn is_given(&self) -> bool {
        self.group.is_some() || !self.devices.is_empty()
    }

    /// What is to be asked, but for what the devices are to do.
    pub(super) fn request(&self) -> RunJob {
        RunJob {
            group: self.group.as_ref().map(Id::to_string).unwrap_or_default(),
            device_ids: self.devices.iter().map(Id::to_string).collect(),
            at_once: self.at_once.unwrap_or_default(),
            within_ms: millis(self.all_within),
            ..RunJob::default()
        }
    }
}

pub(super) fn run(global: &Global, mut request: RunJob, signing: &Signing, wait: bool) -> Result<()> {
    let job = global.block_on(async {
        let (client, _inbox) = global.connect().await?;
        let told = async {
            signing.sign_all(&client, &mut request).await?;
            tell(&client, global, &request, wait).await
        }
        .await;
        client.disconnect().await;
        told
    })?;
    job.map_or(Ok(()), |job| verdict(&job))
}

/// The job at its end, if that is waited for.
async fn tell(client: &Client, global: &Global, request: &RunJob, wait: bool) -> Result<Option<CommandJob>> {
    let changed: Changed = global::ask(client, ServiceName::Registry, "job-run", request).await?;
    if wait {
        return until_it_ends(client, global, &changed.id).await.map(Some);
    }
    if global.json {
        print::json(&changed)?;
    } else {
        print::line(format!(
            "told to {}; see `muster command jobs show {}`",
            request.name, changed.id
        ))?;
    }
    Ok(None)
}

/// Says each change, until there can be no other.
async fn until_it_ends(client: &Client, global: &Global, id: &str) -> Result<CommandJob> {
    let bar = progress::bar(0, "devices");
    let mut seen = CommandJob::default();
    loop {
        if let Some(job) = look(client, &bar, id).await? {
            if (job.state, job.counts) != (seen.state, seen.counts) {
                show(global, &bar, &job)?;
            }
            seen = job;
            if seen.ended_at_ms != 0 {
                bar.finish_and_clear();
                return Ok(seen);
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// `None`: nobody answers just now. Waiting outlives a restart of the service.
async fn look(client: &Client, bar: &ProgressBar, id: &str) -> Result<Option<CommandJob>> {
    let request = ShowJob {
        job_id: id.to_owned(),
        ..ShowJob::default()
    };
    match client
        .ask::<JobShown>(ServiceName::Registry, "job-show", &request)
        .await
    {
        Ok(shown) => Ok(Some(shown.job.context("the answer holds no job")?)),
        Err(error @ AskError::Silence { .. }) => {
            bar.suspend(|| print::note(format!("{error}; trying again")));
            Ok(None)
        }
        Err(error) => Err(global::explain(error)),
    }
}

fn show(global: &Global, bar: &ProgressBar, job: &CommandJob) -> Result<()> {
    let counts = job.counts.unwrap_or_default();
    let open = counts.waiting + counts.queued + counts.sent + counts.running;
    bar.set_length(job.devices.into());
    bar.set_position(job.devices.saturating_sub(open).into());
    bar.suspend(|| {
        if global.json {
            return print::json(job);
        }
        print::line(format!(
            "{} {}: {} of {} devices: {}",
            print::time(wall_ms()),
            words::say(job.state()),
            job.devices.saturating_sub(open),
            job.devices,
            counted(job)
        ))
    })
}

/// How the process ends.
fn verdict(job: &CommandJob) -> Result<()> {
    let exit = match job.state() {
        JobState::Succeeded => return Ok(()),
        JobState::TimedOut => Exit::Unavailable,
        _ => Exit::Failed,
    };
    let id = &job.job_id;
    let message = format!(
        "{id} {}: {}; see `muster command jobs devices {id}`",
        words::say(job.state()),
        counted(job)
    );
    Err(Failure::new(exit, message).into())
}

#[cfg(test)]
mod tests {
    use contract::v1::JobCounts;

    use super::*;

    #[test]
    fn only_success_ends_well() {
        let end = |state: JobState| {
            let counts = JobCounts {
                succeeded: 2,
                timed_out: 1,
                ..JobCounts::default()
            };
            let job = CommandJob {
                job_id: "j-1".into(),
                state: state.into(),
                counts: Some(counts),
                ..CommandJob::default()
            };
            let error = verdict(&job).err();
            error.map(|error| (crate::exit::code_of(&error), error.to_string()))
        };
        assert_eq!(end(JobState::Succeeded), None);
        let (code, said) = end(JobState::TimedOut).unwrap();
        let expected = "j-1 timed-out: 2 succeeded, 1 timed-out; see `muster command jobs devices j-1`";
        assert_eq!((code, said.as_str()), (6, expected));
        for other in [JobState::Failed, JobState::Cancelled] {
            assert_eq!(end(other).unwrap().0, 1);
        }
    }
}
