//! What a session has under way: each errand waits for the network and returns what it heard.

use std::{collections::BTreeMap, time::Duration};

use client::{AskError, Client};
use contract::{
    id::ServiceName,
    v1::{Assignment, Changed, Done, Erased, GetAssignment, GetStanding, Report, Standing},
};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, Id, JoinSet},
};

use super::{commanding::After, renewing::Renewal, work::Worked};
use crate::update::Job;

/// The errands there are; each is under way once at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Errand {
    Report,
    Standing,
    Assignment,
    Config,
    Command,
    Work,
    Renew,
    Erased,
}

/// Why an errand of several questions came to nothing for now.
pub(crate) enum Failed {
    Ask(AskError),
    Other(String),
}

/// What an errand returns with.
pub(crate) enum Heard {
    Reported(Result<(), AskError>),
    Standing(Result<Standing, AskError>),
    Assignment(Result<Assignment, AskError>),
    Configured(Result<(), Failed>),
    Commanded(Result<After, Failed>),
    Worked(Worked),
    Renewed(Renewal),
    Erased(Result<(), AskError>),
    /// It panicked, in the platform's code or in ours.
    Broken(Errand),
    /// It is not back yet: so many hundredths of the image have come.
    Fetching(Job, u32),
}

impl Heard {
    /// The errand that went well.
    pub(crate) fn good_of(&self) -> Option<Errand> {
        match self {
            Heard::Reported(Ok(())) => Some(Errand::Report),
            Heard::Standing(Ok(_)) => Some(Errand::Standing),
            Heard::Assignment(Ok(_)) => Some(Errand::Assignment),
            Heard::Configured(Ok(())) => Some(Errand::Config),
            Heard::Commanded(Ok(_)) => Some(Errand::Command),
            Heard::Worked(Worked::Input(_)) => Some(Errand::Work),
            Heard::Renewed(Renewal::Done(_)) => Some(Errand::Renew),
            _ => None,
        }
    }
}

/// What may be told on the way before anybody has listened; more is of no use to a watcher.
const TOLD_MAX: usize = 16;

/// All errands of a session; they end with it.
pub(crate) struct Errands {
    tasks: JoinSet<(Errand, Heard)>,
    under_way: BTreeMap<Errand, AbortHandle>,
    /// What errands tell before they are back: it is heard in its turn, never behind what has called them back.
    teller: mpsc::Sender<Heard>,
    told: mpsc::Receiver<Heard>,
}

impl Default for Errands {
    fn default() -> Errands {
        let (teller, told) = mpsc::channel(TOLD_MAX);
        Errands {
            tasks: JoinSet::new(),
            under_way: BTreeMap::new(),
            teller,
            told,
        }
    }
}

impl Errands {
    /// Sends one on its way, after a pause, unless it is already.
    pub(crate) fn send(
        &mut self,
        errand: Errand,
        pause: Duration,
        work: impl Future<Output = Heard> + Send + 'static,
    ) {
        if self.under_way.contains_key(&errand) {
            return;
        }
        let handle = self.tasks.spawn(async move {
            tokio::time::sleep(pause).await;
            (errand, work.await)
        });
        self.under_way.insert(errand, handle);
    }

    /// Whether one has not returned yet.
    pub(crate) fn is_under_way(&self, errand: Errand) -> bool {
        self.under_way.contains_key(&errand)
    }

    /// Calls one back; whether it was under way.
    pub(crate) fn call_back(&mut self, errand: Errand) -> bool {
        let under_way = self.under_way.remove(&errand);
        under_way.inspect(AbortHandle::abort).is_some()
    }

    /// For whoever tells something before it is back.
    pub(crate) fn teller(&self) -> mpsc::Sender<Heard> {
        self.teller.clone()
    }

    /// The next that returns, or tells something on its way; waits for ever while none is under way.
    pub(crate) async fn next(&mut self) -> Heard {
        loop {
            let returned = tokio::select! {
                biased;
                Some(told) = self.told.recv() => return told,
                returned = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => returned,
            };
            match returned {
                // One that was called back may have returned all the same.
                Some(Ok((id, (errand, heard)))) if self.forget(id) == Some(errand) => return heard,
                Some(Err(gone)) => {
                    if let Some(errand) = self.forget(gone.id()) {
                        return Heard::Broken(errand);
                    }
                }
                _ => {}
            }
        }
    }

    /// It is no longer under way; nothing if it was called back.
    fn forget(&mut self, id: Id) -> Option<Errand> {
        let mut under_way = self.under_way.iter();
        let errand = under_way.find_map(|(errand, handle)| (handle.id() == id).then_some(*errand))?;
        self.under_way.remove(&errand);
        Some(errand)
    }
}

pub(crate) async fn report(client: Client, report: Report) -> Heard {
    let done = client.ask::<Changed>(ServiceName::Registry, "report", &report);
    Heard::Reported(done.await.map(drop))
}

pub(crate) async fn standing(client: Client) -> Heard {
    let asked = GetStanding::default();
    Heard::Standing(client.ask(ServiceName::Registry, "standing", &asked).await)
}

pub(crate) async fn assignment(client: Client) -> Heard {
    Heard::Assignment(ask_assignment(&client).await)
}

pub(crate) async fn ask_assignment(client: &Client) -> Result<Assignment, AskError> {
    let asked = GetAssignment::default();
    client.ask(ServiceName::Rollout, "assignment", &asked).await
}

pub(crate) async fn erased(client: Client, erased: Vec<String>) -> Heard {
    let receipt = Erased {
        erased,
        ..Erased::default()
    };
    let done = client.ask::<Done>(ServiceName::Registry, "erased", &receipt);
    Heard::Erased(done.await.map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_errand_that_breaks_is_told_and_can_be_sent_again() {
        let mut errands = Errands::default();
        errands.send(Errand::Work, Duration::ZERO, async {
            panic!("the platform's fault")
        });
        assert!(matches!(errands.next().await, Heard::Broken(Errand::Work)));
        errands.send(Errand::Work, Duration::ZERO, async { Heard::Reported(Ok(())) });
        assert!(matches!(errands.next().await, Heard::Reported(Ok(()))));
    }

    #[tokio::test]
    async fn what_is_told_on_the_way_is_heard_before_the_return() {
        let mut errands = Errands::default();
        let teller = errands.teller();
        errands.send(Errand::Work, Duration::ZERO, async move {
            for _ in 0..2 * TOLD_MAX {
                let _ = teller.try_send(Heard::Reported(Ok(())));
            }
            Heard::Erased(Ok(()))
        });
        for _ in 0..TOLD_MAX {
            assert!(matches!(errands.next().await, Heard::Reported(Ok(()))));
        }
        assert!(matches!(errands.next().await, Heard::Erased(Ok(()))));
    }

    #[tokio::test]
    async fn an_errand_that_is_called_back_returns_with_nothing() {
        let mut errands = Errands::default();
        errands.send(Errand::Report, Duration::ZERO, async { Heard::Reported(Ok(())) });
        errands.call_back(Errand::Report);
        errands.send(Errand::Erased, Duration::from_millis(20), async {
            Heard::Erased(Ok(()))
        });
        assert!(matches!(errands.next().await, Heard::Erased(Ok(()))));
    }
}
