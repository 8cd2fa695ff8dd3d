//! How far a consumer has come, kept by the registry: moved while it follows, listed, set, removed.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::Result;
use client::Client;
use contract::{
    Id,
    id::ServiceName,
    v1::{
        Changed, Checkpoint, CheckpointPosition, CheckpointsListed, Done, ListCheckpoints, PutCheckpoint,
        RemoveCheckpoint, Replay, ReplayMarker,
    },
};
use tokio::time::Instant;

use super::{
    super::{Global, global, list::Limit, print},
    service,
};
use crate::exit::{Exit, Failure, code_of};

/// How often it is moved at most. Who is killed meanwhile is shown so much once more.
const PAUSE: Duration = Duration::from_secs(1);

/// Pause after the registry did not answer.
const AWAY: Duration = Duration::from_secs(10);

/// A service's history and a number in it.
pub(super) type Place = (String, u64);

/// Moves a checkpoint behind what has been dealt with.
pub(super) struct Keeper {
    id: Id,
    /// Where the registry has it.
    stored: BTreeMap<ServiceName, Place>,
    /// Where it is to be.
    reached: BTreeMap<ServiceName, Place>,
    due: Instant,
}

impl Keeper {
    /// A checkpoint as the registry has it; one that is new has no places.
    pub(super) async fn load(client: &Client, id: Id) -> Result<Keeper> {
        let request = ListCheckpoints {
            checkpoint_id: id.to_string(),
            ..ListCheckpoints::default()
        };
        let listed: CheckpointsListed =
            global::ask(client, ServiceName::Registry, "checkpoints", &request).await?;
        let positions = listed.checkpoints.into_iter().flat_map(|found| found.positions);
        let place = |position: CheckpointPosition| {
            let service = ServiceName::from_word(&position.service)?;
            Some((service, (position.epoch, position.sequence)))
        };
        Ok(Keeper {
            id,
            stored: positions.filter_map(place).collect(),
            reached: BTreeMap::new(),
            due: Instant::now(),
        })
    }

    /// Where it was when it was read.
    pub(super) fn place(&self, service: ServiceName) -> Option<&Place> {
        self.stored.get(&service)
    }

    /// Everything of a service up to here has been dealt with.
    pub(super) fn reach(&mut self, service: ServiceName, (epoch, sequence): (&str, u64)) {
        if !epoch.is_empty() {
            self.reached.insert(service, (epoch.to_owned(), sequence));
        }
    }

    /// When it is to be moved next, if there is anything to tell.
    pub(super) fn due(&self) -> Option<Instant> {
        self.is_behind().then_some(self.due)
    }

    fn is_behind(&self) -> bool {
        self.reached
            .iter()
            .any(|(service, place)| self.stored.get(service) != Some(place))
    }

    /// Moves it, unless that was done a moment ago. While the registry is away nothing is lost: it is moved later.
    pub(super) async fn keep(&mut self, client: &Client) -> Result<()> {
        if self.due > Instant::now() {
            return Ok(());
        }
        match self.keep_now(client).await {
            // What cannot even be made is refused for good: there are too many.
            Err(error) if !self.stored.is_empty() && code_of(&error) == Exit::Unavailable as u8 => {
                self.due = Instant::now() + AWAY;
                print::note(format!("the checkpoint is moved later: {error:#}"));
                Ok(())
            }
            kept => kept,
        }
    }

    /// Moves it at once.
    pub(super) async fn keep_now(&mut self, client: &Client) -> Result<()> {
        self.due = Instant::now() + PAUSE;
        if !self.is_behind() {
            return Ok(());
        }
        let request = self.request();
        let _: Changed = global::ask(client, ServiceName::Registry, "put-checkpoint", &request).await?;
        self.stored.extend(std::mem::take(&mut self.reached));
        Ok(())
    }

    /// Only what this consumer knows to lie before, or in another history, may be left: where another one was faster under
    /// the same name, the registry refuses.
    fn request(&self) -> PutCheckpoint {
        let position = |(service, (epoch, sequence)): (&ServiceName, &Place)| CheckpointPosition {
            service: service.to_string(),
            epoch: epoch.clone(),
            sequence: *sequence,
            at_ms: 0,
        };
        let is_back = |(service, place): (&ServiceName, &Place)| {
            self.stored
                .get(service)
                .is_some_and(|stored| stored.0 != place.0 || stored.1 > place.1)
        };
        PutCheckpoint {
            checkpoint_id: self.id.to_string(),
            positions: self.reached.iter().map(position).collect(),
            rewind: self.reached.iter().any(is_back),
            ..PutCheckpoint::default()
        }
    }
}

/// How far consumers of events are: kept by the registry for whoever follows with --checkpoint.
#[derive(clap::Subcommand)]
pub(super) enum Checkpoints {
    /// List your checkpoints
    #[command(after_help = "Examples:
  muster events checkpoints
  muster --as billing --json events checkpoints
  muster events checkpoints --everybody")]
    #[command(name = "checkpoints")]
    List(List),
    /// Say how far a service's events are dealt with, forward or back
    #[command(after_help = "Examples:
  muster events set-checkpoint nightly --service registry --at 0
  muster events set-checkpoint nightly --service registry --service monitoring")]
    #[command(name = "set-checkpoint")]
    Set(Set),
    /// Forget a checkpoint
    #[command(after_help = "Examples:
  muster events remove-checkpoint nightly
  muster events remove-checkpoint nightly --owner integrators/billing")]
    #[command(name = "remove-checkpoint")]
    Remove(Remove),
}

#[derive(clap::Args)]
pub(super) struct List {
    /// Everybody's, for whoever may change people
    #[arg(long)]
    everybody: bool,
    #[command(flatten)]
    limit: Limit,
}

#[derive(clap::Args)]
pub(super) struct Set {
    /// Its name
    id: Id,
    /// Of this service; may be given several times
    #[arg(long = "service", value_name = "SERVICE", value_parser = service(), required = true)]
    services: Vec<ServiceName>,
    /// Everything up to this number is dealt with [default: up to the newest]
    #[arg(long, value_name = "N")]
    at: Option<u64>,
}

#[derive(clap::Args)]
pub(super) struct Remove {
    /// Its name
    id: Id,
    /// Whose, where it is not yours
    #[arg(long, value_name = "OWNER", default_value = "", hide_default_value = true)]
    owner: String,
}

impl Checkpoints {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Checkpoints::List(command) => command.run(global),
            Checkpoints::Set(command) => command.run(global),
            Checkpoints::Remove(command) => command.run(global),
        }
    }
}

impl List {
    fn run(self, global: &Global) -> Result<()> {
        let listed = self.limit.collect(
            global,
            (ServiceName::Registry, "checkpoints"),
            |page| ListCheckpoints {
                everybody: self.everybody,
                page_size: page.size,
                page: page.token,
                ..ListCheckpoints::default()
            },
            |reply: CheckpointsListed| (reply.checkpoints, reply.next_page),
        )?;
        let row = |found: &Checkpoint| {
            let places = found.positions.iter();
            let places = places.map(|position| format!("{} {}", position.service, position.sequence));
            let moved = found.positions.iter().map(|position| position.at_ms).max();
            vec![
                found.checkpoint_id.clone(),
                found.owner.clone(),
                places.collect::<Vec<_>>().join(", "),
                print::time(moved.unwrap_or_default()),
            ]
        };
        listed.print(global, &["id", "owner", "up to", "moved"], row)
    }
}

impl Set {
    fn run(self, global: &Global) -> Result<()> {
        let services: BTreeSet<_> = self.services.into_iter().collect();
        let changed: Changed = global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let mut positions = Vec::new();
            for service in services {
                // Nothing lies after the largest number; the marker tells the newest one.
                let newest = Replay {
                    after: u64::MAX,
                    ..Replay::default()
                };
                let marker: ReplayMarker = global::ask(&client, service, "replay", &newest).await?;
                let at = self.at.unwrap_or(marker.head);
                if at > marker.head {
                    let message = format!("{service} has come to event {} only, not to {at}", marker.head);
                    return Err(Failure::usage(message).into());
                }
                positions.push(CheckpointPosition {
                    service: service.to_string(),
                    epoch: marker.epoch,
                    sequence: at,
                    at_ms: 0,
                });
            }
            let request = PutCheckpoint {
                checkpoint_id: self.id.to_string(),
                positions,
                rewind: true,
                ..PutCheckpoint::default()
            };
            let changed = global::ask(&client, ServiceName::Registry, "put-checkpoint", &request).await;
            client.disconnect().await;
            changed
        })?;
        print::changed(global.json, &changed)
    }
}

impl Remove {
    fn run(self, global: &Global) -> Result<()> {
        let request = RemoveCheckpoint {
            checkpoint_id: self.id.to_string(),
            owner: self.owner,
            ..RemoveCheckpoint::default()
        };
        let done: Done = global.ask(ServiceName::Registry, "remove-checkpoint", &request)?;
        print::done(global.json, &done, &format!("{} is removed", self.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_is_known_to_lie_before_may_be_left() {
        let place = |epoch: &str, sequence| (epoch.to_owned(), sequence);
        let keeper = |reached: Place| Keeper {
            id: "nightly".parse().unwrap(),
            stored: [(ServiceName::Registry, place("a", 7))].into(),
            reached: [(ServiceName::Registry, reached)].into(),
            due: Instant::now(),
        };
        for (reached, behind, rewind) in [
            (place("a", 7), false, false),
            (place("a", 8), true, false),
            (place("a", 6), true, true),
            (place("b", 9), true, true),
        ] {
            let keeper = keeper(reached.clone());
            assert_eq!(keeper.due().is_some(), behind, "{reached:?}");
            assert_eq!(keeper.request().rewind, rewind, "{reached:?}");
        }
    }
}
