//! What the library does not look at: each packet's fixed header, before a byte of it is parsed.

use super::Reason;

/// What the low four bits of the first byte may be, by the packet's type (MQTT 5, table 2-2, as MQTT 3.1.1's):
/// nothing where no client sends the type.
const FLAGS: [&[u8]; 16] = [
    &[],
    &[0b0000], // CONNECT
    &[],
    PUBLISH,
    &[0b0000], // PUBACK
    &[0b0000], // PUBREC
    &[0b0010], // PUBREL
    &[0b0000], // PUBCOMP
    &[0b0010], // SUBSCRIBE
    &[],
    &[0b0010], // UNSUBSCRIBE
    &[],
    &[0b0000], // PINGREQ
    &[],
    &[0b0000], // DISCONNECT
    &[0b0000], // AUTH
];

/// Duplicate, QoS (two bits), retain: there is no QoS 3 (MQTT-3.3.1-4), and no duplicate at QoS 0 (MQTT-3.3.1-2).
const PUBLISH: &[u8] = &[
    0b0000, 0b0001, 0b0010, 0b0011, 0b0100, 0b0101, 0b1010, 0b1011, 0b1100, 0b1101,
];

/// What a CONNECT of MQTT 5 has behind its length.
const MQTT_5: &[u8] = b"\0\x04MQTT\x05";

/// Where the client is, and how the packet began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    place: Place,
    first: u8,
    /// The most that may follow the length.
    most: u32,
}

impl Header {
    /// Of somebody who is not let in yet: no packet is larger than this.
    pub(super) fn of_a_stranger(most: u32) -> Header {
        Header {
            place: Place::default(),
            first: 0,
            most,
        }
    }

    /// It was let in: the library watches over its packets' size.
    pub(super) fn is_no_stranger(&mut self) {
        self.most = u32::MAX;
    }

    /// Walks to the end of the packet, or of the bytes.
    pub(super) fn walk(&mut self, bytes: &[u8]) -> Result<(), (Reason, &'static str)> {
        if let (Place::Start, Some(first)) = (self.place, bytes.first()) {
            self.first = *first;
        }
        self.place.walk(bytes, self.most)
    }

    /// Whether the packet that was walked through last, a PUBLISH, may have been sent before.
    pub(super) fn is_duplicate(&self) -> bool {
        self.first & 0x08 != 0
    }
}

/// Where in a packet the next byte lies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    /// A packet begins.
    #[default]
    Start,
    /// In the remaining length, of which so much is known.
    Length { value: u32, shift: u32 },
    /// Before so many bytes more.
    Body { left: usize },
}

impl Place {
    /// Walks to the end of the packet, or of the bytes.
    fn walk(&mut self, bytes: &[u8], most: u32) -> Result<(), (Reason, &'static str)> {
        for (at, &byte) in bytes.iter().enumerate() {
            *self = match *self {
                Place::Start => {
                    check_first(byte)?;
                    Place::Length { value: 0, shift: 0 }
                }
                Place::Length { value, shift } => read_length(value, shift, byte, most)?,
                Place::Body { left } => {
                    let here = left.min(bytes.len() - at);
                    *self = Place::behind(left - here);
                    return Ok(());
                }
            };
            if *self == Place::Start {
                return Ok(());
            }
        }
        Ok(())
    }

    fn behind(left: usize) -> Place {
        match left {
            0 => Place::Start,
            left => Place::Body { left },
        }
    }
}

fn check_first(byte: u8) -> Result<(), (Reason, &'static str)> {
    let allowed = FLAGS.get(usize::from(byte >> 4)).copied().unwrap_or_default();
    match allowed.contains(&(byte & 0x0F)) {
        true => Ok(()),
        false => Err((Reason::Malformed, "no client's packet begins with this byte")),
    }
}

/// Whether these bytes begin a CONNECT of MQTT 5.
pub(super) fn begins_mqtt_5(bytes: &[u8]) -> bool {
    let length = bytes.iter().skip(1).take_while(|byte| **byte & 0x80 != 0).count();
    bytes
        .get(length + 2..)
        .is_some_and(|body| body.starts_with(MQTT_5))
}

fn read_length(value: u32, shift: u32, byte: u8, most: u32) -> Result<Place, (Reason, &'static str)> {
    let value = value | u32::from(byte & 0x7F) << shift;
    if byte & 0x80 == 0 {
        // As few bytes as are needed (MQTT-1.5.5-1).
        if byte == 0 && shift > 0 {
            return Err((Reason::Malformed, "a packet's length is longer than it need be"));
        }
        if value > most {
            return Err((Reason::PacketTooLarge, "a CONNECT is smaller"));
        }
        return Ok(Place::behind(usize::try_from(value).unwrap_or(usize::MAX)));
    }
    if shift == 21 {
        return Err((Reason::Malformed, "a packet's length has more than four bytes"));
    }
    Ok(Place::Length {
        value,
        shift: shift + 7,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_standard_allows_begins_a_packet() {
        let allowed = |first: u8| Place::default().walk(&[first], u32::MAX).is_ok();
        let publishes = [0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x3A, 0x3B, 0x3C, 0x3D];
        let plain = [0x10, 0x40, 0x50, 0x62, 0x70, 0x82, 0xA2, 0xC0, 0xE0, 0xF0];
        for first in 0..=u8::MAX {
            let known = publishes.contains(&first) || plain.contains(&first);
            assert_eq!(allowed(first), known, "{first:#04x}");
        }
    }

    #[test]
    fn packets_are_told_apart_wherever_the_bytes_are_cut() {
        let mut bytes = vec![0x32, 0x80, 0x01];
        bytes.extend([0xFF; 128]);
        bytes.extend([0xC0, 0x00]);
        for cut in 1..131 {
            let mut place = Place::default();
            for part in [&bytes[..cut], &bytes[cut..131]] {
                place.walk(part, u32::MAX).unwrap();
            }
            assert_eq!(place, Place::Start, "{cut}");
            place.walk(&bytes[131..], u32::MAX).unwrap();
            assert_eq!(place, Place::Start);
        }
    }

    #[test]
    fn a_length_has_as_few_bytes_as_it_needs_and_four_at_most() {
        for (bytes, fine) in [
            (&[0xC0, 0x00][..], true),
            (&[0xC0, 0x80, 0x00], false),
            (&[0x30, 0xFF, 0xFF, 0xFF, 0x7F], true),
            (&[0x30, 0xFF, 0xFF, 0xFF, 0xFF], false),
        ] {
            assert_eq!(Place::default().walk(bytes, u32::MAX).is_ok(), fine, "{bytes:?}");
        }
    }

    #[test]
    fn what_a_stranger_announces_is_measured_before_it_comes() {
        let mut stranger = Header::of_a_stranger(300);
        assert_eq!(stranger.walk(&[0x10, 0xAC]), Ok(()));
        assert_eq!(stranger.walk(&[0x02]), Ok(()), "300");
        let mut stranger = Header::of_a_stranger(299);
        let refused = stranger.walk(&[0x10, 0xAC, 0x02]).map_err(|(reason, _)| reason);
        assert_eq!(refused, Err(Reason::PacketTooLarge));
        let mut known = Header::of_a_stranger(299);
        known.is_no_stranger();
        assert_eq!(known.walk(&[0x30, 0xAC, 0x02]), Ok(()));
        for (bytes, is_5) in [
            (&b"\x10\xAC\x02\0\x04MQTT\x05"[..], true),
            (b"\x10\x0C\0\x04MQTT\x05\x02", true),
            (b"\x10\xAC\x02\0\x04MQTT\x04", false),
            (b"\x10\xAC", false),
            (b"", false),
        ] {
            assert_eq!(begins_mqtt_5(bytes), is_5, "{bytes:?}");
        }
    }
}
