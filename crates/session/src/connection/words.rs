//! What a connection asks of the door, and what the door sends to it.

use std::sync::Arc;

use contract::{
    id::ServiceName,
    v1::Frame,
    verb::{Promise, Verb},
};

use super::remains::Remains;
use crate::{
    cause::Farewell,
    lane::Turn,
    meter::Limit,
    peer::{Caller, Credential},
    policy::{Policy, Standing},
    protocol::{Delivery, Hello, Subscription},
};

/// What a connection asks of the door.
#[derive(Debug)]
pub(crate) enum Wish {
    /// To be let in.
    Admit(Box<Hello>),
    /// That a request reaches its service.
    Forward(Box<Forward>),
    /// That the front door answers.
    Ask(Box<Forward>),
    /// That a limit which it met is counted.
    Met(Limit),
    /// That a message without a promise reaches its service.
    Receipt { verb: &'static Verb, frame: Box<Frame> },
    /// That whoever is granted it gets what a device says.
    HandOut(Box<HandOut>),
    /// To be sent what matches.
    Subscribe {
        packet_id: u16,
        subscriptions: Vec<Subscription>,
    },
    /// Not to be sent it any more.
    Unsubscribe { packet_id: u16, filters: Vec<String> },
    /// That its own subscriptions decide whether it is told of a refusal.
    Tell(Delivery),
    /// That monitoring hears what it was told when it was sent away.
    Farewell(String),
    /// That somebody hears of what it tried.
    Notice { what: &'static str, detail: String },
}

impl Wish {
    /// The publish that is owed an acknowledgement.
    pub(crate) fn owed(&self) -> Option<(ServiceName, u16)> {
        match self {
            Wish::Forward(forward) | Wish::Ask(forward) => {
                forward.packet_id.map(|id| (forward.verb.service, id))
            }
            Wish::HandOut(hand_out) => hand_out.packet_id.map(|id| (ServiceName::FrontDoor, id)),
            _ => None,
        }
    }

    /// What a publish that a service, or the front door, answers wishes.
    pub(super) fn of(verb: &'static Verb, forward: Forward) -> Wish {
        if verb.service == ServiceName::FrontDoor {
            return Wish::Ask(Box::new(forward));
        }
        match verb.promise {
            Promise::Receipt => Wish::Receipt {
                verb,
                frame: Box::new(forward.frame),
            },
            Promise::Durable | Promise::Delivery => Wish::Forward(Box::new(forward)),
        }
    }
}

/// What a device says to whoever is granted it, and how that is acknowledged.
#[derive(Debug)]
pub(crate) struct HandOut {
    pub(crate) delivery: Delivery,
    pub(crate) packet_id: Option<u16>,
}

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Forward {
    pub(crate) verb: &'static Verb,
    pub(crate) frame: Frame,
    pub(crate) packet_id: Option<u16>,
    /// Whether it has waited for room.
    pub(crate) turn: Turn,
}

/// What the door sends to a connection.
#[derive(Debug)]
pub enum Post {
    /// It is let in, now that its session has parted from an earlier connection.
    Admitted(Admission),
    /// Its login is one; it is let in as somebody who has logged in.
    Verified(Verified),
    /// The publish of this packet id has come to its end.
    Settled {
        /// Which service's order it belongs to.
        service: ServiceName,
        /// The publish.
        packet_id: u16,
        /// MQTT 5's reason code; 0 is success.
        reason: u8,
        /// The refusal's sentence.
        text: String,
    },
    /// A message.
    Deliver(Delivery),
    /// What it may do has changed.
    Standing(Arc<Standing>),
    /// It has to go.
    Leave(Farewell),
    /// There is room in the window again.
    Retry,
}

/// What somebody was found to have logged in with.
#[derive(Debug)]
pub struct Verified(pub(crate) Credential);

/// The way in.
#[derive(Debug)]
pub struct Admission(pub(crate) Box<Admitted>);

/// What an admitted client gets.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) caller: Arc<Caller>,
    pub(crate) standing: Arc<Standing>,
    pub(crate) policy: Arc<dyn Policy>,
    pub(crate) assigned_client_id: Option<String>,
    /// What an earlier connection has left; without it a session begins.
    pub(crate) remains: Option<Box<Remains>>,
}
