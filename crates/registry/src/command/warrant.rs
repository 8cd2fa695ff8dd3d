//! Operators' own signatures on their way to devices. Devices check them; here there are no keys, only bounds.

use contract::{Refusal, v1::CommandWarrant};

/// Signatures of one command.
const SIGNATURES_MAX: usize = 4;
/// Octets of an Ed25519 signature.
const SIGNATURE_BYTES: usize = 64;
/// Hex digits of a key's name.
const KEY_ID_CHARS: usize = 16;

/// Refuses what no device would take.
pub(super) fn check(field: &str, now_ms: i64, warrant: &CommandWarrant) -> Result<(), Refusal> {
    let refuse = |message: &str| Err(Refusal::invalid(field, message));
    if warrant.signatures.is_empty() || warrant.signatures.len() > SIGNATURES_MAX {
        return refuse("a signed command has 1 to 4 signatures");
    }
    for signature in &warrant.signatures {
        let named =
            signature.key_id.len() == KEY_ID_CHARS && signature.key_id.bytes().all(|b| b.is_ascii_hexdigit());
        if !named || signature.signature.len() != SIGNATURE_BYTES {
            return refuse("a signature has 64 bytes, and the 16 hex digits of its key's name");
        }
    }
    if warrant.not_before_ms < 0 || warrant.expires_ms <= warrant.not_before_ms {
        return refuse("a signature's time ends after it begins");
    }
    if warrant.expires_ms <= now_ms {
        return refuse("the signature's time is over");
    }
    Ok(())
}
