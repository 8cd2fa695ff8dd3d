//! Names and numbers as somebody writes them.

use contract::{Refusal, id::Id, limits};

/// An id, or the refusal that names the field.
pub(crate) fn id(field: &str, text: &str) -> Result<Id, Refusal> {
    text.parse()
        .map_err(|e: contract::id::BadId| Refusal::invalid(field, e.to_string()))
}

/// A serial in the form in which it is kept.
pub(crate) fn serial(text: &str) -> Result<String, Refusal> {
    let serial = text.to_ascii_lowercase();
    let hex = serial.bytes().all(|b| b.is_ascii_hexdigit());
    if hex && !serial.is_empty() && serial.len() <= limits::ID_CHARS {
        return Ok(serial);
    }
    Err(Refusal::invalid(
        "serial",
        "a serial is written in hex, as `muster cert list` shows it",
    ))
}

/// A public key as it is told of: SHA-256 of its SubjectPublicKeyInfo, hex.
pub(crate) fn key_fingerprint(text: &str) -> Result<String, Refusal> {
    let fingerprint = text.to_ascii_lowercase();
    if fingerprint.len() == 64 && fingerprint.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(fingerprint);
    }
    Err(Refusal::invalid(
        "key",
        "a key is named by the SHA-256 of its SubjectPublicKeyInfo: 64 hex digits",
    ))
}

/// Why somebody does something, for people.
pub(crate) fn why(text: &str) -> Result<(), Refusal> {
    if text.chars().count() <= limits::TEXT_CHARS {
        return Ok(());
    }
    let message = format!("{} characters at most", limits::TEXT_CHARS);
    Err(Refusal::invalid("reason", message))
}
