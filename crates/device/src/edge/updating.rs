//! What a session does about updates: it takes what is assigned, and goes on from where the journal stands.

use std::time::Duration;

use contract::v1::Assignment;

use super::{
    body::told_whole,
    errand::Errand,
    session::{AGAIN, Leave, Session},
};
use crate::{
    clock,
    error::Error,
    platform::Platform,
    update::{Input, Stage, Task, judge, task},
};

/// Pause before an end is told to a server that had been told and asks again.
const TOLD_BEFORE: Duration = Duration::from_secs(30);

impl<P: Platform> Session<'_, P> {
    /// The server assigns something unasked: an answer that is under way may be older, and is not waited for.
    pub(super) async fn pushed(&mut self, assignment: &Assignment) -> Result<Option<Leave>, Error> {
        let is_asking = self.errands.call_back(Errand::Assignment);
        let left = self.assigned(assignment).await;
        if is_asking {
            self.send(Errand::Assignment, Duration::ZERO);
        }
        left
    }

    pub(super) async fn assigned(&mut self, assignment: &Assignment) -> Result<Option<Leave>, Error> {
        let current = match &self.body.journal.stage {
            Stage::Downloading { job, .. } | Stage::Verified { job } => Some(job.rollout_id.as_str()),
            Stage::Idle => None,
            // What is being installed comes to its end first.
            _ => return Ok(None),
        };
        let is_current = current == Some(assignment.rollout_id.as_str());
        if assignment.canceled {
            // Whatever took its place is asked for.
            self.send_afresh(Errand::Assignment);
        }
        if assignment.canceled && !is_current {
            return Ok(None);
        }
        if assignment.canceled || assignment.rollout_id.is_empty() {
            return self.apply(Input::Unassigned).await;
        }
        if is_current {
            return Ok(None);
        }
        let now = Some(clock::at_least(self.body.now_ms(), self.identity.not_before_ms));
        let offer = judge(&self.body.bounds, &self.body.journal, assignment, now);
        self.apply(Input::Offered(offer)).await
    }

    /// Something happened to the update: what is under way is no longer what is to be done.
    pub(super) async fn apply(&mut self, input: Input) -> Result<Option<Leave>, Error> {
        let before = task(&self.body.journal);
        let acknowledged = input == Input::Acknowledged;
        let unassigned = input == Input::Unassigned && before.is_some();
        self.taken_back = match input {
            Input::Unassigned => self.taken_back.saturating_add(1),
            Input::Fetched => 0,
            _ => self.taken_back,
        };
        if input == Input::Healthy
            && let Some(trial) = &mut self.body.trial
        {
            trial.is_reached = true;
        }
        if let Err(error) = self.body.apply(input).await {
            self.wait_for_disk(&error);
            // All but the marker may have been taken: what is to be tried or undone waits for it elsewhere.
            return Ok(self.is_elsewhere().then_some(Leave::Again));
        }
        let after = task(&self.body.journal);
        if self.is_retiring {
            return Ok(None);
        }
        if before != after {
            self.errands.call_back(Errand::Work);
        }
        let mut pause = Duration::ZERO;
        if self.is_elsewhere() {
            return Ok(Some(Leave::Again));
        }
        match &after {
            Some(Task::Report(end)) if self.body.journal.last.as_ref() == Some(end) => pause = TOLD_BEFORE,
            Some(Task::Report(_)) => self.send_afresh(Errand::Report),
            None if acknowledged => self.send_afresh(Errand::Assignment),
            // A server that assigns what it then takes back is not asked without a pause.
            None if unassigned => {
                self.errands.call_back(Errand::Assignment);
                self.send(
                    Errand::Assignment,
                    self.body.about(AGAIN) * (self.taken_back - 1).min(12),
                );
            }
            _ => {}
        }
        self.send(Errand::Work, pause);
        Ok(None)
    }

    /// Whether what is to be done needs no session: the new image must be found well, or the old one run again.
    fn is_elsewhere(&self) -> bool {
        match task(&self.body.journal) {
            Some(Task::Undo) => true,
            Some(Task::Try(_)) => !self.body.trial.is_some_and(|trial| trial.is_well),
            _ => false,
        }
    }

    /// Work begins where the journal stands, and the server tells once more what it has assigned. It is asked anew:
    /// the answer under way may be older than what could not be noted.
    fn wait_for_disk(&mut self, error: &Error) {
        self.later(Errand::Work, told_whole(error));
        self.errands.call_back(Errand::Assignment);
        self.later(Errand::Assignment, "the update waits for the disk".into());
    }
}
