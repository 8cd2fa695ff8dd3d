//! Payloads: protobuf or canonical protobuf JSON, told apart by their first byte.

use bytes::Bytes;
use prost::Message;
use serde::{Serialize, de::DeserializeOwned};

use crate::{code::Code, code::Refusal, limits};

/// The two forms of every message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Canonical protobuf JSON; the first byte is `{`.
    Json,
    /// Protobuf.
    Protobuf,
}

impl Encoding {
    /// The MQTT 5 content type.
    pub const fn content_type(self) -> &'static str {
        match self {
            Encoding::Json => "application/json",
            Encoding::Protobuf => "application/x-protobuf",
        }
    }

    /// The encoding of a payload: `{` (0x7B) can never begin one of our protobuf messages.
    pub fn of(payload: &[u8]) -> Encoding {
        if payload.first() == Some(&b'{') {
            Encoding::Json
        } else {
            Encoding::Protobuf
        }
    }
}

/// A message in both its forms.
pub trait Wire: Message + Default + Serialize + DeserializeOwned {}
impl<T: Message + Default + Serialize + DeserializeOwned> Wire for T {}

/// A message that can be sent without knowing its type.
pub trait Reply: Send + Sync {
    /// The bytes in the caller's encoding.
    fn encode(&self, encoding: Encoding) -> Bytes;
}

impl<T: Wire + Send + Sync> Reply for T {
    fn encode(&self, encoding: Encoding) -> Bytes {
        encode(self, encoding)
    }
}

/// The bytes of a message.
pub fn encode<M: Wire>(message: &M, encoding: Encoding) -> Bytes {
    match encoding {
        Encoding::Protobuf => message.encode_to_vec().into(),
        // Fails only for an enum's number that has no name, which no service accepts or makes.
        Encoding::Json => serde_json::to_vec(message).unwrap_or_default().into(),
    }
}

/// A payload in either form as JSON.
pub fn to_json<M: Wire>(payload: &[u8], content_type: &str) -> Result<String, Refusal> {
    let json = encode(&decode::<M>(payload, content_type)?, Encoding::Json);
    match String::from_utf8(json.to_vec()) {
        Ok(json) if !json.is_empty() => Ok(json),
        _ => Err(Refusal::new(
            Code::Malformed,
            "the request holds what JSON cannot say",
        )),
    }
}

/// Reads a payload, whichever form it has, and checks it against the content type if one was sent.
pub fn decode<M: Wire>(payload: &[u8], content_type: &str) -> Result<M, Refusal> {
    let encoding = Encoding::of(payload);
    check_content_type(encoding, content_type)?;
    match encoding {
        Encoding::Protobuf => decode_protobuf(payload),
        Encoding::Json => decode_json(payload),
    }
}

fn check_content_type(encoding: Encoding, content_type: &str) -> Result<(), Refusal> {
    if content_type.is_empty() || content_type == encoding.content_type() {
        return Ok(());
    }
    let known = [Encoding::Json, Encoding::Protobuf].map(Encoding::content_type);
    let message = format!(
        "the content type says `{}`, the payload begins like {}; send what the content type says",
        content_type.escape_debug(),
        encoding.content_type()
    );
    Err(Refusal::new(Code::Malformed, message)
        .at("content_type")
        .allowing(known))
}

fn decode_protobuf<M: Wire>(payload: &[u8]) -> Result<M, Refusal> {
    let text = payload
        .strip_prefix(b"\xEF\xBB\xBF")
        .unwrap_or(payload)
        .trim_ascii_start();
    let like_json = matches!(text.first(), Some(b'{' | b'['));
    // A blank is also a field's tag, and a brace a length: such JSON can be read as protobuf by chance.
    let is_json = || serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok();
    if like_json && text.len() < payload.len() && is_json() {
        return Err(not_at_its_brace());
    }
    M::decode(payload).map_err(|e| {
        if like_json {
            not_at_its_brace()
        } else {
            let e = e.to_string();
            Refusal::new(Code::Malformed, format!("the payload does not parse: {e}")).at(tagged_field(&e))
        }
    })
}

fn not_at_its_brace() -> Refusal {
    let message = "JSON begins with `{`, without blanks, a byte order mark or another value before it";
    Refusal::new(Code::Malformed, message)
}

fn decode_json<M: Wire>(payload: &[u8]) -> Result<M, Refusal> {
    if too_deep(payload) {
        let message = format!("JSON may be nested {} deep", limits::JSON_DEPTH);
        return Err(Refusal::new(Code::Malformed, message));
    }
    serde_json::from_slice(payload).map_err(|e| {
        let named = named_field(&e.to_string());
        let path = path_of_fault::<M>(payload);
        let message = match named.is_empty() && !path.is_empty() {
            true => format!("the JSON does not parse at `{path}`: {e}"),
            false => format!("the JSON does not parse: {e}"),
        };
        Refusal::new(Code::Malformed, message).at(if path.is_empty() { named } else { path })
    })
}

/// Reads what does not parse once more, to see where: `location.latitude`. Empty where it is the whole that is wrong.
fn path_of_fault<M: Wire>(payload: &[u8]) -> String {
    let mut json = serde_json::Deserializer::from_slice(payload);
    match serde_path_to_error::deserialize::<_, M>(&mut json) {
        // Keys are the sender's: any text of any length.
        Err(e) if e.path().iter().len() > 0 => {
            let path = e.path().to_string();
            // Where the text just ends, it does not know.
            let path = if path == "?" { "" } else { &path };
            path.escape_debug().take(limits::KEY_CHARS).collect()
        }
        _ => String::new(),
    }
}

/// The field that prost names, from the inside out: `Location.latitude: Report.location: invalid wire type`.
fn tagged_field(error: &str) -> String {
    let of_message = |part: &str| {
        let (message, field) = part.rsplit_once('.')?;
        let is_name =
            |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        (is_name(message) && is_name(field)).then(|| field.to_owned())
    };
    let mut fields: Vec<_> = error.split(": ").filter_map(of_message).collect();
    fields.reverse();
    fields.join(".")
}

/// The field that serde names in backquotes, when it names one.
fn named_field(error: &str) -> String {
    let field = error
        .strip_prefix("unknown field `")
        .or_else(|| error.strip_prefix("duplicate field `"));
    field
        .and_then(|rest| rest.split('`').next())
        .unwrap_or_default()
        .to_owned()
}

/// Whether JSON nests deeper than anybody should look.
pub(crate) fn too_deep(payload: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in payload {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limits::JSON_DEPTH {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::{Report, ShowDevice};

    #[test]
    fn both_forms_come_back() {
        let report = Report {
            firmware_version: "1.2.0".into(),
            ..Report::default()
        };
        for encoding in [Encoding::Json, Encoding::Protobuf] {
            let bytes = encode(&report, encoding);
            assert_eq!(Encoding::of(&bytes), encoding);
            assert_eq!(decode::<Report>(&bytes, encoding.content_type()).unwrap(), report);
        }
    }

    #[test]
    fn what_does_not_parse_says_why() {
        let cases: [(&[u8], &str, &str); 7] = [
            (b"{\"device_id\":1}", "", "JSON does not parse"),
            (b"{\"nonsense\":1}", "", "unknown field"),
            (b" {}", "", "without blanks"),
            (b"\xEF\xBB\xBF{}", "", "byte order mark"),
            (b"{}", "application/x-protobuf", "content type"),
            (b"\xff\xff\xff", "", "does not parse"),
            (
                b"{\"device_id\":\"a\",\"device_id\":\"b\"}",
                "",
                "duplicate field",
            ),
        ];
        for (payload, content_type, expected) in cases {
            let refusal = decode::<ShowDevice>(payload, content_type).unwrap_err();
            assert_eq!(refusal.code, Code::Malformed);
            assert!(
                refusal.message.contains(expected),
                "{} / {expected}",
                refusal.message
            );
        }
    }

    #[test]
    fn the_field_that_is_wrong_is_named_with_its_path() {
        let long = format!("{{\"attributes\":{{\"{}\":1}}}}", "k".repeat(10_000));
        let cases: [(&[u8], &str); 12] = [
            (b"{\"model\":7}", "model"),
            (b"{\"location\":{\"latitude\":\"north\"}}", "location.latitude"),
            (b"{\"location\":{\"height\":1}}", "location.height"),
            (b"{\"location\":7}", "location"),
            (
                b"{\"components\":[{\"name\":\"boot\"},{\"version\":2}]}",
                "components[1].version",
            ),
            (b"{\"attributes\":{\"rack\":7}}", "attributes.rack"),
            (b"{\"attributes\":{\"\\u001b\":7}}", "attributes.\\u{1b}"),
            (b"{\"nonsense\":7}", "nonsense"),
            (b"{\"model\":", "model"),
            (b"{", ""),
            // The model, and the latitude, each as a number where another wire type is due.
            (b"\x10\x01", "model"),
            (b"\x2a\x02\x10\x01", "location.latitude"),
        ];
        for (payload, field) in cases {
            let refusal = decode::<Report>(payload, "").unwrap_err();
            assert_eq!(refusal.field, field, "{refusal:?}");
        }
        let refusal = decode::<Report>(long.as_bytes(), "").unwrap_err();
        assert_eq!(refusal.field.chars().count(), limits::KEY_CHARS);
    }

    #[test]
    fn deep_json_is_refused_before_it_is_parsed() {
        let deep = format!(
            "{{\"device_id\":{}1{}}}",
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        let refusal = decode::<ShowDevice>(deep.as_bytes(), "").unwrap_err();
        assert!(refusal.message.contains("nested"));
    }
}
