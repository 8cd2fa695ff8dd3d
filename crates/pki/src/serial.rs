//! Serial numbers: 16 octets of which 126 bits are random.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The serial number of a certificate, always positive and always 16 octets long.
///
/// The first octet lies in `0x40..=0x7f`, hence DER neither pads nor trims the number, and its 32 hex digits
/// are the one way to write it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Serial([u8; 16]);

/// The text is not a serial number of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a serial number is 32 lower-case hex digits, the first of them 4 to 7")]
pub struct SerialError;

impl Serial {
    /// Makes a serial of 16 octets that the caller drew from a cryptographic random source.
    pub fn from_random(mut octets: [u8; 16]) -> Serial {
        octets[0] = octets[0] & 0x3f | 0x40;
        Serial(octets)
    }

    /// Reads the form that [`Serial::to_hex`] writes, and no other.
    pub fn from_hex(text: &str) -> Result<Serial, SerialError> {
        let mut octets = [0; 16];
        hex::decode_to_slice(text, &mut octets).map_err(|_| SerialError)?;
        let serial = Serial(octets);
        let is_ours = (0x40..=0x7f).contains(&octets[0]) && serial.to_hex() == text;
        if is_ours { Ok(serial) } else { Err(SerialError) }
    }

    /// The serial as 32 lower-case hex digits.
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }

    /// The octets, most significant first.
    pub fn octets(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

impl TryFrom<String> for Serial {
    type Error = SerialError;

    fn try_from(text: String) -> Result<Serial, SerialError> {
        Serial::from_hex(&text)
    }
}

impl From<Serial> for String {
    fn from(serial: Serial) -> String {
        serial.to_hex()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_random_value_makes_a_positive_serial_with_one_text() {
        for octets in [[0; 16], [0xff; 16], [0x80; 16]] {
            let serial = Serial::from_random(octets);
            assert!((0x40..=0x7f).contains(&serial.octets()[0]));
            assert_eq!(Serial::from_hex(&serial.to_hex()), Ok(serial));
        }
    }

    #[test]
    fn texts_that_are_no_serial() {
        let zero = "0".repeat(32);
        let upper = format!("4{}", "A".repeat(31));
        let negative = "f".repeat(32);
        for text in ["", "4", zero.as_str(), upper.as_str(), negative.as_str(), "zz"] {
            assert_eq!(Serial::from_hex(text), Err(SerialError), "{text}");
        }
    }
}
