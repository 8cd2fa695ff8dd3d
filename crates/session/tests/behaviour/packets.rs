//! MQTT packets by hand, so that nothing of the code under test helps to test it.

pub(crate) fn remaining(len: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut len = len;
    loop {
        let byte = (len % 128) as u8;
        len /= 128;
        out.push(if len > 0 { byte | 0x80 } else { byte });
        if len == 0 {
            return out;
        }
    }
}

pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    out.extend(remaining(body.len()));
    out.extend_from_slice(body);
    out
}

pub(crate) fn text(s: &str) -> Vec<u8> {
    let mut out = (s.len() as u16).to_be_bytes().to_vec();
    out.extend_from_slice(s.as_bytes());
    out
}

pub(crate) fn connect(v5: bool, client_id: &str, keep_alive: u16) -> Vec<u8> {
    let mut body = text("MQTT");
    body.push(if v5 { 5 } else { 4 });
    body.push(0x02);
    body.extend(keep_alive.to_be_bytes());
    if v5 {
        body.push(0);
    }
    body.extend(text(client_id));
    packet(0x10, &body)
}

pub(crate) fn connect_with_will(client_id: &str, topic: &str, payload: &str) -> Vec<u8> {
    let mut body = text("MQTT");
    body.extend([4, 0x02 | 0x04]);
    body.extend(60u16.to_be_bytes());
    body.extend(text(client_id));
    body.extend(text(topic));
    body.extend(text(payload));
    packet(0x10, &body)
}

pub(crate) fn publish(v5: bool, qos: u8, id: u16, topic: &str, payload: &[u8]) -> Vec<u8> {
    let mut body = text(topic);
    if qos > 0 {
        body.extend(id.to_be_bytes());
    }
    if v5 {
        body.push(0);
    }
    body.extend_from_slice(payload);
    packet(0x30 | (qos << 1), &body)
}

/// The same publish, marked as sent before.
pub(crate) fn again(mut publish: Vec<u8>) -> Vec<u8> {
    publish[0] |= 0x08;
    publish
}

pub(crate) fn subscribe(v5: bool, id: u16, filter: &str) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if v5 {
        body.push(0);
    }
    body.extend(text(filter));
    body.push(1);
    packet(0x82, &body)
}

/// What a CONNECT says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hello {
    pub(crate) v5: bool,
    pub(crate) client_id: &'static str,
    /// Clean start, or in MQTT 3.1.1 clean session.
    pub(crate) clean: bool,
    /// MQTT 5: properties, as bytes.
    pub(crate) properties: Vec<u8>,
    pub(crate) will: Option<Will>,
    /// What a listener without TLS believes, or who logs in.
    pub(crate) user_name: Option<&'static str>,
    pub(crate) password: Option<String>,
}

/// A will, its flags (QoS and retain) in their place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Will {
    pub(crate) flags: u8,
    pub(crate) properties: Vec<u8>,
    pub(crate) topic: String,
    pub(crate) payload: &'static str,
}

impl Hello {
    /// `pump-7`, whose session is kept for so many seconds.
    pub(crate) fn kept(v5: bool, seconds: u32) -> Hello {
        Hello {
            v5,
            client_id: "pump-7",
            properties: if v5 { session_expiry(seconds) } else { vec![] },
            ..Hello::default()
        }
    }

    pub(crate) fn packet(&self) -> Vec<u8> {
        let mut body = text("MQTT");
        body.push(if self.v5 { 5 } else { 4 });
        let will = self.will.as_ref().map_or(0, |will| 0x04 | will.flags);
        let login = u8::from(self.user_name.is_some()) << 7 | u8::from(self.password.is_some()) << 6;
        body.push(login | u8::from(self.clean) << 1 | will);
        body.extend(60u16.to_be_bytes());
        if self.v5 {
            body.extend(properties(&self.properties));
        }
        body.extend(text(self.client_id));
        if let Some(will) = &self.will {
            if self.v5 {
                body.extend(properties(&will.properties));
            }
            body.extend(text(&will.topic));
            body.extend(text(will.payload));
        }
        body.extend(self.user_name.map(text).unwrap_or_default());
        body.extend(self.password.as_deref().map(text).unwrap_or_default());
        packet(0x10, &body)
    }
}

/// Properties with their length before them.
pub(crate) fn properties(properties: &[u8]) -> Vec<u8> {
    [&remaining(properties.len()), properties].concat()
}

pub(crate) fn session_expiry(seconds: u32) -> Vec<u8> {
    [&[0x11][..], &seconds.to_be_bytes()].concat()
}

pub(crate) fn will_delay(seconds: u32) -> Vec<u8> {
    [&[0x18][..], &seconds.to_be_bytes()].concat()
}

/// PINGREQ.
pub(crate) const PING: [u8; 2] = [0xC0, 0];

/// PUBACK, PUBREC, PUBREL, PUBCOMP, by their first byte, with a reason where it is not 0.
pub(crate) fn answer(first: u8, id: u16, reason: u8) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if reason != 0 {
        body.push(reason);
    }
    packet(first, &body)
}

/// SUBSCRIBE with these options, and in MQTT 5 these properties.
pub(crate) fn subscribe_with(v5: bool, id: u16, props: &[u8], filter: &str, options: u8) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if v5 {
        body.extend(properties(props));
    }
    body.extend(text(filter));
    body.push(options);
    packet(0x82, &body)
}

/// PUBLISH of MQTT 5 with these properties.
pub(crate) fn publish_with(qos: u8, id: u16, topic: &str, props: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut body = text(topic);
    if qos > 0 {
        body.extend(id.to_be_bytes());
    }
    body.extend(properties(props));
    body.extend_from_slice(payload);
    packet(0x30 | (qos << 1), &body)
}

pub(crate) fn disconnect_with(reason: u8, props: &[u8]) -> Vec<u8> {
    packet(0xE0, &[&[reason][..], &properties(props)].concat())
}

pub(crate) fn disconnect() -> Vec<u8> {
    vec![0xE0, 0]
}

/// A packet that came back: its first byte and its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) kind: u8,
    pub(crate) body: Vec<u8>,
}

impl Got {
    pub(crate) fn packet_id(&self) -> u16 {
        u16::from_be_bytes([self.body[0], self.body[1]])
    }

    /// The packet id of a PUBLISH at QoS 1 or 2.
    pub(crate) fn publish_id(&self) -> u16 {
        let at = 2 + u16::from_be_bytes([self.body[0], self.body[1]]) as usize;
        u16::from_be_bytes([self.body[at], self.body[at + 1]])
    }

    /// The properties of a PUBLISH of MQTT 5; there are fewer than 128 bytes of them.
    pub(crate) fn publish_properties(&self) -> Vec<u8> {
        let topic = u16::from_be_bytes([self.body[0], self.body[1]]) as usize;
        let at = 2 + topic + if self.kind & 0x06 != 0 { 2 } else { 0 };
        self.body[at + 1..at + 1 + self.body[at] as usize].to_vec()
    }

    /// The reason of an answer to a publish.
    pub(crate) fn reason(&self) -> u8 {
        self.body.get(2).copied().unwrap_or_default()
    }

    /// Topic and payload of a PUBLISH.
    pub(crate) fn message(&self, v5: bool) -> (String, Vec<u8>) {
        let len = u16::from_be_bytes([self.body[0], self.body[1]]) as usize;
        let topic = String::from_utf8(self.body[2..2 + len].to_vec()).unwrap();
        let mut at = 2 + len + if self.kind & 0x06 != 0 { 2 } else { 0 };
        if v5 {
            at += 1 + self.body[at] as usize;
        }
        (topic, self.body[at..].to_vec())
    }
}

pub(crate) fn split(mut bytes: &[u8]) -> Vec<Got> {
    let mut got = Vec::new();
    while let Some((&first, rest)) = bytes.split_first() {
        let (mut len, mut shift, mut at) = (0usize, 0, 0);
        loop {
            let byte = rest[at];
            len |= ((byte & 0x7F) as usize) << shift;
            shift += 7;
            at += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        got.push(Got {
            kind: first,
            body: rest[at..at + len].to_vec(),
        });
        bytes = &rest[at + len..];
    }
    got
}
