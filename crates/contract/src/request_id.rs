//! The caller's name for a request, out of a payload that is not understood.
//!
//! A rejection that names its request is worth more than one that does not, all the more where the payload is
//! malformed. Nothing rests on the name that is found: it goes back to whoever sent it, and nowhere else.

use std::{cell::RefCell, fmt};

use prost::{
    bytes::Buf,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::{limits, wire};

/// The field of every message that holds the request id.
const FIELD: u32 = 1;

/// The request id that a payload states, as far as it can be read; nothing where it states none, several, or one
/// that no service would take.
pub fn salvage(payload: &[u8]) -> Option<String> {
    let text = payload
        .strip_prefix(b"\xEF\xBB\xBF")
        .unwrap_or(payload)
        .trim_ascii_start();
    let found = match text.first() {
        Some(b'{') => from_json(text),
        Some(b'[') => None,
        _ => from_protobuf(payload),
    };
    found.filter(|id| is_name(id))
}

/// Whether this may name a request.
pub fn is_name(id: &str) -> bool {
    !id.is_empty() && id.len() <= limits::REQUEST_ID_BYTES && !id.contains(char::is_control)
}

/// Up to where the message breaks off.
fn from_protobuf(mut rest: &[u8]) -> Option<String> {
    let mut found = None;
    while rest.has_remaining() {
        let Ok((field, kind)) = decode_key(&mut rest) else {
            break;
        };
        if (field, kind) != (FIELD, WireType::LengthDelimited) {
            if skip_field(kind, field, &mut rest, DecodeContext::default()).is_err() {
                break;
            }
            continue;
        }
        let length = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
        let (bytes, behind) = rest.split_at_checked(length)?;
        // As protobuf has it, the last one counts.
        found = Some(std::str::from_utf8(bytes).ok()?.to_owned());
        rest = behind;
    }
    found
}

/// Up to where the text breaks off; by either spelling, and once.
fn from_json(text: &[u8]) -> Option<String> {
    if wire::too_deep(text) {
        return None;
    }
    let found = RefCell::new(Found::None);
    // What follows the name may be anything.
    let _ = serde_json::Deserializer::from_slice(text).deserialize_map(Names(&found));
    match found.into_inner() {
        Found::One(id) => Some(id),
        Found::None | Found::Several => None,
    }
}

enum Found {
    None,
    One(String),
    Several,
}

/// Looks at the names of one object, and passes over its values.
struct Names<'a>(&'a RefCell<Found>);

impl<'de> Visitor<'de> for Names<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            if name != "request_id" && name != "requestId" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let former = self.0.replace(Found::Several);
            let id = map.next_value()?;
            if matches!(former, Found::None) {
                self.0.replace(Found::One(id));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_payload_states_before_it_breaks_off() {
        let nested = format!("{{\"request_id\":\"r\",\"a\":{}", "[".repeat(100));
        let long = format!("{{\"request_id\":\"{}\"}}", "r".repeat(129));
        for (payload, expected) in [
            (&b"{\"request_id\":\"r-1\",\"nonsense\":1}"[..], Some("r-1")),
            (b"{\"requestId\":\"r-1\",\"a\":[1,2,", Some("r-1")),
            (
                b"{\"a\":{\"request_id\":\"inner\"},\"request_id\":\"r-1\"",
                Some("r-1"),
            ),
            (b"\xEF\xBB\xBF {\"request_id\":\"r-1\"}", Some("r-1")),
            (b"\n{\"request_id\":\"r-1\"}", Some("r-1")),
            (b"{\"request_id\":\"r-1\",\"requestId\":\"r-2\"}", None),
            (b"{\"request_id\":\"r-1\",\"request_id\":7}", None),
            (b"{\"request_id\":7}", None),
            (b"{\"request_id\":\"\"}", None),
            (b"{\"request_id\":\"a\\nb\"}", None),
            (b"[{\"request_id\":\"r-1\"}]", None),
            (b"{", None),
            (b"", None),
            (nested.as_bytes(), None),
            (long.as_bytes(), None),
            (b"\x0A\x03r-1\xFF", Some("r-1")),
            (b"\x10\x07\x0A\x03r-1\x12\xFF\x0F", Some("r-1")),
            (b"\x0A\x03r-1\x0A\x03r-2", Some("r-2")),
            (b"\x0A\x04r-1", None),
            (b"\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01r", None),
            (b"\x0A\x02\xC3\x28", None),
            (b"\x08\x03", None),
        ] {
            assert_eq!(
                salvage(payload).as_deref(),
                expected,
                "\"{}\"",
                payload.escape_ascii()
            );
        }
    }
}
