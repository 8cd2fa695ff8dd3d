//! The queries.

use contract::v1::{
    CommandJob, CommandState, JobDevice, JobDevicesListed, JobShown, JobState, JobsListed, ListJobDevices,
    ListJobs, ShowJob,
};
use service::{Fault, View, page};

use super::state::{self, Kept};
use crate::choice;

pub(crate) fn show(view: &View<'_>, m: &ShowJob) -> Result<JobShown, Fault> {
    let job = state::find(view, &m.job_id)?.job;
    Ok(JobShown {
        job: Some(CommandJob {
            arguments: state::arguments(view, &job.job_id)?,
            ..job
        }),
        ..JobShown::default()
    })
}

/// By their ids.
pub(crate) fn list(view: &View<'_>, m: &ListJobs) -> Result<JobsListed, Fault> {
    let wanted: Option<JobState> = choice::optional("state", m.state)?;
    let page = page::fill(state::ALL, &m.page, m.page_size, |after, limit| {
        let rows = view.list::<Kept>(state::ALL, after, limit)?;
        let fits = |job: &CommandJob| wanted.is_none_or(|state| state == job.state());
        let open = |(key, kept): (Vec<u8>, Kept)| (key, Some(kept.job).filter(fits));
        Ok(rows.into_iter().map(open).collect())
    })?;
    Ok(JobsListed {
        jobs: page.rows,
        next_page: page.next,
        ..JobsListed::default()
    })
}

/// In the order in which they have their turn.
pub(crate) fn devices(view: &View<'_>, m: &ListJobDevices) -> Result<JobDevicesListed, Fault> {
    let job = state::find(view, &m.job_id)?.job;
    let wanted: Option<CommandState> = choice::optional("state", m.state)?;
    let fits = |row: &JobDevice| wanted.is_none_or(|state| state == row.state());
    let page = page::list::<JobDevice>(view, &state::rows(&job.job_id), &m.page, m.page_size, fits)?;
    let short = |row| JobDevice { warrant: None, ..row };
    Ok(JobDevicesListed {
        devices: page.rows.into_iter().map(short).collect(),
        next_page: page.next,
        ..JobDevicesListed::default()
    })
}
