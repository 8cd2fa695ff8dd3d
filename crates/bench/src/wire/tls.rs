//! A device's side of mutual TLS, cheap enough to have ten thousand of them.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result};
use rustls::{ClientConfig, RootCertStore, client::Resumption, crypto::CryptoProvider};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};

/// What all clients of a run share.
#[derive(Clone)]
pub(crate) struct Trust {
    provider: Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
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
        Ok(Trust {
            provider,
            roots: Arc::new(roots),
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
            .with_root_certificates(self.trust.roots.clone())
            .with_client_auth_cert(chain?, key)?;
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }
}

pub(crate) fn server_name(address: SocketAddr) -> ServerName<'static> {
    ServerName::IpAddress(address.ip().into())
}
