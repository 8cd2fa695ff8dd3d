//! The queries. Whoever sees some groups only sees their own jobs.

use contract::v1::{
    CommandJob, CommandState, JobDevice, JobDevicesListed, JobShown, JobState, JobsListed, ListJobDevices,
    ListJobs, ShowJob,
};
use service::{Caller, Fault, Sight, View, page};

use super::state::{self, Kept};
use crate::{choice, state as records};

pub(crate) fn show(view: &View<'_>, by: &Caller, m: &ShowJob) -> Result<JobShown, Fault> {
    let job = state::seen(view, by, &m.owner, &m.job_id)?.job;
    Ok(JobShown {
        job: Some(CommandJob {
            arguments: state::arguments(view, &state::name_of(&job))?,
            ..job
        }),
        ..JobShown::default()
    })
}

/// By their ids.
pub(crate) fn list(view: &View<'_>, by: &Caller, m: &ListJobs) -> Result<JobsListed, Fault> {
    let wanted: Option<JobState> = choice::optional("state", m.state)?;
    let me = by.principal.to_string();
    let page = page::fill(state::ALL, &m.page, m.page_size, |after, limit| {
        let rows = view.list::<Kept>(state::ALL, after, limit)?;
        let seen = |job: &CommandJob| by.sight == Sight::Everything || job.created_by == me;
        let fits = |job: &CommandJob| seen(job) && wanted.is_none_or(|state| state == job.state());
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
pub(crate) fn devices(view: &View<'_>, by: &Caller, m: &ListJobDevices) -> Result<JobDevicesListed, Fault> {
    let job = state::seen(view, by, &m.owner, &m.job_id)?.job;
    let wanted: Option<CommandState> = choice::optional("state", m.state)?;
    let rows = state::rows(&state::name_of(&job));
    let page = page::list_where::<JobDevice>(view, &rows, &m.page, m.page_size, |row| {
        let fits = wanted.is_none_or(|state| state == row.state());
        Ok(fits && records::in_sight(view, &by.sight, &row.device_id)?)
    })?;
    let short = |row| JobDevice { warrant: None, ..row };
    Ok(JobDevicesListed {
        devices: page.rows.into_iter().map(short).collect(),
        next_page: page.next,
        ..JobDevicesListed::default()
    })
}
