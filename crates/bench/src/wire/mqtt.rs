//! As much of MQTT 3.1.1 as a load client needs, by hand: a library's bookkeeping would be measured too.

use anyhow::{Result, bail};

pub(crate) const CONNACK: u8 = 2;
pub(crate) const PUBLISH: u8 = 3;
pub(crate) const PUBACK: u8 = 4;
pub(crate) const SUBACK: u8 = 9;
pub(crate) const DISCONNECT: [u8; 2] = [0xE0, 0];

/// Long enough that no measurement needs a ping.
const KEEP_ALIVE_SECONDS: u16 = 900;
const CLEAN_SESSION: u8 = 0x02;
const USER_NAME: u8 = 0x80;

/// A packet as it lies in a buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Packet<'a> {
    first: u8,
    body: &'a [u8],
}

/// A QoS 1 publish whose packet id and sequence number are written into place.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    packet: Vec<u8>,
    id_at: usize,
    sequence_at: usize,
}

pub(crate) fn connect(client_id: &str, user: Option<&str>) -> Vec<u8> {
    let flags = CLEAN_SESSION | if user.is_some() { USER_NAME } else { 0 };
    let mut body = text("MQTT");
    body.extend_from_slice(&[4, flags]);
    body.extend_from_slice(&KEEP_ALIVE_SECONDS.to_be_bytes());
    body.extend(text(client_id));
    body.extend(user.map(text).unwrap_or_default());
    packet(0x10, &body)
}

pub(crate) fn subscribe(id: u16, filter: &str, qos: u8) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    body.extend(text(filter));
    body.push(qos);
    packet(0x82, &body)
}

pub(crate) fn publish(id: u16, topic: &str, payload: &[u8]) -> Vec<u8> {
    let mut body = text(topic);
    body.extend_from_slice(&id.to_be_bytes());
    body.extend_from_slice(payload);
    packet(0x32, &body)
}

/// The first whole packet of a buffer, and its length.
pub(crate) fn first_packet(buffer: &[u8]) -> Result<Option<(Packet<'_>, usize)>> {
    let mut length = 0usize;
    for (n, byte) in buffer.iter().skip(1).take(4).enumerate() {
        length |= usize::from(byte & 0x7F) << (7 * n);
        if byte & 0x80 == 0 {
            let end = n + 2 + length;
            let packet = buffer.get(n + 2..end).map(|body| Packet {
                first: buffer[0],
                body,
            });
            return Ok(packet.map(|packet| (packet, end)));
        }
    }
    if buffer.len() >= 5 {
        bail!("the server sent no MQTT packet");
    }
    Ok(None)
}

impl Packet<'_> {
    pub(crate) fn kind(&self) -> u8 {
        self.first >> 4
    }

    /// The packet id of an acknowledgement.
    pub(crate) fn id(&self) -> u16 {
        self.body.first_chunk().copied().map_or(0, u16::from_be_bytes)
    }

    /// The return code of a CONNACK or a SUBACK.
    pub(crate) fn code(&self) -> u8 {
        self.body.last().copied().unwrap_or(u8::MAX)
    }

    /// Topic and payload of a publish, and the packet id unless it came at QoS 0.
    pub(crate) fn published(&self) -> Option<(&str, Option<u16>, &[u8])> {
        let (length, rest) = self.body.split_first_chunk()?;
        let (topic, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        let topic = std::str::from_utf8(topic).ok()?;
        if self.first & 0x06 == 0 {
            return Some((topic, None, rest));
        }
        let (id, payload) = rest.split_first_chunk()?;
        Some((topic, Some(u16::from_be_bytes(*id)), payload))
    }
}

impl Template {
    /// The digits of a sequence number in a payload.
    pub(crate) const DIGITS: usize = 10;

    /// A publish of this payload, whose digits begin at `sequence_at`.
    pub(crate) fn new(topic: &str, payload: &[u8], sequence_at: usize) -> Template {
        let packet = publish(0, topic, payload);
        let payload_at = packet.len() - payload.len();
        Template {
            packet,
            id_at: payload_at - 2,
            sequence_at: payload_at + sequence_at,
        }
    }

    /// Appends the publish with this id and this number.
    pub(crate) fn append(&self, out: &mut Vec<u8>, id: u16, mut sequence: u64) {
        let at = out.len();
        out.extend_from_slice(&self.packet);
        let packet = &mut out[at..];
        packet[self.id_at..self.id_at + 2].copy_from_slice(&id.to_be_bytes());
        for digit in packet[self.sequence_at..self.sequence_at + Self::DIGITS]
            .iter_mut()
            .rev()
        {
            *digit = b'0' + (sequence % 10) as u8;
            sequence /= 10;
        }
    }
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u16).to_be_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut length = body.len();
    while length > 0x7F {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(body);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_back_whole_or_not_at_all() {
        let bytes = publish(7, "a/b", &[b'x'; 300]);
        for cut in 0..bytes.len() {
            assert_eq!(first_packet(&bytes[..cut]).unwrap(), None);
        }
        let (packet, length) = first_packet(&bytes).unwrap().unwrap();
        assert_eq!((packet.kind(), length), (PUBLISH, bytes.len()));
        assert_eq!(packet.published(), Some(("a/b", Some(7), &[b'x'; 300][..])));
    }

    #[test]
    fn acknowledgements_name_their_publish() {
        let (packet, length) = first_packet(&[0x40, 2, 1, 2, 0x40]).unwrap().unwrap();
        assert_eq!((packet.kind(), packet.id(), length), (PUBACK, 0x102, 4));
    }

    #[test]
    fn what_is_no_packet_is_an_error() {
        assert!(first_packet(&[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]).is_err());
    }

    #[test]
    fn templates_are_filled_in() {
        let template = Template::new("t", b"n=0000000000;", 2);
        let mut out = Vec::new();
        template.append(&mut out, 0x0102, 1_234_567_890);
        let (packet, _) = first_packet(&out).unwrap().unwrap();
        assert_eq!(
            packet.published(),
            Some(("t", Some(0x0102), &b"n=1234567890;"[..]))
        );
    }

    #[test]
    fn a_connect_names_client_and_user() {
        let bytes = connect("d-1", Some("devices/d-1"));
        assert_eq!(&bytes[..4], &[0x10, 10 + 5 + 13, 0, 4]);
        assert_eq!(bytes[9], 0x82);
        assert!(bytes.ends_with(b"\0\x0bdevices/d-1"));
    }
}
