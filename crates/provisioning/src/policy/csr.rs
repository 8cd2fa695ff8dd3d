//! The request, and the key in it.

use contract::{Code, Refusal, id::Kind, limits, v1::DeviceFact};
use pki::{Csr, KeyKind, Subject};

use crate::state::KeyUse;

/// A request with proof of possession, which asks for no name but the subject's.
pub(crate) fn csr(text: &str, subject: &Subject) -> Result<Csr, Refusal> {
    // The reason may quote the request.
    let untrusted = |e: &dyn std::fmt::Display| {
        let reason: String = e.to_string().chars().take(limits::TEXT_CHARS).collect();
        Refusal::new(Code::Untrusted, reason).at("csr")
    };
    let csr = Csr::parse(text.as_bytes()).map_err(|e| untrusted(&e))?;
    csr.check_names(subject).map_err(|e| untrusted(&e))?;
    Ok(csr)
}

/// A key belongs to one party, and a revoked one to nobody.
pub(crate) fn key(used: Option<&KeyUse>, kind: Kind, id: &str) -> Result<(), Refusal> {
    let Some(used) = used else { return Ok(()) };
    if used.revoked {
        let message = "a certificate of this key was revoked; make a new key";
        let whose = format!("it was the key of {}/{}", used.kind, used.id);
        return Err(Refusal::new(Code::Untrusted, message).at("csr").because(whose));
    }
    if used.kind == kind.word() && used.id == id {
        return Ok(());
    }
    Err(Refusal::new(
        Code::Untrusted,
        "this key belongs to somebody else; make one of your own",
    )
    .at("csr")
    .because(format!("it is the key of {}/{}", used.kind, used.id)))
}

/// Whether a device comes with the key that was announced with it. Digits alone count.
pub(crate) fn expected_key(known: Option<&DeviceFact>, fingerprint: &str) -> Result<(), Refusal> {
    let expected = known.map_or("", |device| device.key_fingerprint.as_str());
    let plain = |text: &str| text.replace(':', "").to_ascii_lowercase();
    if expected.is_empty() || plain(expected) == plain(fingerprint) {
        return Ok(());
    }
    let message = "this is not the key that was announced with the device";
    Err(Refusal::new(Code::Untrusted, message).at("csr"))
}

/// A kind of key by its word.
pub(crate) fn key_kind(word: &str) -> Result<(), Refusal> {
    let words = KeyKind::ALL.map(KeyKind::word);
    if word.is_empty() || words.contains(&word) {
        return Ok(());
    }
    Err(Refusal::invalid("key_kind", "devices have no keys of this kind").allowing(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_comes_with_the_key_that_was_announced() {
        let announced = |key: &str| DeviceFact {
            key_fingerprint: key.into(),
            ..DeviceFact::default()
        };
        assert!(expected_key(None, "ab").is_ok());
        assert!(expected_key(Some(&announced("")), "ab").is_ok());
        assert!(expected_key(Some(&announced("abcd")), "AB:CD").is_ok());
        let refusal = expected_key(Some(&announced("abcd")), "abce").unwrap_err();
        assert_eq!((refusal.code, refusal.field.as_str()), (Code::Untrusted, "csr"));
    }

    #[test]
    fn a_key_has_one_owner_and_a_revoked_one_none() {
        let used = KeyUse {
            kind: "devices".into(),
            id: "a".into(),
            revoked: false,
        };
        assert!(key(None, Kind::Device, "a").is_ok() && key(Some(&used), Kind::Device, "a").is_ok());
        assert!(
            key(Some(&used), Kind::Device, "b").is_err() && key(Some(&used), Kind::Operator, "a").is_err()
        );
        assert!(
            key(
                Some(&KeyUse {
                    revoked: true,
                    ..used
                }),
                Kind::Device,
                "a"
            )
            .is_err()
        );
    }
}
