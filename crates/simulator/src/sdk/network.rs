//! The SDK's lines: what it says waits here for the world to carry it, and what comes back waits for the SDK.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{Poll, Waker},
};

use bytes::Bytes;
use client::{Cause, Ear, Identity, Line, Met, Network, Options, Soon, Unsaid};
use contract::{Kind, Principal};
use parking_lot::Mutex;
use service::Entropy;

use crate::dice::Dice;

/// What waits to be sent on a line, at most.
const QUEUE: usize = 256;

/// The lines of one device. Clones are the same.
#[derive(Clone)]
pub(crate) struct Lines(Arc<Mutex<State>>);

struct State {
    lines: BTreeMap<u64, Wire>,
    next: u64,
    dice: Dice,
}

/// One line, as both sides see it.
struct Wire {
    who: Principal,
    serial: String,
    not_after_ms: i64,
    client_id: String,
    stage: Stage,
    said: VecDeque<Say>,
    met: VecDeque<Met>,
    waker: Option<Waker>,
    is_dropped: bool,
}

#[derive(PartialEq, Eq)]
enum Stage {
    /// Nobody has asked for a connection.
    Idle,
    /// It wants one.
    Wanted,
    /// The world has a socket for it.
    Taken,
}

/// What the SDK says on a line.
pub(crate) enum Say {
    Publish {
        name: Bytes,
        topic: String,
        payload: Bytes,
    },
    Subscribe(String),
    Leave,
}

/// Who wants a connection.
pub(crate) struct Wanted {
    pub(crate) line: u64,
    pub(crate) who: Principal,
    pub(crate) serial: String,
    pub(crate) not_after_ms: i64,
    pub(crate) client_id: String,
}

impl Lines {
    pub(crate) fn new(dice: Dice) -> Lines {
        Lines(Arc::new(Mutex::new(State {
            lines: BTreeMap::new(),
            next: 0,
            dice,
        })))
    }

    /// The device is off: all lines with it.
    pub(crate) fn clear(&self) {
        self.0.lock().lines.clear();
    }

    /// A line that wants a connection is taken.
    pub(crate) fn take_wanted(&self) -> Option<Wanted> {
        let mut state = self.0.lock();
        let wants = |wire: &&mut Wire| wire.stage == Stage::Wanted && !wire.is_dropped;
        let (line, wire) = state
            .lines
            .iter_mut()
            .map(|(n, w)| (*n, w))
            .find(|(_, w)| wants(w))?;
        wire.stage = Stage::Taken;
        Some(Wanted {
            line,
            who: wire.who.clone(),
            serial: wire.serial.clone(),
            not_after_ms: wire.not_after_ms,
            client_id: wire.client_id.clone(),
        })
    }

    /// The next that is said; `None` of nothing. A line that nobody holds any more leaves.
    pub(crate) fn take_said(&self, line: u64) -> Option<Say> {
        let mut state = self.0.lock();
        match state.lines.get_mut(&line) {
            Some(wire) if !wire.is_dropped => wire.said.pop_front(),
            _ => Some(Say::Leave),
        }
    }

    /// Something is met on a line.
    pub(crate) fn meet(&self, line: u64, met: Met) {
        let mut state = self.0.lock();
        if let Some(wire) = state.lines.get_mut(&line) {
            wire.met.push_back(met);
            if let Some(waker) = wire.waker.take() {
                waker.wake();
            }
        }
    }

    /// A line's connection is gone; it asks for the next when it wants one.
    pub(crate) fn lose(&self, line: u64, why: &str, cause: Cause) {
        let taken = {
            let mut state = self.0.lock();
            let wire = state
                .lines
                .get_mut(&line)
                .filter(|wire| wire.stage == Stage::Taken);
            wire.map(|wire| wire.stage = Stage::Idle).is_some()
        };
        if taken {
            let why = why.to_owned();
            self.meet(line, Met::Lost { why, cause });
        }
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lines")
    }
}

impl Network for Lines {
    fn open(
        &self,
        _endpoint: &client::Endpoint,
        identity: &Identity,
        options: &Options,
    ) -> (Arc<dyn Line>, Box<dyn Ear>) {
        let mut state = self.0.lock();
        state.next += 1;
        let line = state.next;
        let id = &identity.who.id;
        let client_id = match options.suffix.as_str() {
            "" => id.to_string(),
            suffix => format!("{id}:{suffix}"),
        };
        let wire = Wire {
            who: identity.who.clone(),
            serial: identity.serial.clone(),
            not_after_ms: identity.not_after_ms,
            client_id,
            stage: Stage::Idle,
            said: VecDeque::new(),
            met: VecDeque::new(),
            waker: None,
            is_dropped: false,
        };
        state.lines.insert(line, wire);
        (
            Arc::new(Mouth(self.clone(), line)),
            Box::new(Listener(self.clone(), line)),
        )
    }

    fn random(&self, bytes: &mut [u8]) {
        self.0.lock().dice.fill(bytes);
    }
}

struct Mouth(Lines, u64);

impl Mouth {
    fn say(&self, say: Say) -> Result<(), Unsaid> {
        let mut state = self.0.0.lock();
        let wire = state.lines.get_mut(&self.1).filter(|wire| !wire.is_dropped);
        let wire = wire.ok_or(Unsaid::Closed)?;
        if wire.said.len() >= QUEUE {
            return Err(Unsaid::Full);
        }
        wire.said.push_back(say);
        Ok(())
    }
}

impl Line for Mouth {
    fn publish(&self, name: &Bytes, topic: &str, payload: &Bytes) -> Result<(), Unsaid> {
        self.say(Say::Publish {
            name: name.clone(),
            topic: topic.to_owned(),
            payload: payload.clone(),
        })
    }

    fn subscribe(&self, filter: &str) -> Result<(), Unsaid> {
        self.say(Say::Subscribe(filter.to_owned()))
    }

    fn leave(&self) -> Soon<'_, ()> {
        let _ = self.say(Say::Leave);
        Box::pin(std::future::ready(()))
    }
}

struct Listener(Lines, u64);

impl Ear for Listener {
    fn next(&mut self) -> Soon<'_, Met> {
        Box::pin(poll_fn(|cx| {
            let mut state = self.0.0.lock();
            let Some(wire) = state.lines.get_mut(&self.1) else {
                return Poll::Ready(Met::Left);
            };
            if let Some(met) = wire.met.pop_front() {
                return Poll::Ready(met);
            }
            if wire.stage == Stage::Idle {
                wire.stage = Stage::Wanted;
            }
            wire.waker = Some(cx.waker().clone());
            Poll::Pending
        }))
    }

    fn forget(&mut self) {
        let mut state = self.0.0.lock();
        if let Some(wire) = state.lines.get_mut(&self.1) {
            wire.said.clear();
            wire.met.clear();
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        if let Some(wire) = state.lines.get_mut(&self.1) {
            wire.is_dropped = true;
        }
    }
}

/// Whether a principal comes with its batch's certificate.
pub(crate) fn is_claim(who: &Principal) -> bool {
    who.kind == Kind::Claim
}
