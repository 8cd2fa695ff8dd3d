//! Authorities whose key is somewhere else.

use pki::{
    Authority, AuthorityError, Deviation, KeyError, KeyKind, PublicKey, SignError, Signer, SignerError,
};
use rcgen::SigningKey;

use crate::world::{DAY, NOW, charter, key, plan, root, serial};

/// A token, played by a key in memory.
struct Token {
    shown: PublicKey,
    key: rcgen::KeyPair,
    is_unplugged: bool,
}

impl Signer for Token {
    fn public(&self) -> Result<PublicKey, KeyError> {
        Ok(self.shown.clone())
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let signed = (!self.is_unplugged).then(|| self.key.sign(message).ok());
        signed
            .flatten()
            .ok_or_else(|| SignerError("there is no token".into()))
    }
}

fn token(key_pem: &str) -> Token {
    Token {
        shown: PublicKey::of_private(key_pem).unwrap(),
        key: rcgen::KeyPair::from_pem(key_pem).unwrap(),
        is_unplugged: false,
    }
}

#[test]
fn a_token_signs_certificates_and_lists_of_every_kind_of_key() {
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::Ed25519] {
        let made = pki::create_issuing(&root(kind), &charter(kind, 2, DAY)).unwrap();
        let issuing = Authority::with_signer(&made.chain_pem, Box::new(token(&made.key_pem)), NOW).unwrap();
        let signed = issuing.sign(&plan(&issuing, 9, &key(kind))).unwrap();
        assert_eq!(signed.serial_hex, serial(9).to_hex());
        assert!(pki::issued_by(&signed.pem, &issuing.certificate_pem()).is_ok());
        issuing.revocation_list(1, NOW, NOW + 1_000, &[]).unwrap();
    }
}

#[test]
fn a_token_with_another_key_opens_nothing_and_what_it_signs_never_leaves() {
    let kind = KeyKind::P256;
    let made = pki::create_issuing(&root(kind), &charter(kind, 2, DAY)).unwrap();
    let other = pki::generate_key(kind).unwrap();
    let opened = Authority::with_signer(&made.chain_pem, Box::new(token(&other)), NOW);
    assert_eq!(opened.unwrap_err(), AuthorityError::KeyMismatch);
    // It shows the right key, and signs with another one.
    let liar = Token {
        shown: PublicKey::of_private(&made.key_pem).unwrap(),
        ..token(&other)
    };
    let issuing = Authority::with_signer(&made.chain_pem, Box::new(liar), NOW).unwrap();
    let planned = plan(&issuing, 9, &key(kind));
    let refusal = issuing.sign(&planned).unwrap_err();
    assert_eq!(refusal, SignError::Deviation(Deviation::Field("signature")));
    let unplugged = Token {
        is_unplugged: true,
        ..token(&made.key_pem)
    };
    let issuing = Authority::with_signer(&made.chain_pem, Box::new(unplugged), NOW).unwrap();
    assert_eq!(issuing.sign(&planned), Err(SignError::NotSigned));
}
