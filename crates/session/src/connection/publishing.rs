//! A publish: checked, marked with what the transport vouches for, and passed to the door.

use std::sync::Arc;

use contract::{
    Code, Leaf, Refusal,
    filter::Filter,
    id::{Kind, Principal, ServiceName},
    limits, notice,
    topic::measure,
    v1::{Frame, PublishRejected, Purpose},
    verb::{Audit, Promise, Verb},
    wire::{self, Encoding},
};
use service::Now;

use super::{Connection, Forward, HandOut, Phase, Wish, acks::Repeat};
use crate::{
    cause::{Cause, Farewell},
    lane::Turn,
    limits::Limits,
    meter::Limit,
    peer::Caller,
    policy::{Policy, Standing},
    protocol::{Delivery, Extras, Known, Passed, Publish, Quality, Reason},
};

/// Longest content type and trace context that are passed on.
const PROPERTY_BYTES: usize = 128;

impl Connection {
    pub(super) fn on_publish(&mut self, publish: Publish, now: Now) {
        let Phase::Open(open) = &mut self.phase else {
            return;
        };
        // Before anything else: whatever would answer this publish would acknowledge the one that waits.
        if let Some(id) = publish.packet_id {
            match open.acks.meet(id, &publish, now.mono_ms) {
                Repeat::None => {}
                repeat => return self.on_repeat(id, &repeat),
            }
            let exactly_once = publish.quality == Quality::ExactlyOnce;
            if exactly_once && open.acks.received_len() >= self.limits.exactly_once {
                self.met(Limit::ExactlyOnce);
                let text = "too many packet ids wait for their PUBREL";
                return self.leave(Farewell::new(Reason::ReceiveMaximum, Cause::ProtocolError, text));
            }
        }
        if let Some(Beyond { limit, refusal }) = beyond(&publish, &self.limits) {
            self.met(limit);
            return self.refuse_publish(&publish, &refusal);
        }
        match check(&*open.policy, &self.root, &open.caller, &open.standing, &publish) {
            Ok(verb) => self.accept(verb, publish, now),
            Err(refusal) => self.refuse_publish(&publish, &refusal),
        }
    }

    /// A publish at QoS 2 whose packet id the library knows.
    pub(super) fn on_repeated(&mut self, packet_id: u16, duplicate: bool, now: Now) {
        let Phase::Open(open) = &mut self.phase else {
            return;
        };
        let repeat = open.acks.meet_repeated(packet_id, duplicate, now.mono_ms);
        self.on_repeat(packet_id, &repeat);
    }

    /// A publish with the packet id of one that waits: a duplicate joins it, and gets its acknowledgement.
    fn on_repeat(&mut self, packet_id: u16, repeat: &Repeat) {
        match repeat {
            Repeat::Joins(service) => self.send_acks(*service),
            Repeat::Received => self.protocol.received(packet_id, 0, ""),
            Repeat::None | Repeat::Forbidden => {
                self.break_off("a packet id is used again before its acknowledgement");
            }
        }
    }

    /// PUBREL: the packet id is free (MQTT 5, section 4.3.3).
    pub(super) fn on_released(&mut self, packet_id: u16) {
        let Phase::Open(open) = &mut self.phase else {
            return;
        };
        match open.acks.release(packet_id) {
            Some(true) => self.protocol.completed(packet_id, Known::Yes),
            Some(false) => {
                open.pace.asked(1);
                self.protocol.completed(packet_id, Known::No);
            }
            None => self.break_off("a PUBREL came before its PUBREC was sent"),
        }
    }

    fn break_off(&mut self, text: &'static str) {
        self.protocol.dismiss(Reason::ProtocolError, text);
        self.broken(Reason::ProtocolError, text.into());
    }

    fn accept(&mut self, verb: &'static Verb, publish: Publish, now: Now) {
        let connection = self.id;
        let Phase::Open(open) = &mut self.phase else {
            return;
        };
        let (packet_id, quality) = (publish.packet_id, publish.quality);
        if verb.promise == Promise::Delivery {
            if let Some(id) = packet_id {
                open.acks.expect(verb.service, id, quality, now.mono_ms);
            }
            self.wishes.push_back(hand_out(publish, now.wall_ms));
            return self.meet_receive_maximum();
        }
        let mut frame = frame(&open.caller, publish, connection);
        if verb.audit == Audit::Recorded {
            frame.address.push_str(&self.address);
        }
        let forward = Forward {
            verb,
            frame,
            packet_id,
            turn: Turn::First,
        };
        match (packet_id, verb.promise) {
            (Some(id), Promise::Durable | Promise::Delivery) => {
                open.acks.expect(verb.service, id, quality, now.mono_ms)
            }
            (Some(id), Promise::Receipt) => self.acknowledge(id, quality, 0, ""),
            (None, _) => {}
        }
        self.meet_receive_maximum();
        self.wishes.push_back(Wish::of(verb, forward));
    }

    /// Nothing more is read until one is acknowledged.
    fn meet_receive_maximum(&mut self) {
        if let Phase::Open(open) = &self.phase
            && open.acks.len() == usize::from(self.limits.receive_maximum)
        {
            self.met(Limit::ReceiveMaximum);
        }
    }

    /// A publish has come to its end; acknowledgements leave in their order.
    pub(super) fn settle(&mut self, service: ServiceName, packet_id: u16, reason: u8, text: String) {
        let Phase::Open(open) = &mut self.phase else {
            return;
        };
        open.acks.settle(service, packet_id, reason, text);
        self.send_acks(service);
    }

    fn send_acks(&mut self, service: ServiceName) {
        let Phase::Open(open) = &mut self.phase else {
            return;
        };
        for ack in open.acks.take(service) {
            self.acknowledge(ack.packet_id, ack.quality, ack.reason, &ack.text);
        }
    }

    /// PUBACK or PUBREC. The packet id of a PUBREC stays in use, unless it refuses (which MQTT 3.1.1 cannot).
    fn acknowledge(&mut self, packet_id: u16, quality: Quality, reason: u8, text: &str) {
        if quality != Quality::ExactlyOnce {
            return self.protocol.acknowledge(packet_id, reason, text);
        }
        self.protocol.received(packet_id, reason, text);
        if let Phase::Open(open) = &mut self.phase
            && (reason < 0x80 || !self.protocol.is_v5())
        {
            open.acks.keep_received(packet_id);
        }
    }

    /// The final refusal of a publish that no service sees.
    pub(crate) fn refuse_publish(&mut self, publish: &Publish, refusal: &Refusal) {
        let what = match refusal.code {
            Code::Denied | Code::UnknownVerb => Some(notice::PUBLISH_DENIED),
            Code::TooLarge => Some(notice::TOO_LARGE),
            _ => None,
        };
        if let Some(what) = what {
            let detail = publish.topic.chars().take(limits::TEXT_CHARS).collect();
            self.wishes.push_back(Wish::Notice { what, detail });
        }
        if let Some(id) = publish.packet_id {
            self.acknowledge(id, publish.quality, refusal.code.mqtt_reason(), &refusal.message);
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
            match open
                .policy
                .publish(&open.caller, &open.standing, &forward.frame.topic)
            {
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
            topic: topic.chars().take(limits::TEXT_CHARS).collect(),
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
}

/// What a device says to whoever listens, as it came.
pub(super) fn hand_out(publish: Publish, wall_ms: i64) -> Wish {
    let expires_ms = publish
        .expiry_s
        .map(|expiry_s| wall_ms.saturating_add(i64::from(expiry_s) * 1_000));
    let passed = Passed {
        is_text: publish.is_text,
        response_topic: publish.response_topic,
        user: publish.user,
    };
    let delivery = Delivery {
        topic: publish.topic,
        payload: publish.payload,
        correlation: publish.correlation,
        content_type: publish.content_type,
        quality: publish.quality,
        retain: false,
        extras: Some(Box::new(Extras {
            expires_ms,
            passed: Some(Arc::new(passed)),
            ..Extras::default()
        })),
    };
    let packet_id = publish.packet_id;
    Wish::HandOut(Box::new(HandOut { delivery, packet_id }))
}

pub(super) fn frame(caller: &Caller, publish: Publish, connection: u64) -> Frame {
    let mut frame = Frame {
        topic: publish.topic,
        payload: publish.payload,
        correlation: publish.correlation,
        response_topic: publish.response_topic,
        content_type: publish.content_type,
        traceparent: publish.traceparent,
        batch: caller.batch.as_ref().map(ToString::to_string).unwrap_or_default(),
        connection,
        serial: caller.serial().to_owned(),
        factory: caller.factory().cloned().map(Box::new),
        ..Frame::default()
    };
    // What may wait for another person must not outlive what it was asked with.
    if caller.principal.kind == Kind::Operator {
        frame.login = caller.login();
        frame.until_ms = caller.not_after_ms().unwrap_or_default();
    }
    frame.set_purpose(Purpose::Request);
    frame
}

/// A limit that a publish, or a will, is beyond.
pub(crate) struct Beyond {
    pub(crate) limit: Limit,
    pub(crate) refusal: Refusal,
}

/// What a publish has too much of, whoever sends it.
pub(crate) fn beyond(publish: &Publish, limits: &Limits) -> Option<Beyond> {
    if let Err(too_long) = measure(&publish.topic) {
        let message = format!(
            "a topic has at most {} bytes and {} levels",
            limits::TOPIC_BYTES,
            limits::TOPIC_LEVELS
        );
        return Some(Beyond {
            limit: too_long.into(),
            refusal: Refusal::new(Code::UnknownVerb, message).at("topic"),
        });
    }
    let message = || format!("a message has at most {} user properties", limits.properties);
    (publish.user.len() > limits.properties).then(|| Beyond {
        limit: Limit::Properties,
        refusal: Refusal::new(Code::Limit, message()).at("properties"),
    })
}

/// What a publish asks for, or its final refusal.
pub(crate) fn check(
    policy: &dyn Policy,
    root: &contract::Root,
    caller: &Caller,
    standing: &Standing,
    publish: &Publish,
) -> Result<&'static Verb, Refusal> {
    let verb = policy.publish(caller, standing, &publish.topic)?;
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
    check_properties(root, &caller.principal, publish)?;
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
