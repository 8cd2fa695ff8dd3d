//! MQTT packets by hand, so that nothing of the code under test helps to test it.

fn remaining(len: usize) -> Vec<u8> {
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
