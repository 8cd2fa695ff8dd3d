//! A device's side of mutual TLS, cheap enough to have ten thousand of them.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result};
use parking_lot::Mutex;
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject};

/// What all clients of a run share.
#[derive(Clone)]
pub(crate) struct Trust {
    provider: Arc<CryptoProvider>,
    verifier: Arc<Acquainted>,
}

/// A certificate with its chain, its key, and whom to trust.
#[derive(Clone)]
pub(crate) struct Credentials {
    trust: Trust,
    chain_pem: Arc<str>,
    key_pem: Arc<str>,
}

impl Trust {
    pub(crate) fn new(roots_pem: &str) -> Result<Trust> {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(roots_pem.as_bytes()) {
            roots.add(root.context("the roots do not parse")?)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build()?;
        Ok(Trust {
            provider,
            verifier: Arc::new(Acquainted {
                verifier,
                met: Mutex::default(),
            }),
        })
    }

    pub(crate) fn with(&self, chain_pem: &str, key_pem: &str) -> Credentials {
        Credentials {
            trust: self.clone(),
            chain_pem: chain_pem.into(),
            key_pem: key_pem.into(),
        }
    }
}

impl Credentials {
    /// Never resumes: a resumed session would skip the work that is measured.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(self.chain_pem.as_bytes()).collect();
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes())?;
        let mut config = ClientConfig::builder_with_provider(self.trust.provider.clone())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(self.trust.verifier.clone())
            .with_client_auth_cert(chain?, key)?;
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }
}

/// Verifies each server's chain once in a run: the clients share the cores with the server, and each real client would do
/// it on a machine of its own. That the server has the key is verified in each handshake.
#[derive(Debug)]
struct Acquainted {
    verifier: Arc<WebPkiServerVerifier>,
    met: Mutex<Vec<(CertificateDer<'static>, ServerName<'static>)>>,
}

impl ServerCertVerifier for Acquainted {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let is_met =
            |(met, as_name): &(CertificateDer<'_>, ServerName<'_>)| met == end_entity && as_name == name;
        if self.met.lock().iter().any(is_met) {
            return Ok(ServerCertVerified::assertion());
        }
        let verified = self
            .verifier
            .verify_server_cert(end_entity, intermediates, name, ocsp, now)?;
        self.met
            .lock()
            .push((end_entity.clone().into_owned(), name.to_owned()));
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

pub(crate) fn server_name(address: SocketAddr) -> ServerName<'static> {
    ServerName::IpAddress(address.ip().into())
}
