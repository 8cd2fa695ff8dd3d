//! The front door's process: the door, its connections, and the router's five topics as queues that keep
//! their order, which is all that is asked of the router.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use contract::{id::ServiceName, v1::Frame};
use service::Now;
use session::{Connection, Door, DoorSettings, Leaving, Limits, Peer, Post};

use crate::genesis::SITE;

/// Frames of one envelope.
const ENVELOPE: (usize, usize) = (64, 64 * 1024);

/// The process.
pub(crate) struct Front {
    pub(crate) door: Door,
    limits: Arc<Limits>,
    connections: BTreeMap<u64, Connection>,
    mailboxes: BTreeMap<u64, VecDeque<Post>>,
    /// What services have published and nobody has looked at yet.
    out: VecDeque<(ServiceName, Vec<Frame>)>,
}

impl Front {
    pub(crate) fn new(boot: u64, limits: Limits) -> Front {
        let limits = Arc::new(limits);
        let settings = DoorSettings {
            site: SITE.into(),
            root: crate::world::root(),
            boot,
            limits: limits.clone(),
        };
        Front {
            door: Door::new(settings),
            limits,
            connections: BTreeMap::new(),
            mailboxes: BTreeMap::new(),
            out: VecDeque::new(),
        }
    }

    /// Somebody connects, if anybody is let in yet.
    pub(crate) fn accept(&mut self, id: u64, peer: Peer, now: Now) -> bool {
        if !self.door.is_whole() {
            return false;
        }
        let connection = Connection::new(
            id,
            peer,
            format!("10.0.0.1:{id}"),
            crate::world::root(),
            self.limits.clone(),
            now,
        );
        self.connections.insert(id, connection);
        self.mailboxes.insert(id, VecDeque::new());
        true
    }

    /// Whether a connection reads now.
    pub(crate) fn wants(&self, id: u64) -> bool {
        self.connections
            .get(&id)
            .is_some_and(|connection| connection.wants_bytes() && !connection.has_wishes())
    }

    /// Bytes from a client.
    pub(crate) fn receive(&mut self, id: u64, bytes: &[u8], now: Now) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.receive(bytes, now);
        }
        self.serve(id, now);
    }

    fn serve(&mut self, id: u64, now: Now) {
        if let Some(connection) = self.connections.get_mut(&id) {
            self.door.serve(connection, now);
        }
        self.hand_out();
    }

    fn hand_out(&mut self) {
        for (to, post) in self.door.take_posts() {
            if let Some(mailbox) = self.mailboxes.get_mut(&to) {
                mailbox.push_back(post);
            }
        }
    }

    /// Connections with posts that they have not taken.
    pub(crate) fn with_mail(&self) -> Vec<u64> {
        let waiting = self.mailboxes.iter().filter(|(_, mailbox)| !mailbox.is_empty());
        waiting.map(|(id, _)| *id).collect()
    }

    /// A connection takes some of its posts.
    pub(crate) fn take_mail(&mut self, id: u64, most: usize, now: Now) {
        for _ in 0..most {
            let Some(post) = self.mailboxes.get_mut(&id).and_then(VecDeque::pop_front) else {
                break;
            };
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.post(post, now);
            }
        }
        self.serve(id, now);
    }

    /// What is to be written to a client.
    pub(crate) fn output(&mut self, id: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Some(connection) = self.connections.get_mut(&id) {
            loop {
                let output = connection.take_output();
                if output.is_empty() {
                    break;
                }
                bytes.extend_from_slice(&output);
            }
        }
        bytes
    }

    /// Connections that the server has ended.
    pub(crate) fn over(&self) -> Vec<u64> {
        let over = self.connections.iter().filter(|(_, c)| c.over().is_some());
        over.map(|(id, _)| *id).collect()
    }

    /// A connection is gone, by either side.
    pub(crate) fn close(&mut self, id: u64, now: Now) {
        let mailbox = self.mailboxes.remove(&id);
        let Some(mut connection) = self.connections.remove(&id) else {
            return;
        };
        connection.closed();
        for post in mailbox.into_iter().flatten() {
            connection.post(post, now);
        }
        self.door.part(&mut connection, now);
        let cause = connection.over().unwrap_or(session::Cause::Network);
        self.door.gone(id, cause, now);
        self.hand_out();
    }

    pub(crate) fn has(&self, id: u64) -> bool {
        self.connections.contains_key(&id)
    }

    /// A few times a second.
    pub(crate) fn tick(&mut self, now: Now) {
        self.door.tick(now);
        let all: Vec<_> = self.connections.keys().copied().collect();
        for id in all {
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.on_time(now);
            }
            self.serve(id, now);
        }
    }

    pub(crate) fn link_up(&mut self, service: ServiceName, now: Now) -> u64 {
        let link = self.door.link_up(service, now);
        self.hand_out();
        link
    }

    pub(crate) fn link_down(&mut self, service: ServiceName, leaving: Leaving) {
        self.door.link_down(service, leaving);
        self.hand_out();
    }

    /// An envelope for a service, and over which link.
    pub(crate) fn envelope_for(&mut self, service: ServiceName) -> Option<(u64, Vec<Frame>)> {
        let (link, frames) = self.door.take_frames(service, ENVELOPE.0, ENVELOPE.1);
        (!frames.is_empty()).then_some((link, frames))
    }

    /// An envelope from a service: in memory from now on.
    pub(crate) fn publish_out(&mut self, from: ServiceName, frames: Vec<Frame>) {
        self.out.push_back((from, frames));
    }

    pub(crate) fn has_out(&self) -> bool {
        !self.out.is_empty()
    }

    /// The oldest envelope goes to everybody it is for.
    pub(crate) fn deliver_out(&mut self, now: Now) {
        let Some((from, frames)) = self.out.pop_front() else {
            return;
        };
        for frame in frames {
            self.door.on_frame(from, frame, now);
        }
        self.hand_out();
    }
}
