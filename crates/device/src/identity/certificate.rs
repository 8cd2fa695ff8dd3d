//! What a certificate must be before the device uses it.

use std::{sync::Arc, time::Duration};

use client::Identity;
use contract::{Id, Kind, Principal};
use pki::{ClientCertificate, PublicKey};
use rustls::{RootCertStore, crypto::aws_lc_rs, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, UnixTime, pem::PemObject};

use super::keys::Credentials;
use crate::clock;

/// Why a certificate is of no use to the device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    /// It is no client certificate of ours.
    #[error("the certificate is not one that Muster issues: {0}")]
    Profile(#[from] pki::ProfileError),
    /// It certifies another key.
    #[error("the certificate is not for the device's key")]
    OtherKey,
    /// It names somebody else.
    #[error("the certificate is for `{0}`")]
    OtherParty(String),
    /// It does not chain to a pinned root, or not at this time.
    #[error("the certificate does not chain to a trusted root: {0}")]
    Chain(String),
    /// TLS cannot use it.
    #[error("{0}")]
    Unusable(String),
}

/// Reads credentials if the certificate is for this device and this key, and chains to a root at this time.
pub(crate) fn read_fitting(
    credentials: &Credentials,
    roots_pem: &str,
    device_id: &Id,
    now_ms: Option<i64>,
) -> Result<Identity, Unfit> {
    let certificate = ClientCertificate::parse_pem(&credentials.chain_pem)?;
    let own = PublicKey::of_private(&credentials.key_pem).map_err(|e| Unfit::Unusable(e.to_string()))?;
    if certificate.key_fingerprint_sha256 != own.fingerprint_sha256() {
        return Err(Unfit::OtherKey);
    }
    let at = clock::at_least(now_ms, certificate.not_before_ms);
    demand_chain(&credentials.chain_pem, roots_pem, at)?;
    let identity = Identity::from_pem(&credentials.chain_pem, &credentials.key_pem, roots_pem)
        .map_err(|e| Unfit::Unusable(e.to_string()))?;
    if identity.who != Principal::new(Kind::Device, device_id.clone()) {
        return Err(Unfit::OtherParty(identity.who.to_string()));
    }
    Ok(identity)
}

/// Reads credentials that would fit, had their time not passed by now.
pub(crate) fn read_ended(
    credentials: &Credentials,
    roots_pem: &str,
    device_id: &Id,
    now_ms: i64,
) -> Option<Identity> {
    let end_ms = ClientCertificate::parse_pem(&credentials.chain_pem)
        .ok()?
        .not_after_ms;
    let identity = read_fitting(credentials, roots_pem, device_id, Some(end_ms)).ok()?;
    (now_ms > end_ms).then_some(identity)
}

fn demand_chain(chain_pem: &str, roots_pem: &str, at_ms: i64) -> Result<(), Unfit> {
    let failed = |e: &dyn std::fmt::Display| Unfit::Chain(e.to_string());
    let read = |pem: &str| -> Result<Vec<CertificateDer<'static>>, Unfit> {
        let blocks = CertificateDer::pem_slice_iter(pem.as_bytes());
        blocks.collect::<Result<_, _>>().map_err(|e| failed(&e))
    };
    let mut roots = RootCertStore::empty();
    for root in read(roots_pem)? {
        roots.add(root).map_err(|e| failed(&e))?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|e| failed(&e))?;
    let chain = read(chain_pem)?;
    let (own, above) = chain.split_first().ok_or_else(|| failed(&"it is empty"))?;
    let at = Duration::from_millis(u64::try_from(at_ms).unwrap_or_default());
    verifier
        .verify_client_cert(own, above, UnixTime::since_unix_epoch(at))
        .map(drop)
        .map_err(|e| failed(&e))
}

#[cfg(test)]
mod tests {
    use pki::{Authority, Charter, KeyKind, Plan, Profile, Serial, Validity};

    use super::*;

    const NOW: i64 = 1_800_000_000_000;
    const DAY: u64 = 86_400_000;

    /// An installation: its root, and an issuing authority under it.
    struct Site {
        roots_pem: String,
        issuing: Authority,
    }

    fn site(n: u8) -> Site {
        let charter = |n| Charter {
            site: "harbour",
            key: KeyKind::P256,
            serial: Serial::from_random([n; 16]),
            now_ms: NOW,
            lifetime_ms: 1_000 * DAY,
        };
        let root = pki::create_root(&charter(n)).unwrap();
        let open = |new: &pki::NewAuthority| Authority::open(&new.chain_pem, &new.key_pem, NOW).unwrap();
        let issuing = open(&pki::create_issuing(&open(&root), &charter(n + 1)).unwrap());
        Site {
            roots_pem: root.chain_pem,
            issuing,
        }
    }

    fn issue(site: &Site, subject: &str, key_pem: &str) -> String {
        let validity = Validity::within(site.issuing.validity(), NOW, 90 * DAY).unwrap();
        let key = PublicKey::of_private(key_pem).unwrap();
        let subject = subject.parse().unwrap();
        let plan = Plan::new(
            Serial::from_random([9; 16]),
            Profile::Client,
            subject,
            &key,
            validity,
        );
        site.issuing.sign(&plan).unwrap().pem + &site.issuing.certificate_pem()
    }

    #[test]
    fn only_its_own_certificate_from_a_pinned_root_in_its_time_is_used() {
        let (ours, theirs) = (site(1), site(5));
        let key = pki::generate_key(KeyKind::P256).unwrap();
        let other_key = pki::generate_key(KeyKind::P256).unwrap();
        let pump = "urn:muster:harbour:devices:pump-7";
        let id = "pump-7".parse().unwrap();
        let good = issue(&ours, pump, &key);
        let later = Some(NOW + 91 * DAY as i64);
        for (chain, key, now, expected) in [
            (&good, &key, Some(NOW), ""),
            (&good, &key, None, ""),
            (&good, &key, Some(NOW - 400 * DAY as i64), ""),
            (&good, &key, later, "does not chain"),
            (&good, &other_key, Some(NOW), "not for the device's key"),
            (&issue(&theirs, pump, &key), &key, Some(NOW), "does not chain"),
            (
                &issue(&ours, "urn:muster:harbour:devices:pump-8", &key),
                &key,
                Some(NOW),
                "devices/pump-8",
            ),
            (
                &issue(&ours, "urn:muster:harbour:operators:pump-7", &key),
                &key,
                Some(NOW),
                "operators/pump-7",
            ),
            (&"".to_owned(), &key, Some(NOW), "not one that Muster issues"),
        ] {
            let credentials = Credentials {
                key_pem: key.clone(),
                chain_pem: chain.clone(),
            };
            let ended = now.and_then(|now| read_ended(&credentials, &ours.roots_pem, &id, now));
            assert_eq!(ended.is_some(), now == later, "{expected}");
            let read = read_fitting(&credentials, &ours.roots_pem, &id, now).map(drop);
            assert_eq!(read.is_ok(), expected.is_empty(), "{read:?}");
            assert!(
                read.err()
                    .map_or(String::new(), |e| e.to_string())
                    .contains(expected)
            );
        }
    }
}
