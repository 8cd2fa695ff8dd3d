//! Subscribes first, then replays, and goes on with what is live.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, bail};
use client::{Cause, Client, Delivery, Inbox, Trouble};
use contract::{
    Topic,
    filter::Filter,
    id::{Kind, ServiceName},
    v1::{Replay, ReplayMarker},
};

use super::{
    super::{Global, global, print},
    event::CloudEvent,
    stream::{Page, Sight, Stream, Verdict},
};
use crate::exit::{Exit, Failure};

/// Pause before a replay that has not reached what was heard of is asked again.
const AGAIN: Duration = Duration::from_millis(100);

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// With the next event.
    Now,
    /// After this number.
    After(u64),
}

/// Which events are wanted.
pub(super) struct Wanted {
    pub(super) services: Vec<ServiceName>,
    pub(super) filter: Option<Filter>,
    pub(super) start: Start,
    pub(super) count: Option<u64>,
    pub(super) replay_only: bool,
}

struct Follower {
    client: Client,
    inbox: Inbox,
    filter: Option<Filter>,
    streams: BTreeMap<ServiceName, Stream>,
    /// The loss of the connection has been told.
    lost: bool,
    /// How many may still be printed.
    left: Option<u64>,
    json: bool,
}

/// Prints events until there have been enough.
pub(super) async fn follow(global: &Global, wanted: Wanted) -> Result<()> {
    let (client, inbox) = global.connect().await?;
    let mut follower = Follower {
        client: client.clone(),
        inbox,
        filter: wanted.filter,
        streams: BTreeMap::new(),
        lost: false,
        left: wanted.count,
        json: global.json,
    };
    let followed = async {
        if wanted.replay_only {
            follower.begin(&wanted.services, wanted.start).await?;
            follower.catch_up().await
        } else {
            follower.live(&wanted.services, wanted.start).await
        }
    };
    let ended = followed.await;
    client.disconnect().await;
    ended
}

impl Follower {
    async fn live(&mut self, services: &[ServiceName], start: Start) -> Result<()> {
        let (mut connections, mut trouble) = (self.client.connections(), self.client.trouble());
        connections.mark_unchanged();
        for service in services {
            let filter = self.filter.as_ref().map_or("#", Filter::as_str);
            let filter = format!("{}/events/{service}/{filter}", self.client.root());
            self.client.subscribe(&filter).await.map_err(global::explain)?;
        }
        self.begin(services, start).await?;
        loop {
            self.catch_up().await?;
            if self.is_done() {
                return Ok(());
            }
            tokio::select! {
                delivery = self.inbox.recv() => match delivery {
                    Some(delivery) => self.take(&delivery)?,
                    None => bail!("the connection is closed"),
                },
                Ok(()) = connections.changed() => self.reconnected(),
                Ok(()) = trouble.changed() => {
                    let met = trouble.borrow_and_update().clone();
                    self.disconnected(met)?;
                }
            }
        }
    }

    /// Opens a stream for each service.
    async fn begin(&mut self, services: &[ServiceName], start: Start) -> Result<()> {
        let whole = self.filter.is_none() && self.client.who().kind == Kind::Operator;
        let sight = if whole { Sight::Whole } else { Sight::Partial };
        for service in services {
            let stream = match start {
                Start::After(after) => Stream::new(sight, after),
                // Nothing lies after the largest number; the marker tells the newest one.
                Start::Now => Stream::from_now(sight, &self.replay(*service, u64::MAX).await?),
            };
            self.streams.insert(*service, stream);
        }
        Ok(())
    }

    /// Replays whatever is behind, service by service.
    async fn catch_up(&mut self) -> Result<()> {
        while !self.is_done() {
            let behind = self.streams.iter().find(|(_, stream)| stream.is_behind());
            let Some((service, after)) = behind.map(|(service, stream)| (*service, stream.cursor())) else {
                return Ok(());
            };
            let marker = self.replay(service, after).await?;
            // The page came before its marker.
            while let Ok(delivery) = self.inbox.try_recv() {
                self.take(&delivery)?;
            }
            self.turn(service, after, &marker).await;
        }
        Ok(())
    }

    async fn turn(&mut self, service: ServiceName, after: u64, marker: &ReplayMarker) {
        let Some(stream) = self.streams.get_mut(&service) else {
            return;
        };
        match stream.marker(marker) {
            Page::NewHistory => {
                print::note(format!(
                    "{service} has another history than before: its events begin anew"
                ));
                return;
            }
            Page::More if marker.complete => tokio::time::sleep(AGAIN).await,
            Page::More | Page::Complete => {}
        }
        if let Some(gone) = gone(service, after, marker) {
            print::note(gone);
        }
    }

    async fn replay(&self, service: ServiceName, after: u64) -> Result<ReplayMarker> {
        let filter = self.filter.as_ref().map(Filter::to_string).unwrap_or_default();
        let request = Replay {
            after,
            filter,
            ..Replay::default()
        };
        global::ask(&self.client, service, "replay", &request).await
    }

    /// Shows what was delivered, if it is next.
    fn take(&mut self, delivery: &Delivery) -> Result<()> {
        let (service, is_live) = match self.client.root().parse_topic(&delivery.topic) {
            Some(Topic::Event { service, .. }) => (service, true),
            Some(Topic::Down { service, name, .. }) if name == "replay/event" => (service, false),
            _ => return Ok(()),
        };
        let Some(stream) = self.streams.get_mut(&service) else {
            return Ok(());
        };
        let event = match CloudEvent::read(&delivery.payload) {
            Ok(event) => event,
            Err(error) => {
                print::note(format!("an event of {service} does not parse: {error}"));
                return Ok(());
            }
        };
        let verdict = if is_live {
            stream.live(&event.epoch, event.sequence)
        } else {
            stream.replayed(&event.epoch, event.sequence)
        };
        if verdict == Verdict::Show && !self.is_done() {
            self.show(service, &event, &delivery.payload)?;
        }
        Ok(())
    }

    fn show(&mut self, service: ServiceName, event: &CloudEvent, payload: &[u8]) -> Result<()> {
        self.left = self.left.map(|left| left.saturating_sub(1));
        if self.json {
            return print::line(String::from_utf8_lossy(payload));
        }
        print::line(event.line(service))
    }

    /// What was missed meanwhile is behind.
    fn reconnected(&mut self) {
        self.lost = false;
        self.streams.values_mut().for_each(Stream::fall_behind);
        print::note("connected again");
    }

    /// Says once why the connection is gone; one that is refused does not come back.
    fn disconnected(&mut self, trouble: Option<Trouble>) -> Result<()> {
        let Some(Trouble { why, cause }) = trouble else {
            return Ok(());
        };
        if cause == Cause::Refused {
            let message = format!("the server refuses this identity: {why}");
            return Err(Failure::new(Exit::Denied, message).into());
        }
        if !std::mem::replace(&mut self.lost, true) {
            print::note(format!(
                "the connection is gone ({why}); what is missed meanwhile comes later"
            ));
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.left == Some(0)
    }
}

/// What to say of events that were asked for and are no longer kept.
fn gone(service: ServiceName, after: u64, marker: &ReplayMarker) -> Option<String> {
    let next = after.saturating_add(1);
    if marker.first <= next {
        return None;
    }
    let last = marker.first - 1;
    let those = if last == next {
        format!("event {next} of {service} is")
    } else {
        format!("events {next} to {last} of {service} are")
    };
    let earliest = if marker.first > marker.head {
        "no later one has come yet".to_owned()
    } else {
        format!("the earliest is {}", marker.first)
    };
    Some(format!("{those} no longer kept; {earliest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_that_are_gone_are_told_with_the_earliest() {
        let gone = |after, first, head| {
            let marker = ReplayMarker {
                first,
                head,
                ..ReplayMarker::default()
            };
            gone(ServiceName::Registry, after, &marker)
        };
        let told = "events 8 to 40 of registry are no longer kept; the earliest is 41";
        assert_eq!(gone(7, 41, 50).as_deref(), Some(told));
        let told = "event 1 of registry is no longer kept; no later one has come yet";
        assert_eq!(gone(0, 2, 1).as_deref(), Some(told));
        assert_eq!(gone(0, 1, 0), None, "there has been none");
        assert_eq!(gone(40, 41, 50), None);
        assert_eq!(gone(u64::MAX, 41, 50), None);
    }
}
