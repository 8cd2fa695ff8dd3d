//! Does what the journal asks for, as far as it needs the server.

use std::{sync::Arc, time::Duration};

use client::{AskError, Client};
use contract::{
    Code,
    id::ServiceName,
    v1::{Done, UpdateReport, UpdateState},
};
use tokio::{sync::mpsc, time::Instant};

use super::{
    body::{Body, told_whole},
    errand::{Heard, ask_assignment},
    fetching, trial,
};
use crate::{
    clock,
    error::Error,
    ground::Ground,
    platform::Platform,
    update::{Bounds, End, Input, Job, Journal, Offer, Slots, Task, judge},
};

/// What working on a task came to.
pub(crate) enum Worked {
    /// Something happened.
    Input(Input),
    /// Not now; once more after a pause.
    Later(String),
}

/// What work needs, apart from the device itself.
pub(crate) struct Tools {
    pub(crate) client: Client,
    pub(crate) slots: Slots,
    ground: Arc<dyn Ground>,
    bounds: Bounds,
    journal: Journal,
    deadline: Instant,
    is_reached: bool,
    /// It is no earlier than this.
    floor_ms: i64,
    /// Who hears how far it is.
    pub(crate) teller: mpsc::Sender<Heard>,
}

impl Tools {
    pub(crate) fn of<P: Platform>(
        body: &Body<P>,
        client: &Client,
        floor_ms: i64,
        teller: mpsc::Sender<Heard>,
    ) -> Tools {
        let soon = || Instant::now() + Duration::from_secs(1);
        Tools {
            client: client.clone(),
            slots: body.slots.clone(),
            ground: body.ground.clone(),
            bounds: body.bounds.clone(),
            journal: body.journal.clone(),
            is_reached: body.trial.is_some_and(|trial| trial.is_reached),
            deadline: body.trial.map_or_else(soon, |trial| trial.deadline),
            floor_ms,
            teller,
        }
    }

    pub(crate) async fn work(self, task: Task) -> Heard {
        if let Err(error) = self.mark().await {
            return Heard::Worked(Worked::Later(told_whole(&error)));
        }
        let worked = match task {
            Task::Fetch(job) => fetching::fetch(&self, &job).await,
            Task::Announce(job) => self.announce(&job).await,
            Task::Stage(job) => self.stage(job).await,
            Task::Try(_) if self.is_reached => Ok(Input::Healthy),
            Task::Try(_) => Ok(trial::reach(&self.client, self.deadline).await),
            // Done where there is no session.
            Task::Undo => Err("the old image comes back first".to_owned()),
            Task::Report(end) => self.report_end(&end).await,
        };
        Heard::Worked(worked.map_or_else(Worked::Later, Worked::Input))
    }

    /// The disk may have taken the journal and not its marker: that comes before anything else.
    async fn mark(&self) -> Result<(), Error> {
        let (slots, journal) = (self.slots.clone(), self.journal.clone());
        slots.blocking(move |slots| slots.mark(&journal)).await
    }

    /// From here on the server no longer calls it off. Whether it had before, it says when asked once more.
    async fn announce(&self, job: &Job) -> Result<Input, String> {
        let now = Some(clock::at_least(self.ground.now_ms(), self.floor_ms));
        if let Offer::Unfit { why, .. } = judge(&self.bounds, &self.journal, &job.assignment(), now) {
            return Ok(Input::Refused(why));
        }
        for state in [UpdateState::Verified, UpdateState::Installing] {
            if let Told::NoPart = self.tell(&job.rollout_id, state, "", 100).await? {
                return Ok(Input::Unassigned);
            }
        }
        let assigned = ask_assignment(&self.client).await.map_err(|e| e.to_string())?;
        let same = assigned.rollout_id == job.rollout_id && assigned.artifact_id == job.artifact_id;
        Ok(if same && !assigned.canceled {
            Input::Announced
        } else {
            Input::Unassigned
        })
    }

    async fn stage(&self, job: Job) -> Result<Input, String> {
        let (slots, slot) = (self.slots.clone(), self.journal.active.other());
        let staged = slots.blocking(move |slots| Ok(slots.stage(&job, slot))).await;
        Ok(match staged.unwrap_or_else(|e| Err(e.to_string())) {
            Ok(()) => Input::Staged,
            Err(why) => Input::Failed(why),
        })
    }

    async fn report_end(&self, end: &End) -> Result<Input, String> {
        let told = self.tell(&end.rollout_id, end.how.state(), &end.detail, 100);
        // A server that does not know of it has nothing to learn either.
        told.await.map(|_| Input::Acknowledged)
    }

    /// Tells the server how far it is, and returns once it knows.
    pub(crate) async fn tell(
        &self,
        rollout_id: &str,
        state: UpdateState,
        detail: &str,
        percent: u32,
    ) -> Result<Told, String> {
        let report = UpdateReport {
            rollout_id: rollout_id.to_owned(),
            state: state.into(),
            detail: detail.to_owned(),
            percent,
            ..UpdateReport::default()
        };
        match self
            .client
            .ask::<Done>(ServiceName::Rollout, "report", &report)
            .await
        {
            Ok(_) => Ok(Told::Known),
            Err(AskError::Refused(refusal)) if is_lasting(refusal.code) => Ok(Told::NoPart),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// What the server makes of a step.
pub(crate) enum Told {
    /// It knows.
    Known,
    /// The device has no part in this rollout.
    NoPart,
}

/// Whether asking again would be refused again.
fn is_lasting(code: Code) -> bool {
    matches!(
        code,
        Code::NotFound | Code::Invalid | Code::Malformed | Code::UnknownVerb
    )
}
