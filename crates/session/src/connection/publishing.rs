//! A publish: checked, marked with what the transport vouches for, and passed to the door.

use contract::{
    Code, Leaf, Refusal,
    filter::Filter,
    id::{Principal, ServiceName},
    limits,
    v1::{Frame, PublishRejected, Purpose},
    verb::{Promise, Verb},
    wire::{self, Encoding},
};
use service::Now;

use super::{Connection, Forward, Open, Phase, Wish};
use crate::{
    cause::{Cause, Farewell},
    lane::Turn,
    policy,
    protocol::{Delivery, Publish, Reason, Will},
};

/// Longest content type and trace context that are passed on.
const PROPERTY_BYTES: usize = 128;

impl Connection {
    pub(super) fn on_publish(&mut self, publish: Publish, now: Now) {
        if publish.exactly_once {
            let text = "QoS 2 is not offered; use QoS 1 with a request id";
            return self.leave(Farewell::new(Reason::QosNotSupported, Cause::ProtocolError, text));
        }
        let Phase::Open(open) = &mut self.phase else {
            return;
        };
        // Before anything else: whatever would answer this publish would acknowledge the one that waits.
        if publish.packet_id.is_some_and(|id| open.acks.awaits(id)) {
            return self.on_repeat(&publish);
        }
        match check(&self.root, open, &publish) {
            Ok(verb) => self.accept(verb, publish, now),
            Err(refusal) => self.refuse_publish(&publish, &refusal),
        }
    }

    /// A publish with the packet id of one that waits: a duplicate joins it, and gets its PUBACK.
    fn on_repeat(&mut self, publish: &Publish) {
        if !publish.duplicate {
            let text = "a packet id is used again before its PUBACK";
            self.protocol.dismiss(Reason::ProtocolError, text);
            self.broken(Reason::ProtocolError, text.into());
        }
    }

    fn accept(&mut self, verb: &'static Verb, publish: Publish, now: Now) {
        let connection = self.id;
        let Phase::Open(open) = &mut self.phase else {
            return;
        };
        let packet_id = publish.packet_id;
        let frame = frame(open, publish, connection);
        if verb.promise == Promise::Receipt {
            self.wishes.push_back(Wish::Receipt {
                verb,
                frame: Box::new(frame),
            });
            if let Some(id) = packet_id {
                self.protocol.acknowledge(id, 0, "");
            }
            return;
        }
        if let Some(id) = packet_id {
            open.acks.expect(verb.service, id, now.mono_ms);
        }
        self.wishes.push_back(Wish::Forward(Box::new(Forward {
            verb,
            frame,
            packet_id,
            turn: Turn::First,
        })));
    }

    /// The final refusal of a publish that no service sees.
    pub(crate) fn refuse_publish(&mut self, publish: &Publish, refusal: &Refusal) {
        let what = match refusal.code {
            Code::Denied | Code::UnknownVerb => Some("publish-denied"),
            Code::TooLarge => Some("too-large"),
            _ => None,
        };
        if let Some(what) = what {
            let detail = publish.topic.chars().take(limits::TEXT_CHARS).collect();
            self.wishes.push_back(Wish::Notice { what, detail });
        }
        if let Some(id) = publish.packet_id {
            self.protocol
                .acknowledge(id, refusal.code.mqtt_reason(), &refusal.message);
        }
        if publish.packet_id.is_none() || !self.protocol.is_v5() {
            self.tell_refusal(&publish.topic, &publish.correlation, refusal);
        }
    }

    /// There may be room for what waited. What it may do can have changed meanwhile.
    pub(super) fn retry(&mut self) {
        let Phase::Open(open) = &mut self.phase else {
            return;
        };
        for forward in std::mem::take(&mut open.stalled) {
            let Phase::Open(open) = &mut self.phase else {
                return;
            };
            let caller = &open.caller.principal;
            match policy::publish(&self.root, caller, &open.standing, &forward.frame.topic) {
                Ok(_) => self.wishes.push_back(Wish::Forward(Box::new(Forward {
                    turn: Turn::Again,
                    ..forward
                }))),
                Err(refusal) => {
                    if let Some(id) = forward.packet_id {
                        self.settle(
                            forward.verb.service,
                            id,
                            refusal.code.mqtt_reason(),
                            refusal.message.clone(),
                        );
                    }
                    self.tell_refusal(&forward.frame.topic, &forward.frame.correlation, &refusal);
                }
            }
        }
    }

    /// Whether a request to this service waits: a later one must not overtake it.
    pub(crate) fn has_stalled(&self, service: ServiceName) -> bool {
        matches!(&self.phase, Phase::Open(open) if open.stalled.iter().any(|f| f.verb.service == service))
    }

    /// A QoS 0 request found the window full; there is nothing to hold it by.
    pub(crate) fn refuse_busy(&mut self, forward: Forward) {
        let refusal = Refusal::new(
            Code::Busy,
            "too much is under way; send it again, at QoS 1 it waits",
        );
        self.tell_refusal(&forward.frame.topic, &forward.frame.correlation, &refusal);
    }

    fn tell_refusal(&mut self, topic: &str, correlation: &[u8], refusal: &Refusal) {
        let Phase::Open(open) = &self.phase else { return };
        let message = PublishRejected {
            topic: topic.into(),
            code: refusal.code.word().into(),
            message: refusal.message.clone(),
            request_id: String::from_utf8_lossy(correlation).into_owned(),
        };
        self.wishes.push_back(Wish::Tell(Delivery {
            topic: self.root.down(
                &open.caller.principal,
                ServiceName::FrontDoor,
                "publish",
                Leaf::Rejected,
            ),
            payload: wire::encode(&message, Encoding::Json),
            content_type: Encoding::Json.content_type().into(),
            ..Delivery::default()
        }));
    }

    /// A will is a publish like any other, made by the door when the client is lost.
    pub(super) fn speak_will(&mut self, will: Will) {
        let connection = self.id;
        let Phase::Open(open) = &self.phase else { return };
        let publish = Publish {
            topic: will.topic,
            payload: will.payload,
            ..Publish::default()
        };
        if let Ok(verb) = check(&self.root, open, &publish) {
            let frame = frame(open, publish, connection);
            self.wishes.push_back(match verb.promise {
                Promise::Receipt => Wish::Receipt {
                    verb,
                    frame: Box::new(frame),
                },
                Promise::Durable => Wish::Forward(Box::new(Forward {
                    verb,
                    frame,
                    packet_id: None,
                    turn: Turn::First,
                })),
            });
        }
    }
}

fn frame(open: &Open, publish: Publish, connection: u64) -> Frame {
    let caller = &open.caller;
    let mut frame = Frame {
        topic: publish.topic,
        payload: publish.payload,
        correlation: publish.correlation,
        response_topic: publish.response_topic,
        content_type: publish.content_type,
        traceparent: publish.traceparent,
        batch: caller.batch.as_ref().map(ToString::to_string).unwrap_or_default(),
        connection,
        serial: caller.serial.clone(),
        ..Frame::default()
    };
    frame.set_purpose(Purpose::Request);
    frame
}

fn check(root: &contract::Root, open: &Open, publish: &Publish) -> Result<&'static Verb, Refusal> {
    let caller = &open.caller.principal;
    let verb = policy::publish(root, caller, &open.standing, &publish.topic)?;
    if publish.retain {
        return Err(Refusal::invalid(
            "retain",
            "a request is not retained; publish it without the retain flag",
        ));
    }
    if publish.payload.len() > verb.max_bytes {
        let message = format!("`{}` takes at most {} bytes", verb.name, verb.max_bytes);
        return Err(Refusal::new(Code::TooLarge, message).at("payload"));
    }
    check_properties(root, caller, publish)?;
    Ok(verb)
}

fn check_properties(root: &contract::Root, caller: &Principal, publish: &Publish) -> Result<(), Refusal> {
    if publish.correlation.len() > limits::REQUEST_ID_BYTES {
        let message = format!("correlation data has at most {} bytes", limits::REQUEST_ID_BYTES);
        return Err(Refusal::invalid("correlation_data", message));
    }
    let longest = publish.content_type.len().max(publish.traceparent.len());
    if longest > PROPERTY_BYTES {
        return Err(Refusal::invalid(
            "properties",
            format!("a property has at most {PROPERTY_BYTES} bytes"),
        ));
    }
    if publish.response_topic.is_empty() {
        return Ok(());
    }
    let plain = !publish.response_topic.contains(['+', '#']);
    let own = publish
        .response_topic
        .parse::<Filter>()
        .is_ok_and(|topic| root.own_down_covers(caller, &topic));
    if plain && own {
        return Ok(());
    }
    let message = format!("a response topic begins with {root}/{caller}/down/");
    Err(Refusal::invalid("response_topic", message))
}
