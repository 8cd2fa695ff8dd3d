//! MQTT as a client writes and reads it, by hand: both versions, as much as the world's clients use. It
//! shares no line with the server's side, so that a mistake there is not made here too.

/// What a server sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Packet {
    Connack {
        /// A session of the client was there.
        present: bool,
        code: u8,
    },
    Suback {
        id: u16,
        codes: Vec<u8>,
    },
    Puback {
        id: u16,
        reason: u8,
    },
    Pubrec {
        id: u16,
        reason: u8,
    },
    Pubrel {
        id: u16,
    },
    Pubcomp {
        id: u16,
        reason: u8,
    },
    Publish {
        topic: String,
        qos: u8,
        /// It was sent before.
        dup: bool,
        id: Option<u16>,
        /// MQTT 5: its correlation data.
        name: Option<Vec<u8>>,
        payload: Vec<u8>,
    },
    Pong,
    Disconnect {
        reason: u8,
    },
    /// No packet that the server may send.
    Nonsense,
}

/// Clean: the session begins anew. In MQTT 5 it is to be kept for so long, seconds.
pub(crate) fn connect(v5: bool, client_id: &str, keep_alive_s: u16, expiry_s: u32, clean: bool) -> Vec<u8> {
    let mut body = text("MQTT");
    body.extend([if v5 { 5 } else { 4 }, u8::from(clean) << 1]);
    body.extend(keep_alive_s.to_be_bytes());
    if v5 && expiry_s > 0 {
        body.extend([5, 0x11]);
        body.extend(expiry_s.to_be_bytes());
    } else if v5 {
        body.push(0);
    }
    body.extend(text(client_id));
    packet(0x10, &body)
}

pub(crate) fn subscribe(v5: bool, qos: u8, id: u16, filters: &[String]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if v5 {
        body.push(0);
    }
    for filter in filters {
        body.extend(text(filter));
        body.push(qos);
    }
    packet(0x82, &body)
}

pub(crate) fn publish(v5: bool, qos: u8, id: u16, dup: bool, topic: &str, payload: &[u8]) -> Vec<u8> {
    let mut body = text(topic);
    body.extend(id.to_be_bytes());
    if v5 {
        body.push(0);
    }
    body.extend_from_slice(payload);
    packet(0x30 | qos << 1 | u8::from(dup) << 3, &body)
}

/// MQTT 5, QoS 1, with correlation data: whoever reads the reply knows it by them.
pub(crate) fn publish_named(id: u16, topic: &str, name: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut body = text(topic);
    body.extend(id.to_be_bytes());
    // One property, short enough for a length of one octet.
    body.push(name.len() as u8 + 3);
    body.push(0x09);
    body.extend((name.len() as u16).to_be_bytes());
    body.extend_from_slice(name);
    body.extend_from_slice(payload);
    packet(0x32, &body)
}

pub(crate) fn puback(id: u16) -> Vec<u8> {
    packet(0x40, &id.to_be_bytes())
}

pub(crate) fn pubrec(id: u16) -> Vec<u8> {
    packet(0x50, &id.to_be_bytes())
}

pub(crate) fn pubrel(id: u16) -> Vec<u8> {
    packet(0x62, &id.to_be_bytes())
}

pub(crate) fn pubcomp(id: u16) -> Vec<u8> {
    packet(0x70, &id.to_be_bytes())
}

pub(crate) fn ping() -> Vec<u8> {
    vec![0xC0, 0]
}

pub(crate) fn disconnect() -> Vec<u8> {
    vec![0xE0, 0]
}

/// Takes the first whole packet out of a buffer.
pub(crate) fn take(v5: bool, buffer: &mut Vec<u8>) -> Option<Packet> {
    let mut length = 0usize;
    for n in 0..4 {
        let byte = *buffer.get(n + 1)?;
        length |= usize::from(byte & 0x7F) << (7 * n);
        if byte & 0x80 == 0 {
            let whole = n + 2 + length;
            if buffer.len() < whole {
                return None;
            }
            let bytes: Vec<u8> = buffer.drain(..whole).collect();
            return Some(read(v5, bytes[0], &bytes[n + 2..]).unwrap_or(Packet::Nonsense));
        }
    }
    buffer.clear();
    Some(Packet::Nonsense)
}

fn read(v5: bool, first: u8, body: &[u8]) -> Option<Packet> {
    let id = || Some(u16::from_be_bytes([*body.first()?, *body.get(1)?]));
    let reason = body.get(2).copied().unwrap_or_default();
    Some(match first >> 4 {
        2 => Packet::Connack {
            present: body.first()? & 1 == 1,
            code: *body.get(1)?,
        },
        3 => return read_publish(v5, first, body),
        4 => Packet::Puback { id: id()?, reason },
        5 => Packet::Pubrec { id: id()?, reason },
        6 if first == 0x62 => Packet::Pubrel { id: id()? },
        7 => Packet::Pubcomp { id: id()?, reason },
        9 => {
            let at = if v5 { 2 + properties(&body[2..])? } else { 2 };
            Packet::Suback {
                id: id()?,
                codes: body.get(at..)?.to_vec(),
            }
        }
        13 => Packet::Pong,
        14 => Packet::Disconnect {
            reason: body.first().copied().unwrap_or_default(),
        },
        _ => return None,
    })
}

fn read_publish(v5: bool, first: u8, body: &[u8]) -> Option<Packet> {
    let length = usize::from(u16::from_be_bytes([*body.first()?, *body.get(1)?]));
    let topic = std::str::from_utf8(body.get(2..2 + length)?).ok()?.to_owned();
    let mut at = 2 + length;
    let mut id = None;
    if first & 0x06 != 0 {
        id = Some(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?]));
        at += 2;
    }
    let mut name = None;
    if v5 {
        let length = properties(body.get(at..)?)?;
        name = correlation(body.get(at..at + length)?);
        at += length;
    }
    Some(Packet::Publish {
        name,
        topic,
        qos: first >> 1 & 3,
        dup: first & 0x08 != 0,
        id,
        payload: body.get(at..)?.to_vec(),
    })
}

/// How long the properties are, their length included.
fn properties(bytes: &[u8]) -> Option<usize> {
    let mut length = 0usize;
    for n in 0..4 {
        let byte = *bytes.get(n)?;
        length |= usize::from(byte & 0x7F) << (7 * n);
        if byte & 0x80 == 0 {
            return Some(n + 1 + length);
        }
    }
    None
}

/// The correlation data among a publish's properties, their length included.
fn correlation(properties: &[u8]) -> Option<Vec<u8>> {
    let mut at = 1 + properties.iter().take_while(|byte| **byte & 0x80 != 0).count();
    let short = |at: usize| {
        Some(usize::from(u16::from_be_bytes([
            *properties.get(at)?,
            *properties.get(at + 1)?,
        ])))
    };
    while at < properties.len() {
        let identifier = properties[at];
        at += 1;
        match identifier {
            0x01 => at += 1,
            0x02 => at += 4,
            0x23 => at += 2,
            0x09 => return properties.get(at + 2..at + 2 + short(at)?).map(<[u8]>::to_vec),
            0x03 | 0x08 => at += 2 + short(at)?,
            0x26 => {
                at += 2 + short(at)?;
                at += 2 + short(at)?;
            }
            _ => return None,
        }
    }
    None
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u16).to_be_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut length = body.len();
    loop {
        let more = if length > 0x7F { 0x80 } else { 0 };
        bytes.push((length & 0x7F) as u8 | more);
        length >>= 7;
        if length == 0 {
            break;
        }
    }
    bytes.extend_from_slice(body);
    bytes
}
