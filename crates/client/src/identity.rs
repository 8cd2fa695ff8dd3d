//! Who connects: a certificate, its key, and the roots it trusts.

use std::sync::Arc;

use contract::id::{Id, Kind, Principal};
use pki::ClientCertificate;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use crate::clock::NoEarlier;

/// An identity, ready to connect with.
#[derive(Clone)]
pub struct Identity {
    /// Who it is, as the certificate says.
    pub who: Principal,
    /// The certificate's first instant, milliseconds since 1970.
    pub not_before_ms: i64,
    /// The certificate's last instant, milliseconds since 1970.
    pub not_after_ms: i64,
    /// Its serial, hex; empty for a factory certificate.
    pub serial: String,
    pub(crate) tls: Arc<ClientConfig>,
}

/// Why three texts are no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The certificate is not one of Muster's.
    #[error("the certificate is not one that Muster issued: {0}")]
    Certificate(#[from] pki::ProfileError),
    /// The factory certificate is none.
    #[error("the certificate is not a manufacturer's: {0}")]
    Factory(#[from] pki::FactoryError),
    /// The PEM texts do not parse, or do not fit together.
    #[error("certificate, key and roots do not make an identity: {0}")]
    Unfit(String),
}

impl Identity {
    /// Reads an identity from PEM: the certificate with its chain, the key, the roots.
    pub fn from_pem(chain: &str, key: &str, roots: &str) -> Result<Identity, IdentityError> {
        let certificate = ClientCertificate::parse_pem(chain)?;
        let unfit = |e: &dyn std::fmt::Display| IdentityError::Unfit(e.to_string());
        let kind = Kind::from_word(certificate.subject.kind().word()).unwrap_or(Kind::Integrator);
        let id: Id = certificate.subject.id().parse().map_err(|e| unfit(&e))?;
        Ok(Identity {
            who: Principal::new(kind, id),
            tls: tls(chain, key, roots, certificate.not_before_ms)?,
            not_before_ms: certificate.not_before_ms,
            not_after_ms: certificate.not_after_ms,
            serial: certificate.serial_hex,
        })
    }

    /// Reads what a manufacturer put into a device that hopes for this id: its factory certificate with the CAs above it,
    /// and the key. The roots are those of the installation that it comes to.
    pub fn factory(chain: &str, key: &str, roots: &str, id: Id) -> Result<Identity, IdentityError> {
        let certificate = pki::FactoryCertificate::read_pem(chain)?;
        Ok(Identity {
            who: Principal::new(Kind::Claim, id),
            tls: tls(chain, key, roots, certificate.not_before_ms)?,
            not_before_ms: certificate.not_before_ms,
            not_after_ms: certificate.not_after_ms,
            serial: String::new(),
        })
    }

    /// Connects as a device that hopes for this id, with the certificate of its batch.
    #[must_use]
    pub fn hoping_for(mut self, id: Id) -> Identity {
        self.who = Principal::new(Kind::Claim, id);
        self
    }
}

fn tls(chain: &str, key: &str, roots: &str, not_before_ms: i64) -> Result<Arc<ClientConfig>, IdentityError> {
    let unfit = |e: &dyn std::fmt::Display| IdentityError::Unfit(e.to_string());
    let chain = certificates(chain)?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|e| unfit(&e))?;
    let mut store = RootCertStore::empty();
    for root in certificates(roots)? {
        store.add(root).map_err(|e| unfit(&e))?;
    }
    let time = NoEarlier::than(not_before_ms);
    let tls = ClientConfig::builder_with_details(Arc::new(aws_lc_rs::default_provider()), Arc::new(time))
        .with_safe_default_protocol_versions()
        .map_err(|e| unfit(&e))?
        .with_root_certificates(store)
        .with_client_auth_cert(chain, key)
        .map_err(|e| unfit(&e))?;
    Ok(Arc::new(tls))
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|e| IdentityError::Unfit(e.to_string()))
}
