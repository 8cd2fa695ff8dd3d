//! The manufacturers whose certificates let devices in that have no identity yet.

use std::collections::VecDeque;

use contract::v1;
use parking_lot::Mutex;
use pki::{FactoryError, FactoryTrust};
use rustls::DistinguishedName;
use rustls_pki_types::CertificateDer;
use session::Peer;

/// Chains that were verified for a handshake and not asked about since, the newest: handshakes that fail after that leave
/// theirs.
const PLACES: usize = 32;

/// All of them, each by its name and trusted for its own devices alone.
#[derive(Debug, Default)]
pub(crate) struct Factories {
    all: Vec<Factory>,
    /// What handshakes have come to.
    verified: Mutex<VecDeque<Verified>>,
}

/// A chain, and whose device showed it.
#[derive(Debug)]
struct Verified {
    shown: Vec<CertificateDer<'static>>,
    peer: Peer,
}

#[derive(Debug)]
struct Factory {
    name: String,
    trust: FactoryTrust,
    /// Of its revocation lists.
    crl_version: u64,
}

impl Factories {
    /// One that cannot be read opens nothing and holds up nobody.
    pub(crate) fn of(manufacturers: Vec<v1::Manufacturer>) -> Factories {
        let mut read = Vec::new();
        for one in manufacturers {
            let trust = FactoryTrust::read(&one.ca).and_then(|trust| match one.crl.is_empty() {
                true => Ok(trust),
                false => trust.revoking(&one.crl),
            });
            match trust {
                Ok(trust) => read.push(Factory {
                    name: one.name,
                    trust,
                    crl_version: one.crl_version,
                }),
                Err(error) => {
                    tracing::error!(manufacturer = one.name, %error, "its certificates let nobody in");
                }
            }
        }
        read.sort_by(|one, other| one.name.cmp(&other.name));
        Factories {
            all: read,
            verified: Mutex::default(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The names of their CAs, by which some clients choose what they show.
    pub(crate) fn subjects(&self) -> impl Iterator<Item = DistinguishedName> {
        let subjects = self.all.iter().flat_map(|one| one.trust.subjects());
        subjects.map(|subject| DistinguishedName::from(subject.to_vec()))
    }

    /// Whether a handshake may go on over this, the device's own certificate first. Whose it is [is asked](Self::peer)
    /// after the handshake.
    pub(crate) fn verify(&self, shown: &[CertificateDer<'_>], now_ms: i64) -> Result<(), FactoryError> {
        let peer = self.read(shown, now_ms)?;
        let mut verified = self.verified.lock();
        if verified.len() == PLACES {
            verified.pop_front();
        }
        let shown = shown.iter().map(|one| one.clone().into_owned()).collect();
        verified.push_back(Verified { shown, peer });
        Ok(())
    }

    /// Whose device shows this: what its handshake came to, once, else verified anew.
    pub(crate) fn peer(&self, shown: &[CertificateDer<'_>], now_ms: i64) -> Result<Peer, FactoryError> {
        let mut verified = self.verified.lock();
        let place = verified.iter().rposition(|one| one.shown == shown);
        let known = place.and_then(|place| verified.remove(place));
        drop(verified);
        match known {
            Some(known) => Ok(known.peer),
            None => self.read(shown, now_ms),
        }
    }

    fn read(&self, shown: &[CertificateDer<'_>], now_ms: i64) -> Result<Peer, FactoryError> {
        let mut refused = None;
        for one in &self.all {
            match one.trust.verify(shown, now_ms) {
                Ok(read) => {
                    let certificate = v1::FactoryCertificate {
                        manufacturer: one.name.clone(),
                        serial_number: read.serial_number,
                        common_name: read.common_name,
                        fingerprint: read.fingerprint_sha256,
                        key_fingerprint: read.key_fingerprint_sha256,
                        crl_version: one.crl_version,
                    };
                    return Ok(Peer::Factory {
                        certificate: Box::new(certificate),
                        not_after_ms: read.not_after_ms,
                    });
                }
                // What one says against a certificate of its own tells more than that it is not another's.
                Err(error) if is_of_another(&error) => drop(refused.get_or_insert(error)),
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.unwrap_or(FactoryError::NotACertificate))
    }
}

fn is_of_another(error: &FactoryError) -> bool {
    matches!(error, FactoryError::Untrusted(why) if why == "UnknownIssuer")
}
