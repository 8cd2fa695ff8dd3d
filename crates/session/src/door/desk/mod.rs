//! What the front door answers by itself: the verbs under `up/front-door/`.

mod clients;
mod enrolling;
mod kick;
mod limits;

use bytes::Bytes;
use contract::{
    Code, Leaf, Refusal,
    id::{Id, Kind, Principal},
    v1::{self, Frame, Purpose},
    verb::Verb,
    wire::{self, Encoding},
};
use service::{Fault, Now};

use super::Door;
use crate::connection::{Forward, Post};

/// The kinds of those who connect.
const KINDS: [Kind; 4] = [Kind::Device, Kind::Claim, Kind::Operator, Kind::Integrator];

/// What a request comes to: its name, and the answer in its encoding.
type Answered = (String, Result<Bytes, Refusal>);

/// Reads a request, decides it, and puts its name into the answer.
macro_rules! answer {
    ($frame:expr, $Request:ty, |$asked:ident| $work:expr) => {
        match wire::decode::<$Request>(&$frame.payload, &$frame.content_type) {
            Ok($asked) => {
                let request_id = name($asked.request_id.clone(), $frame);
                let answer = $work.map(|mut reply| {
                    reply.request_id.clone_from(&request_id);
                    wire::encode(&reply, Encoding::of(&$frame.payload))
                });
                (request_id, answer)
            }
            Err(refusal) => (name(String::new(), $frame), Err(refusal)),
        }
    };
}

impl Door {
    /// Answers a request to the front door. The answer goes before the acknowledgement.
    pub(super) fn answer(&mut self, connection: u64, forward: Forward, now: Now) {
        let Some(who) = self
            .directory
            .get(connection)
            .map(|session| session.caller.principal.clone())
        else {
            return;
        };
        let Forward {
            verb,
            frame,
            packet_id,
            ..
        } = forward;
        let answered = self.decide(&who, verb.name, &frame, now);
        self.put_answer(&who, verb, frame, packet_id, answered, now);
    }

    /// Puts the answer to a request before whoever asked, and settles the request.
    fn put_answer(
        &mut self,
        who: &Principal,
        verb: &'static Verb,
        frame: Frame,
        packet_id: Option<u16>,
        (request_id, answer): Answered,
        now: Now,
    ) {
        let (encoding, connection) = (Encoding::of(&frame.payload), frame.connection);
        let (leaf, payload, reason, text) = match answer {
            Ok(payload) => (Leaf::Accepted, payload, 0, String::new()),
            Err(refusal) => {
                let payload = wire::encode(&refusal.to_message(&request_id), encoding);
                (
                    Leaf::Rejected,
                    payload,
                    refusal.code.mqtt_reason(),
                    refusal.message,
                )
            }
        };
        let mut reply = Frame {
            topic: self.root().down(who, verb.service, verb.name, leaf),
            payload,
            correlation: frame.correlation,
            response_topic: frame.response_topic,
            content_type: encoding.content_type().into(),
            connection,
            ..Frame::default()
        };
        reply.set_purpose(Purpose::Reply);
        self.deliver(verb.service, who, &reply, now);
        if let Some(packet_id) = packet_id {
            let settled = Post::Settled {
                service: verb.service,
                packet_id,
                reason,
                text,
            };
            self.posts.push_back((connection, settled));
        }
    }

    fn decide(&mut self, who: &Principal, verb: &str, frame: &Frame, now: Now) -> Answered {
        match verb {
            "clients" => answer!(frame, v1::ListClients, |asked| self.list_clients(&asked, now)),
            "client" => answer!(frame, v1::ShowClient, |asked| self.show_client(&asked, now)),
            "kick" => answer!(frame, v1::KickClient, |asked| self.kick(who, &asked, now)),
            "limits" => answer!(frame, v1::ListLimits, |asked| Ok::<_, Refusal>(
                self.list_limits(now)
            )),
            "listeners" => answer!(frame, v1::ListListeners, |asked| Ok::<_, Refusal>(
                self.list_listeners()
            )),
            _ => {
                let refusal = Refusal::new(Code::UnknownVerb, "the front door has no such verb");
                (name(String::new(), frame), Err(refusal))
            }
        }
    }
}

/// The name of a request: from the payload, else the correlation data.
fn name(in_payload: String, frame: &Frame) -> String {
    match in_payload.is_empty() {
        true => String::from_utf8(frame.correlation.to_vec())
            .unwrap_or_else(|_| frame.correlation.escape_ascii().to_string()),
        false => in_payload,
    }
}

/// A kind by its word; the empty word names none.
fn kind(word: &str) -> Result<Option<Kind>, Refusal> {
    if word.is_empty() {
        return Ok(None);
    }
    let kind = Kind::from_word(word).filter(|kind| KINDS.contains(kind));
    kind.map(Some).ok_or_else(|| {
        Refusal::invalid("kind", "this is no kind of those who connect").allowing(KINDS.map(Kind::word))
    })
}

/// Whom a request is about.
fn principal(word: &str, id: &str) -> Result<Principal, Refusal> {
    let kind = kind(word)?.ok_or_else(|| {
        Refusal::invalid("kind", "whose sessions? name a kind").allowing(KINDS.map(Kind::word))
    })?;
    let id = id
        .parse::<Id>()
        .map_err(|bad| Refusal::invalid("id", bad.to_string()))?;
    Ok(Principal::new(kind, id))
}

fn refusal(fault: Fault) -> Refusal {
    match fault {
        Fault::Refused(refusal) => refusal,
        Fault::Store(error) => Refusal::new(Code::Internal, error.to_string()),
    }
}
