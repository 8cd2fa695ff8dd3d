//! Subscribes first, then replays, and goes on with what is live.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, bail};
use client::{Cause, Client, Delivery, Inbox, Trouble};
use contract::{
    Id, Topic,
    filter::Filter,
    id::{Kind, ServiceName},
    v1::{Replay, ReplayMarker},
};

use tokio::time::Instant;

use super::{
    super::{Global, global, print},
    checkpoint::Keeper,
    event::CloudEvent,
    hand::Hand,
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
    pub(super) checkpoint: Option<Id>,
    pub(super) hand: Hand,
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
    hand: Hand,
    keeper: Option<Keeper>,
    /// The page that has come: after which number, up to which. What else is replayed was asked for over another connection.
    page: Option<(ServiceName, u64, u64)>,
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
        hand: wanted.hand,
        keeper: None,
        page: None,
    };
    let followed = async {
        if let Some(checkpoint) = wanted.checkpoint {
            follower.keeper = Some(Keeper::load(&client, checkpoint).await?);
        }
        if wanted.replay_only {
            follower.begin(&wanted.services, wanted.start).await?;
            follower.catch_up().await
        } else {
            follower.live(&wanted.services, wanted.start).await
        }
    };
    let ended = followed.await;
    let kept = match &mut follower.keeper {
        Some(keeper) => keeper.keep_now(&client).await,
        None => Ok(()),
    };
    client.disconnect().await;
    // Why it ended is told first.
    ended.and(kept)
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
            let due = self.keeper.as_ref().and_then(Keeper::due);
            tokio::select! {
                delivery = self.inbox.recv() => match delivery {
                    Some(delivery) => self.take(&delivery).await?,
                    None => bail!("the connection is closed"),
                },
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.keep().await?,
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
            let kept = self.keeper.as_ref().and_then(|keeper| keeper.place(*service));
            let stream = match (kept, start) {
                (Some((epoch, sequence)), _) => Stream::resumed(sight, epoch, *sequence),
                (None, Start::After(after)) => Stream::new(sight, after),
                // Nothing lies after the largest number; the marker tells the newest one.
                (None, Start::Now) => Stream::from_now(sight, &self.replay(*service, u64::MAX).await?),
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
            // Of another history the page is of no use: it began somewhere.
            let stream = self.streams.get_mut(&service);
            let is_use = stream.is_some_and(|stream| stream.meets(&marker));
            self.page = is_use.then_some((service, after, marker.last));
            // The page came before its marker.
            while let Ok(delivery) = self.inbox.try_recv() {
                self.take(&delivery).await?;
            }
            self.page = None;
            self.turn(service, after, &marker).await;
            self.keep().await?;
        }
        Ok(())
    }

    async fn turn(&mut self, service: ServiceName, after: u64, marker: &ReplayMarker) {
        // What was left of the page has not been shown.
        if self.is_done() {
            return;
        }
        let Some(stream) = self.streams.get_mut(&service) else {
            return;
        };
        let page = stream.marker(marker);
        if let (Some(keeper), true) = (&mut self.keeper, page != Page::NewHistory) {
            keeper.reach(service, stream.place());
        }
        match page {
            Page::NewHistory => {
                print::note(format!(
                    "{service} has another history than before, that of a restored backup: its events begin anew"
                ));
                return;
            }
            Page::More if marker.complete => tokio::time::sleep(AGAIN).await,
            Page::More | Page::Complete => {}
        }
        for note in [gone(service, after, marker), ahead(service, after, marker)] {
            note.into_iter().for_each(print::note);
        }
    }

    /// Moves the checkpoint, if there is one and its time has come.
    async fn keep(&mut self) -> Result<()> {
        match &mut self.keeper {
            Some(keeper) => keeper.keep(&self.client).await,
            None => Ok(()),
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
    async fn take(&mut self, delivery: &Delivery) -> Result<()> {
        if self.is_done() {
            return Ok(());
        }
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
        let is_asked = |(of, after, last)| of == service && after < event.sequence && event.sequence <= last;
        let verdict = if is_live {
            stream.live(&event.epoch, event.sequence)
        } else if self.page.is_some_and(is_asked)
            && self.filter.as_ref().is_none_or(|f| f.matches(&event.topic()))
        {
            stream.replayed(event.sequence)
        } else {
            Verdict::Drop
        };
        if verdict == Verdict::Drop {
            return Ok(());
        }
        self.hand.over(service, &event, &delivery.payload).await?;
        if let Some(keeper) = &mut self.keeper {
            keeper.reach(service, stream.place());
        }
        self.left = self.left.map(|left| left.saturating_sub(1));
        Ok(())
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

/// What to say where a service has not come as far as was asked for.
fn ahead(service: ServiceName, after: u64, marker: &ReplayMarker) -> Option<String> {
    (marker.head < after).then(|| {
        format!(
            "{service} has come to event {} only, and {after} is ahead of that: an older copy of its database is in \
             place, or the number was never its own; what comes next is shown",
            marker.head
        )
    })
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

    #[test]
    fn who_is_ahead_of_a_service_is_told() {
        let ahead = |after, head| {
            let marker = ReplayMarker {
                head,
                ..ReplayMarker::default()
            };
            ahead(ServiceName::Registry, after, &marker)
        };
        assert_eq!((ahead(7, 7), ahead(7, 8)), (None, None));
        let told = ahead(8, 7).unwrap();
        assert!(
            told.starts_with("registry has come to event 7 only, and 8 is ahead of that"),
            "{told}"
        );
    }
}
