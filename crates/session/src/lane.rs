//! What lies between the front door and one service: one ordered window of requests that wait for their
//! answer, and beside it what is passed on without a promise.
//!
//! Nothing goes out while the service has no link. On a new link the whole window is sent again, in order,
//! before anything new. A request that kills its service must not do so for ever: after two deaths on one
//! window its requests go one at a time, and the one that kills again is sent marked `suspect`.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use contract::v1::{Frame, Purpose, RequestNumber};
use prost::Message;
use service::planted::{self, Mistake};

use crate::{limits::Limits, meter::Limit};

/// What is passed on and not sent yet, beyond which facts are dropped: followers notice the gap and ask.
const PASSING: usize = 65_536;
/// Deaths of a service on one window until its requests go one at a time.
const DEATHS: u32 = 2;

/// Whoever waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A connection; with a packet id, an acknowledgement is owed.
    Connection { connection: u64, packet_id: Option<u16> },
    /// A service or the front door itself: the reply is all.
    Inside,
}

/// Whether a request comes for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Yes.
    First,
    /// It has waited for room.
    Again,
}

/// How a service's connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// It said goodbye: it stops, or its disk is full and it will be back.
    Goodbye,
    /// It is simply gone.
    Lost,
}

struct Slot {
    frame: Frame,
    origin: Origin,
    bytes: usize,
    /// How often the service died while this was the only request it had.
    killed: u32,
}

enum Item {
    /// The slot of this number.
    Request(u64),
    /// Something that is not sent again.
    Passing(Box<Frame>),
}

/// Whose message without a promise it is, and its verb.
type Sender = (String, &'static str);

impl Item {
    fn is_passing(&self) -> bool {
        matches!(self, Item::Passing(_))
    }
}

/// There is no room; the request comes back, with the limit that it met itself.
#[derive(Debug)]
pub(crate) struct Full(pub(crate) Box<Frame>, pub(crate) Option<Limit>);

/// One service's lane.
pub(crate) struct Lane {
    boot: u64,
    /// The number of the first slot.
    base: u64,
    /// Slots by number; `None` where the answer has come.
    slots: VecDeque<Option<Slot>>,
    waiting: usize,
    bytes: usize,
    unsent: VecDeque<Item>,
    /// Sent on this link, and not answered.
    out: usize,
    linked: bool,
    /// How often the service has been linked.
    links: u64,
    deaths: u32,
    /// The highest number that was ever sent, and that had been at the last death: care ends behind it.
    sent_to: u64,
    careful_to: u64,
    /// The newest of each sender's messages without a promise.
    receipts: HashMap<Arc<Sender>, Frame>,
    /// Whose turn it is: whoever has waited longest.
    receipts_turn: VecDeque<Arc<Sender>>,
    window: usize,
    window_bytes: usize,
    receipts_max: usize,
    /// Connections that found the window full.
    stalled: VecDeque<u64>,
    is_stalled: BTreeSet<u64>,
}

impl Lane {
    pub(crate) fn new(boot: u64, limits: &Limits) -> Lane {
        Lane {
            boot,
            base: 1,
            slots: VecDeque::new(),
            waiting: 0,
            bytes: 0,
            unsent: VecDeque::new(),
            out: 0,
            linked: false,
            links: 0,
            deaths: 0,
            sent_to: 0,
            careful_to: 0,
            receipts: HashMap::new(),
            receipts_turn: VecDeque::new(),
            window: limits.window,
            window_bytes: limits.window_bytes,
            receipts_max: limits.receipts,
            stalled: VecDeque::new(),
            is_stalled: BTreeSet::new(),
        }
    }

    /// Whether the service can be reached.
    pub(crate) fn is_linked(&self) -> bool {
        self.linked
    }

    /// Requests that wait for their answer.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Adds a request. Parts of Muster are few and never refused. Whoever stalled before comes first: a new
    /// request of somebody else does not take its place.
    pub(crate) fn push(&mut self, mut frame: Frame, origin: Origin, turn: Turn) -> Result<u64, Full> {
        let bytes = frame.payload.len() + frame.topic.len() + 128;
        let met = match () {
            () if self.waiting >= self.window => Some(Limit::Window),
            () if self.bytes + bytes > self.window_bytes => Some(Limit::WindowBytes),
            () => None,
        };
        let full = met.is_some() || (turn == Turn::First && !self.stalled.is_empty());
        if full && origin != Origin::Inside {
            return Err(Full(Box::new(frame), met));
        }
        let number = self.base + self.slots.len() as u64;
        frame.request = Some(RequestNumber {
            boot: self.boot,
            number,
        });
        self.slots.push_back(Some(Slot {
            frame,
            origin,
            bytes,
            killed: 0,
        }));
        self.waiting += 1;
        self.bytes += bytes;
        self.unsent.push_back(Item::Request(number));
        Ok(number)
    }

    /// Remembers a connection that found the window full; it is told when there is room.
    pub(crate) fn stall(&mut self, connection: u64) {
        if self.is_stalled.insert(connection) {
            self.stalled.push_back(connection);
        }
    }

    /// Connections that may try again.
    pub(crate) fn take_stalled(&mut self) -> Vec<u64> {
        let room = self.window.saturating_sub(self.waiting);
        let bytes = self.window_bytes.saturating_sub(self.bytes);
        if room < self.window / 8 || bytes < self.window_bytes / 8 {
            return Vec::new();
        }
        let n = room.min(self.stalled.len());
        let woken: Vec<_> = self.stalled.drain(..n).collect();
        for id in &woken {
            self.is_stalled.remove(id);
        }
        woken
    }

    /// Passes something on, if the service is there to get it.
    pub(crate) fn pass(&mut self, frame: Frame) {
        let fact = matches!(frame.purpose(), Purpose::Fact | Purpose::Beacon);
        if self.linked && !(fact && self.unsent.len() >= PASSING) {
            self.unsent.push_back(Item::Passing(Box::new(frame)));
        }
    }

    /// Keeps the newest message of a sender and verb. False: there are too many senders.
    pub(crate) fn receipt(&mut self, sender: String, verb: &'static str, frame: Frame) -> bool {
        let room = self.receipts.len() < self.receipts_max;
        let sender = (sender, verb);
        if let Some(kept) = self.receipts.get_mut(&sender) {
            *kept = frame;
            return true;
        }
        if room {
            let sender = Arc::new(sender);
            self.receipts_turn.push_back(sender.clone());
            self.receipts.insert(sender, frame);
        }
        room
    }

    /// Takes the slot whose answer has come.
    pub(crate) fn release(&mut self, number: RequestNumber) -> Option<Origin> {
        if number.boot != self.boot {
            return None;
        }
        let place = usize::try_from(number.number.checked_sub(self.base)?).ok()?;
        let slot = self.slots.get_mut(place)?.take()?;
        self.waiting -= 1;
        self.bytes -= slot.bytes;
        self.out = self.out.saturating_sub(1);
        while matches!(self.slots.front(), Some(None)) {
            self.slots.pop_front();
            self.base += 1;
        }
        if self.waiting == 0 || self.base > self.careful_to {
            self.deaths = 0;
        }
        Some(slot.origin)
    }

    /// What is to be sent now, up to so many frames or about so many bytes.
    pub(crate) fn take(&mut self, frames: usize, bytes: usize) -> Vec<Frame> {
        let mut taken = Vec::new();
        let mut size = 0;
        if !self.linked {
            return taken;
        }
        while taken.len() < frames && size < bytes {
            let Some(frame) = self.next() else { break };
            size += frame.encoded_len();
            taken.push(frame);
        }
        taken
    }

    fn next(&mut self) -> Option<Frame> {
        loop {
            if self.is_blocked() && matches!(self.unsent.front(), Some(Item::Request(_))) {
                return self.next_passing().or_else(|| self.next_receipt());
            }
            match self.unsent.pop_front() {
                Some(Item::Passing(frame)) => return Some(*frame),
                Some(Item::Request(number)) => {
                    let place = (number - self.base.min(number)) as usize;
                    let Some(Some(slot)) = self.slots.get(place).filter(|_| number >= self.base) else {
                        continue;
                    };
                    self.out += 1;
                    self.sent_to = self.sent_to.max(number);
                    let suspect = slot.killed > 0;
                    return Some(Frame {
                        suspect,
                        ..slot.frame.clone()
                    });
                }
                None => return self.next_receipt(),
            }
        }
    }

    /// What is passed on goes ahead of requests that must wait: the answer to the one that is out may depend
    /// on it.
    fn next_passing(&mut self) -> Option<Frame> {
        let passing = self.unsent.iter().position(Item::is_passing)?;
        match self.unsent.remove(passing)? {
            Item::Passing(frame) => Some(*frame),
            Item::Request(_) => None,
        }
    }

    fn next_receipt(&mut self) -> Option<Frame> {
        self.receipts.remove(&self.receipts_turn.pop_front()?)
    }

    /// Whether there may be something to send.
    pub(crate) fn has_work(&self) -> bool {
        let sendable = if self.is_blocked() {
            self.unsent.iter().any(Item::is_passing)
        } else {
            !self.unsent.is_empty()
        };
        self.linked && (sendable || !self.receipts.is_empty())
    }

    /// Requests go one at a time, and one is out.
    fn is_blocked(&self) -> bool {
        self.is_careful() && self.out > 0
    }

    fn is_careful(&self) -> bool {
        self.deaths >= DEATHS
    }

    /// Forgets what a connection that is gone asked at QoS 0: nobody holds it, nobody waits for it.
    pub(crate) fn forget_unheld(&mut self, gone: u64) {
        let unheld = |slot: &&Slot| matches!(slot.origin, Origin::Connection { connection, packet_id: None } if connection == gone);
        let numbers: Vec<_> = self
            .slots
            .iter()
            .flatten()
            .filter(unheld)
            .filter_map(|s| s.frame.request)
            .collect();
        for number in numbers {
            self.release(number);
        }
    }

    /// A session goes on over another connection: what it has asked at QoS 1 or 2 is answered there.
    pub(crate) fn redirect(&mut self, from: u64, to: u64) {
        for slot in self.slots.iter_mut().flatten() {
            if let Origin::Connection {
                connection,
                packet_id: Some(_),
            } = &mut slot.origin
                && *connection == from
            {
                *connection = to;
            }
        }
    }

    /// Forgets requests of the front door's own that have lost their meaning.
    pub(crate) fn forget(&mut self, outdated: impl Fn(&Frame) -> bool) {
        let own = self.slots.iter().flatten().filter(|s| s.origin == Origin::Inside);
        let numbers: Vec<_> = own
            .filter(|s| outdated(&s.frame))
            .filter_map(|s| s.frame.request)
            .collect();
        for number in numbers {
            self.release(number);
        }
    }

    /// The number of the present link.
    pub(crate) fn link(&self) -> u64 {
        self.links
    }

    /// The service is there: the whole window goes out again.
    pub(crate) fn link_up(&mut self) {
        self.linked = true;
        self.links += 1;
        self.out = 0;
        self.unsent = (0..self.slots.len() as u64)
            .map(|n| Item::Request(self.base + n))
            .collect();
        self.unsent.retain(|item| match item {
            Item::Request(number) => self.slots[(number - self.base) as usize].is_some(),
            Item::Passing(_) => true,
        });
        if planted::is(Mistake::WindowDisordered) {
            self.unsent.make_contiguous().reverse();
        }
        if planted::is(Mistake::WindowForgotten) {
            self.unsent.clear();
        }
    }

    /// What was added last goes first.
    pub(crate) fn hurry_last(&mut self) {
        if let Some(last) = self.unsent.pop_back() {
            self.unsent.push_front(last);
        }
    }

    /// The service is gone. If it had requests and did not say goodbye, they may be why.
    pub(crate) fn link_down(&mut self, leaving: Leaving) {
        if !self.linked {
            return;
        }
        self.linked = false;
        if self.out > 0 && leaving == Leaving::Lost {
            if self.is_careful()
                && self.out == 1
                && let Some(slot) = self.slots.iter_mut().flatten().next()
            {
                slot.killed += 1;
            }
            self.deaths += 1;
            self.careful_to = self.sent_to;
        }
        self.out = 0;
        self.unsent.retain(|item| matches!(item, Item::Request(_)));
    }
}
