//! The kinds of key that a CA may have, as words.

use pki::KeyKind;

/// A kind of key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum CaKey {
    /// ECDSA on P-256: every TLS stack knows it
    #[default]
    P256,
    /// ECDSA on P-384
    P384,
    /// Ed25519: small devices' TLS stacks may not verify it
    Ed25519,
}

impl From<CaKey> for KeyKind {
    fn from(key: CaKey) -> KeyKind {
        match key {
            CaKey::P256 => KeyKind::P256,
            CaKey::P384 => KeyKind::P384,
            CaKey::Ed25519 => KeyKind::Ed25519,
        }
    }
}
