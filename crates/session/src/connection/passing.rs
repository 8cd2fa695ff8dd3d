//! How a session comes into a connection, and how it leaves it.

use service::{
    Now,
    planted::{self, Mistake},
};

use super::{Admitted, Connection, Flight, Open, Phase, Post, Remains, flight::Sent};
use crate::{
    cause::Cause,
    limits::Limits,
    peer::Caller,
    protocol::{Hello, Protocol, Welcome},
};
use contract::Kind;

/// For how long a session is kept, seconds, of whoever asks for so much. Claims have none that is kept: any
/// holder of their batch may choose any id.
pub(super) fn granted(asked_s: u32, caller: &Caller, limits: &Limits) -> u32 {
    match caller.principal.kind {
        Kind::Claim => 0,
        _ => asked_s.min(limits.session_expiry_s),
    }
}

impl Connection {
    /// The door lets it in.
    pub(crate) fn admit(&mut self, admitted: Admitted, now: Now) {
        let Phase::Asking { hello, .. } =
            std::mem::replace(&mut self.phase, Phase::Over(Cause::Network, None))
        else {
            return;
        };
        let longest = self.limits.keep_alive_s;
        let asked = hello.keep_alive_s;
        let imposed = (asked == 0 || asked > longest).then_some(longest);
        let keep_alive_s = if hello.v5 {
            imposed.unwrap_or(asked)
        } else {
            asked.max(u16::from(asked == 0) * longest)
        };
        self.protocol.take_wishes(&hello);
        let welcome = self.words_of_welcome(&hello, &admitted, imposed);
        self.protocol.welcome(&welcome);
        let expiry_s = granted(hello.expiry_s, &admitted.caller, &self.limits);
        let mut open = Box::new(Open {
            caller: admitted.caller,
            standing: admitted.standing,
            policy: admitted.policy,
            keep_alive_ms: u64::from(keep_alive_s) * 1500,
            heard_ms: now.mono_ms,
            choked_ms: None,
            pace: super::Pace::default(),
            acks: super::Acks::default(),
            queue: super::Queue::default(),
            stalled: std::collections::VecDeque::new(),
            will: hello.will,
            asked_expiry_s: hello.expiry_s,
            expiry_s,
            flight: (expiry_s > 0).then(Box::default),
        });
        if let Some(remains) = admitted.remains {
            open.resume(*remains, &mut self.protocol);
        }
        self.phase = Phase::Open(open);
        self.flush();
        let stash = std::mem::take(&mut self.stash);
        self.read(&stash, now);
    }

    fn words_of_welcome(&self, hello: &Hello, admitted: &Admitted, keep_alive_s: Option<u16>) -> Welcome {
        let caller = &admitted.caller;
        let expiry_s = granted(hello.expiry_s, caller, &self.limits);
        Welcome {
            session_present: admitted.remains.is_some(),
            assigned_client_id: admitted.assigned_client_id.clone(),
            receive_maximum: self.limits.receive_maximum,
            keep_alive_s,
            expiry_s: (expiry_s != hello.expiry_s).then_some(expiry_s),
            topic_aliases: self.limits.topic_aliases,
            response_information: hello
                .asks_response_information
                .then(|| format!("{}/{}/down/", self.root, caller.principal)),
            may_share: caller.principal.kind == Kind::Integrator,
        }
    }

    /// It is over; what outlives it is put aside.
    pub(super) fn phase_over(&mut self, cause: Cause, why: &str) {
        if self.over().is_some() {
            return;
        }
        let parting = Box::new(self.parting(why));
        let phase = std::mem::replace(&mut self.phase, Phase::Over(cause, Some(parting)));
        let Phase::Open(mut open) = phase else { return };
        let outlives = open.expiry_s > 0;
        // Who is taken over by itself has not been lost.
        let will = open.will.take().filter(|_| cause != Cause::Takeover);
        let (later, now) = will.map_or((None, None), |will| match will.delay_s > 0 && outlives {
            true => (Some(will), None),
            false => (None, Some(will)),
        });
        if let Some(will) = now {
            let wish = super::spoken(
                *will,
                &*open.policy,
                &self.root,
                &open.caller,
                &open.standing,
                self.id,
                self.wall_ms,
            );
            self.wishes.extend(wish);
        }
        if outlives {
            self.remains = Some(Box::new(open.outlive(later)));
        }
    }

    /// What came for it when it was over already.
    pub(super) fn post_late(&mut self, post: Post) {
        let Some(remains) = &mut self.remains else {
            return;
        };
        match post {
            Post::Settled {
                service,
                packet_id,
                reason,
                text,
            } => remains.acks.settle(service, packet_id, reason, text),
            Post::Deliver(delivery) => remains.deliver(delivery),
            _ => {}
        }
    }

    /// A session came for it when it was over already: it is put aside again.
    pub(super) fn pass_back(&mut self, admitted: Admitted) {
        self.remains = admitted.remains;
    }

    /// What outlives it, once.
    pub(crate) fn take_remains(&mut self) -> Option<Box<Remains>> {
        self.remains.take()
    }

    /// A publish that was accepted has reached nobody, and will not.
    pub(crate) fn lose(&mut self, service: contract::ServiceName, packet_id: u16) {
        if let Phase::Open(open) = &mut self.phase {
            open.acks.forget(service, packet_id);
        }
        if let Some(remains) = &mut self.remains {
            remains.acks.forget(service, packet_id);
        }
    }
}

impl Open {
    /// Goes on where an earlier connection ended.
    fn resume(&mut self, remains: Remains, protocol: &mut Protocol) {
        protocol.remember_received(remains.acks.received());
        let flight = match planted::is(Mistake::ResumedAndForgotten) {
            true => Flight::again(std::collections::VecDeque::new()),
            false => Flight::again(remains.flight),
        };
        for packet_id in flight.packet_ids() {
            protocol.reserve(packet_id);
        }
        self.acks = remains.acks;
        self.queue = remains.queue;
        self.flight = Some(Box::new(flight));
    }

    fn outlive(self: Box<Self>, will: Option<Box<crate::protocol::Will>>) -> Remains {
        let mut acks = self.acks;
        for forward in &self.stalled {
            if let Some(packet_id) = forward.packet_id {
                acks.forget(forward.verb.service, packet_id);
            }
        }
        acks.outlive();
        let mut queue = self.queue;
        queue.retain(|delivery| delivery.quality.is_acknowledged());
        Remains {
            known: self.flight.as_ref().is_some_and(|flight| flight.is_known()),
            acks,
            flight: self.flight.map(|flight| flight.into_left()).unwrap_or_default(),
            queue,
            will,
            expiry_s: self.expiry_s,
        }
    }

    /// Sends the next message. False: there is none, or it must wait.
    pub(super) fn send_next(&mut self, protocol: &mut Protocol, wall_ms: i64) -> bool {
        if let Some(flight) = self.flight.as_mut().filter(|flight| flight.has_unsent()) {
            return protocol.has_room() && send_again(flight, protocol, wall_ms);
        }
        let Some(next) = self.queue.peek() else {
            return false;
        };
        if next.quality.is_acknowledged() && !protocol.has_room() {
            return false;
        }
        let Some(delivery) = self.queue.pop() else {
            return false;
        };
        if delivery.has_expired(wall_ms) {
            return true;
        }
        // What the client cannot take (MQTT-3.1.2-25) is as if it had been sent.
        let sent = protocol.publish(&delivery, wall_ms).filter(|id| *id != 0);
        if let (Some(packet_id), Some(flight)) = (sent, &mut self.flight) {
            flight.push(Sent {
                packet_id,
                delivery: Some(delivery),
            });
        }
        true
    }

    /// The client has answered a message for the last time.
    pub(super) fn done(&mut self, packet_id: u16) {
        if let Some(flight) = &mut self.flight {
            flight.done(packet_id);
        }
    }

    /// The client has a message; its packet id is still in use.
    pub(super) fn received(&mut self, packet_id: u16) {
        if let Some(flight) = &mut self.flight {
            flight.received(packet_id);
        }
    }
}

fn send_again(flight: &mut Flight, protocol: &mut Protocol, wall_ms: i64) -> bool {
    let Some(sent) = flight.next() else {
        return false;
    };
    let gone = match &sent.delivery {
        Some(delivery) => protocol.publish_again(sent.packet_id, delivery, wall_ms),
        None => {
            protocol.release_again(sent.packet_id);
            true
        }
    };
    if gone {
        flight.push(sent);
    }
    true
}
