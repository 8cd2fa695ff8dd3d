//! A certificate is signed with a key that counts for nobody first, read back and held against its plan: what the
//! authority's own key signs is known to be right before, byte for byte.

use rcgen::Issuer;

use crate::authority::{AuthorityError, SignError};
use crate::ca_certificate::CaCertificate;
use crate::inspect;
use crate::key::{PrivateKey, PublicKey, generate_key};
use crate::plan::Plan;
use crate::profile;
use crate::signed::Signed;
use crate::signer::Signing;

/// An authority's certificate, with another key in the place of its own.
pub(crate) struct Rehearsal {
    played: CaCertificate,
    issuer: Issuer<'static, Signing>,
}

impl Rehearsal {
    /// For this authority; the key is made here and never leaves.
    pub(crate) fn of(own: &CaCertificate) -> Result<Rehearsal, AuthorityError> {
        let key = PrivateKey::from_pem(&generate_key(own.key.kind())?)?;
        let key = Signing::with(Box::new(key))?;
        let played = own.with_key(key.public().clone())?;
        let issuer = Issuer::from_ca_cert_der(&own.der.as_slice().into(), key);
        Ok(Rehearsal {
            played,
            issuer: issuer.map_err(|_| AuthorityError::NotParseable)?,
        })
    }

    /// What is to be signed, if it says what was planned.
    pub(crate) fn message(&self, plan: &Plan, key: &PublicKey) -> Result<Vec<u8>, SignError> {
        let signed = profile::leaf(plan)?.signed_by(key, &self.issuer);
        let der = signed.map_err(|_| SignError::NotSigned)?.der().to_vec();
        inspect::demand_as_planned(&der, plan, &self.played)?;
        Ok(Signed::read(&der).ok_or(SignError::NotSigned)?.message)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::{
        Authority, Charter, KeyError, KeyKind, NewAuthority, Profile, Serial, Signer, SignerError, Validity,
        create_issuing, create_root,
    };

    const NOW: i64 = 1_800_000_000_000;

    /// The key of a file that counts what it signs.
    struct Counting(PrivateKey, Arc<AtomicU32>);

    impl Signer for Counting {
        fn public(&self) -> Result<PublicKey, KeyError> {
            self.0.public()
        }

        fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
            self.1.fetch_add(1, Ordering::SeqCst);
            Signer::sign(&self.0, message)
        }
    }

    fn issuing(kind: KeyKind, n: u8) -> NewAuthority {
        let charter = |n: u8| Charter {
            site: "harbour",
            key: kind,
            serial: Serial::from_random([n; 16]),
            now_ms: NOW,
            lifetime_ms: 9_000_000,
        };
        let root = create_root(&charter(1)).unwrap();
        let root = Authority::open(&root.chain_pem, &root.key_pem, NOW).unwrap();
        create_issuing(&root, &charter(n)).unwrap()
    }

    fn plan(kind: KeyKind) -> Plan {
        let key = PublicKey::of_private(&generate_key(kind).unwrap()).unwrap();
        let validity = Validity {
            not_before_ms: NOW,
            not_after_ms: NOW + 5_000_000,
        };
        let subject = "urn:muster:harbour:devices:pump-7".parse().unwrap();
        Plan::new(
            Serial::from_random([9; 16]),
            Profile::Client,
            subject,
            &key,
            validity,
        )
    }

    #[test]
    fn what_is_signed_is_what_was_rehearsed_and_what_deviates_is_never_signed() {
        for kind in [KeyKind::P256, KeyKind::P384, KeyKind::Ed25519] {
            let (made, plan) = (issuing(kind, 2), plan(kind));
            let signed = Arc::new(AtomicU32::new(0));
            let key = Counting(PrivateKey::from_pem(&made.key_pem).unwrap(), signed.clone());
            let mut authority = Authority::with_signer(&made.chain_pem, Box::new(key), NOW).unwrap();
            let key = PublicKey::from_spki(&plan.spki_der).unwrap();
            let rehearsed = authority.rehearsal.message(&plan, &key).unwrap();
            assert_eq!(signed.load(Ordering::SeqCst), 0);
            let issued = authority.sign(&plan).unwrap();
            assert_eq!(Signed::read(&issued.der).unwrap().message, rehearsed);
            assert_eq!(signed.load(Ordering::SeqCst), 1);

            // The rehearsal would not come out as planned: as under another authority's certificate.
            let other = issuing(kind, 3);
            let other = Authority::open(&other.chain_pem, &other.key_pem, NOW).unwrap();
            authority.rehearsal.played = other.own;
            assert!(matches!(authority.sign(&plan), Err(SignError::Deviation(_))));
            assert_eq!(
                signed.load(Ordering::SeqCst),
                1,
                "the authority's key has signed nothing more"
            );
        }
    }
}
