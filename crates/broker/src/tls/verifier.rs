//! Whose certificate is good enough for a handshake.

use std::{sync::Arc, time::Duration};

use pki::{ClientCertificate, SubjectKind};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::CryptoProvider,
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::{Demand, certificates, unfit};
use crate::{FrontDoorError, TlsMaterial};

/// Certificates of the installation's own issuing CAs, in their time; a device's also for a while after it, so
/// that it can renew. What such a device may do then is the session's to say.
#[derive(Debug)]
pub(super) struct ClientVerifier {
    chains: Arc<dyn ClientCertVerifier>,
    issuing: Vec<CertificateDer<'static>>,
    renew_after_ms: u64,
    demand: Demand,
}

impl ClientVerifier {
    pub(super) fn new(
        material: &TlsMaterial,
        renew_after_ms: u64,
        demand: Demand,
        provider: Arc<CryptoProvider>,
    ) -> Result<ClientVerifier, FrontDoorError> {
        let mut roots = RootCertStore::empty();
        for root in certificates("the client roots", &material.client_roots_pem)? {
            roots.add(root).map_err(|e| unfit("the client roots", &e))?;
        }
        let chains = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|e| unfit("the client roots", &e))?;
        Ok(ClientVerifier {
            chains,
            issuing: certificates("the issuing CAs", &material.issuing_pem)?,
            renew_after_ms,
            demand,
        })
    }

    /// When a device's certificate ended, if that is not longer ago than it may be.
    fn end_within_grace(&self, certificate: &CertificateDer<'_>, now: UnixTime) -> Option<UnixTime> {
        let read = ClientCertificate::parse(certificate).ok()?;
        if read.subject.kind() != SubjectKind::Device {
            return None;
        }
        let end_s = u64::try_from(read.not_after_ms).ok()? / 1000;
        let ended_s = now.as_secs().checked_sub(end_s)?;
        let is_within = ended_s.saturating_mul(1000) <= self.renew_after_ms;
        is_within.then(|| UnixTime::since_unix_epoch(Duration::from_secs(end_s)))
    }
}

impl ClientCertVerifier for ClientVerifier {
    /// The chain is our own: what the client sends above its certificate could name an authority that is
    /// trusted no more.
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verify = |at| self.chains.verify_client_cert(end_entity, &self.issuing, at);
        match verify(now) {
            Err(error) if has_expired(&error) && self.renew_after_ms > 0 => {
                match self.end_within_grace(end_entity, now) {
                    // All else must have held when it ended.
                    Some(end) => verify(end),
                    None => Err(error),
                }
            }
            verified => verified,
        }
    }

    fn client_auth_mandatory(&self) -> bool {
        self.demand == Demand::Certificate
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chains.root_hint_subjects()
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

fn has_expired(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. })
    )
}
