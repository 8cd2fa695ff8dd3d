//! The front door's mind: who may come in, where each message goes, who must leave.
//!
//! It owns the copies of facts, the directory of sessions and the four lanes; it is driven by a shell that
//! owns sockets, threads and time. Nothing here blocks.

mod admission;
mod departures;
mod desk;
mod frames;
mod held;
mod keeping;
mod kept;
mod logins;
mod notices;
mod passwords;
mod presence;
mod retained;
mod sending;
mod wishes;

use std::{collections::VecDeque, sync::Arc};

use contract::{
    Root,
    id::{Id, Kind, Principal, ServiceName},
    v1::{Frame, Manufacturer, Purpose},
    wire::{self, Encoding, Wire},
};
use service::{
    Now,
    planted::{self, Mistake},
};

pub use self::passwords::Check;
use self::{
    departures::Departures, held::Held, kept::Kept, notices::Notices, passwords::Passwords,
    retained::Retained,
};
use crate::{
    attempts::Attempts,
    cause::{Cause, Farewell},
    connection::Post,
    directory::Directory,
    enrolments::Enrolments,
    facts::Copies,
    lane::{Lane, Leaving, Origin, Turn},
    limits::Limits,
    meter::Meter,
    peer::Peer,
    policy::{DeviceManagement, Known, Policy, Standing},
    protocol::Reason,
    transport::Listener,
};

/// What a door must know about its installation.
#[derive(Debug, Clone)]
pub struct DoorSettings {
    /// The installation's name.
    pub site: String,
    /// The topics' root.
    pub root: Root,
    /// Grows from start to start.
    pub boot: u64,
    /// The limits.
    pub limits: Arc<Limits>,
}

/// Counts since the start, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests passed to services.
    pub requests: u64,
    /// Publishes, subscriptions and connections refused.
    pub refused: u64,
    /// Messages put before principals.
    pub delivered: u64,
    /// Frames of services that were not theirs to send.
    pub strays: u64,
    /// Events and devices' data that made way in a session without a connection.
    pub made_way: u64,
    /// What devices said to whoever listens.
    pub handed_out: u64,
}

/// How the door is, for health checks and metrics.
#[derive(Debug, Clone, Default)]
pub struct DoorStatus {
    /// The copies of facts are whole.
    pub whole: bool,
    /// An owner of facts is silent.
    pub stale: bool,
    /// Sessions with a connection.
    pub sessions: usize,
    /// Sessions without one, that are kept.
    pub kept: usize,
    /// Each service: linked, requests waiting.
    pub lanes: Vec<(ServiceName, bool, usize)>,
    /// Counts.
    pub counts: Counts,
    /// How often each limit was met, by its name.
    pub met: Vec<(&'static str, u64)>,
}

/// The door.
pub struct Door {
    settings: DoorSettings,
    policy: Arc<dyn Policy>,
    /// What most may do; they share it.
    usual: Arc<Standing>,
    copies: Copies,
    directory: Directory,
    lanes: [Lane; 4],
    posts: VecDeque<(u64, Post)>,
    departures: Departures,
    held: Held,
    kept: Kept,
    retained: Retained,
    notices: Notices,
    attempts: Attempts,
    enrolments: Enrolments,
    passwords: Passwords,
    snapshot: u64,
    /// How often something of a shared subscription was given out.
    served: u64,
    counts: Counts,
    /// How often limits were met, here and in the entrance.
    meter: Meter,
    lobby: Meter,
    listeners: Vec<(Listener, String)>,
    /// When it was looked at first, milliseconds since 1970.
    started_ms: Option<i64>,
    closing: bool,
}

impl Door {
    /// A door that knows nothing yet, under the policy of device management.
    pub fn new(settings: DoorSettings) -> Door {
        let policy = DeviceManagement::new(settings.root.clone(), settings.limits.renew_after_ms);
        let lanes = ServiceName::KEEPERS.map(|_| Lane::new(settings.boot, &settings.limits));
        Door {
            settings,
            policy: Arc::new(policy),
            usual: Arc::default(),
            copies: Copies::default(),
            directory: Directory::default(),
            lanes,
            posts: VecDeque::new(),
            departures: Departures::default(),
            held: Held::default(),
            kept: Kept::default(),
            retained: Retained::default(),
            notices: Notices::default(),
            attempts: Attempts::default(),
            enrolments: Enrolments::default(),
            passwords: Passwords::default(),
            snapshot: 0,
            served: 0,
            counts: Counts::default(),
            meter: Meter::default(),
            lobby: Meter::default(),
            listeners: Vec::new(),
            started_ms: None,
            closing: false,
        }
    }

    /// The same under another policy. To be called before anybody is let in.
    #[must_use]
    pub fn under(self, policy: Arc<dyn Policy>) -> Door {
        Door { policy, ..self }
    }

    /// Whether principals can be let in: the copies of facts are whole.
    pub fn is_whole(&self) -> bool {
        self.copies.is_whole()
    }

    /// What it knows of devices, people and certificates.
    pub fn copies(&self) -> &Copies {
        &self.copies
    }

    /// Whom somebody who shows no certificate is taken for: a holder of this batch, if the batch alone opens nothing.
    pub fn holder_of(&self, batch: &Id) -> Option<Peer> {
        let known = self.copies.batch(batch.as_str())?;
        (!known.opens_alone && !known.revoked).then(|| Peer::Certified {
            kind: Kind::Claim,
            id: batch.clone(),
            serial: known.serial.clone(),
            // Provisioning knows the batch's end.
            not_after_ms: i64::MAX,
        })
    }

    /// The manufacturers whose certificates let devices in, if they have changed since the change of this number.
    pub fn manufacturers_since(&self, change: u64) -> Option<(u64, Vec<Manufacturer>)> {
        let (last, all) = self.copies.manufacturers();
        (last != change).then(|| (last, all.cloned().collect()))
    }

    /// How it is.
    pub fn status(&self, now: Now) -> DoorStatus {
        let lane = |name: ServiceName| {
            let lane = &self.lanes[place(name)];
            (name, lane.is_linked(), lane.waiting())
        };
        DoorStatus {
            whole: self.copies.is_whole(),
            stale: self.copies.is_stale(now.mono_ms),
            sessions: self.directory.len(),
            kept: self.kept.len(),
            lanes: ServiceName::KEEPERS.map(lane).to_vec(),
            counts: self.counts,
            met: self.met_since_start().collect(),
        }
    }

    /// What must be handed to connections, in order.
    pub fn take_posts(&mut self) -> impl Iterator<Item = (u64, Post)> + '_ {
        self.posts.drain(..)
    }

    /// What is to be sent to a service now, up to so many frames or about so many bytes, and over which link:
    /// what is left of an older link must not reach a newer one.
    pub fn take_frames(&mut self, service: ServiceName, frames: usize, bytes: usize) -> (u64, Vec<Frame>) {
        let lane = &mut self.lanes[place(service)];
        (lane.link(), lane.take(frames, bytes))
    }

    /// Whether there is something to send to a service.
    pub fn has_frames(&self, service: ServiceName) -> bool {
        self.lanes[place(service)].has_work()
    }

    /// A service is there: its window is sent again, and monitoring hears who is connected. The number of
    /// this link comes back.
    pub fn link_up(&mut self, service: ServiceName, now: Now) -> u64 {
        // The snapshot stands for whatever was told of presence before.
        self.lanes[place(service)].forget(|frame| frame.topic.contains("/up/monitoring/presence"));
        self.lanes[place(service)].link_up();
        if service == ServiceName::Monitoring {
            self.tell_snapshot(now);
        }
        // What is missing of its facts is asked before all else: answers wait for it.
        if let Some(question) = self.copies.poll(service, now.mono_ms) {
            self.ask(service, "facts", &question);
            self.lanes[place(service)].hurry_last();
        }
        self.tick(now);
        self.lanes[place(service)].link()
    }

    /// A service is gone.
    pub fn link_down(&mut self, service: ServiceName, leaving: Leaving) {
        self.lanes[place(service)].link_down(leaving);
        self.copies.disconnected(service);
        self.held.forget(service);
        if service == ServiceName::Registry {
            self.registry_went();
        }
    }

    /// Time has passed; to be called a few times a second.
    pub fn tick(&mut self, now: Now) {
        self.started_ms.get_or_insert(now.wall_ms);
        self.look_after_kept(now);
        for owner in [ServiceName::Registry, ServiceName::Provisioning] {
            // Whoever is not there is asked when it is.
            if !self.is_linked(owner) {
                continue;
            }
            if let Some(question) = self.copies.poll(owner, now.mono_ms) {
                self.ask(owner, "facts", &question);
            }
        }
        if self.is_linked(ServiceName::Monitoring) {
            self.flush_notices(now);
        }
    }

    fn is_linked(&self, service: ServiceName) -> bool {
        self.lanes[place(service)].is_linked()
    }

    /// Everybody must go; nobody comes in any more.
    pub fn close(&mut self) {
        self.closing = true;
        let everybody: Vec<_> = self.directory.iter().map(|(id, _)| id).collect();
        for connection in everybody {
            let text = "the server is shutting down; connect again";
            self.dismiss(
                connection,
                Farewell::new(Reason::ShuttingDown, Cause::ServerShutdown, text),
            );
        }
    }

    /// Tells a connection to go.
    fn dismiss(&mut self, connection: u64, farewell: Farewell) {
        let Some(session) = self.directory.get_mut(connection) else {
            return;
        };
        let sent_away = matches!(farewell.cause, Cause::Kicked | Cause::NotAuthorized);
        let missed = sent_away && planted::is(Mistake::KickMissed);
        if farewell.reason == Reason::NotAuthorized {
            session.keeps = false;
        }
        if !session.leaving && !missed {
            session.leaving = true;
            self.posts.push_back((connection, Post::Leave(farewell)));
        }
    }

    /// A request of the front door's own.
    fn ask(&mut self, service: ServiceName, verb: &str, message: &impl Wire) {
        let me = Principal::from(ServiceName::FrontDoor);
        let mut frame = Frame {
            topic: self.settings.root.up(&me, service, verb),
            payload: wire::encode(message, Encoding::Protobuf),
            ..Frame::default()
        };
        frame.set_purpose(Purpose::Request);
        // The front door's own requests are few and never refused by a full window.
        let _ = self.lanes[place(service)].push(frame, Origin::Inside, Turn::First);
    }

    fn root(&self) -> &Root {
        &self.settings.root
    }
}

/// A keeper's place among the lanes.
fn place(service: ServiceName) -> usize {
    ServiceName::KEEPERS
        .iter()
        .position(|keeper| *keeper == service)
        .unwrap_or_default()
}
