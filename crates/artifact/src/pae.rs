//! The bytes that are signed: the DSSE pre-authentication encoding of a payload and its type.

/// What the signatures of a manifest say they sign.
pub const MANIFEST_TYPE: &str = "application/vnd.muster.firmware.v1+protobuf";

/// What the signatures of a command say they sign.
pub const COMMAND_TYPE: &str = "application/vnd.muster.command.v1+protobuf";

/// What the signature under the record of a device's retirement says it signs.
pub const RETIREMENT_TYPE: &str = "application/vnd.muster.retirement.v1+json";

/// Encodes type and body so that no other pair of type and body gives the same bytes.
///
/// ```
/// assert_eq!(artifact::pae("text", b"hello"), b"DSSEv1 4 text 5 hello");
/// ```
pub fn pae(payload_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), body.len());
    [head.as_bytes(), body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_count_octets_and_not_characters() {
        assert_eq!(pae("ü", b""), "DSSEv1 2 ü 0 ".as_bytes());
    }

    proptest! {
        #[test]
        fn different_inputs_give_different_bytes(
            (type_one, body_one) in ("[ 0-9a]{0,4}", prop::collection::vec(b' '..b'4', 0..6)),
            (type_two, body_two) in ("[ 0-9a]{0,4}", prop::collection::vec(b' '..b'4', 0..6)),
        ) {
            let equal = pae(&type_one, &body_one) == pae(&type_two, &body_two);
            prop_assert_eq!(equal, (type_one, body_one) == (type_two, body_two));
        }
    }
}
