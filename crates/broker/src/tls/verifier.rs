//! Whose certificate is good enough for a handshake, and whose it is.
//!
//! Two kinds come in, and never one for the other: what names one of our issuing CAs as its issuer must be signed by it;
//! anything else must be the factory certificate of a manufacturer that is trusted for such.

use std::{sync::Arc, time::Duration};

use pki::{ClientCertificate, FactoryError, SubjectKind};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
    client::danger::HandshakeSignatureValid,
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, UnixTime};
use session::Peer;

use super::{Demand, certificates, factories::Factories, remembered, unfit};
use crate::{FrontDoorError, TlsMaterial};

/// Certificates of the installation's own issuing CAs, in their time; a device's also for a while after it, so
/// that it can renew. What such a device may do then is the session's to say.
#[derive(Debug)]
pub(crate) struct ClientVerifier {
    chains: Arc<dyn ClientCertVerifier>,
    issuing: Vec<CertificateDer<'static>>,
    factories: Arc<Factories>,
    /// The names of our roots, and of the manufacturers' CAs.
    hints: Vec<DistinguishedName>,
    renew_after_ms: u64,
    demand: Demand,
}

impl ClientVerifier {
    pub(super) fn new(
        material: &TlsMaterial,
        factories: &Arc<Factories>,
        renew_after_ms: u64,
        demand: Demand,
    ) -> Result<ClientVerifier, FrontDoorError> {
        let issuing = certificates("the issuing CAs", &material.issuing_pem)?;
        let above = certificates("the client roots", &material.client_roots_pem)?;
        let provider = Arc::new(remembered::provider(&issuing, &above));
        let mut roots = RootCertStore::empty();
        for root in above {
            roots.add(root).map_err(|e| unfit("the client roots", &e))?;
        }
        let chains = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|e| unfit("the client roots", &e))?;
        let ours = chains.root_hint_subjects().iter().cloned();
        Ok(ClientVerifier {
            hints: ours.chain(factories.subjects()).collect(),
            factories: factories.clone(),
            chains,
            issuing,
            renew_after_ms,
            demand,
        })
    }

    /// Who the other end's certificate names, after a handshake that this one has verified.
    pub(crate) fn peer(
        &self,
        site: &str,
        shown: Option<&[CertificateDer<'_>]>,
        now_ms: i64,
    ) -> Result<Peer, String> {
        let shown = shown.unwrap_or_default();
        let first = shown.first().ok_or("there is no client certificate")?;
        match self.is_a_factorys(first) {
            true => self
                .factories
                .peer(shown, now_ms)
                .map_err(|error| error.to_string()),
            false => super::certified(site, first),
        }
    }

    fn is_a_factorys(&self, certificate: &CertificateDer<'_>) -> bool {
        !self.factories.is_empty() && !pki::names_issuer(certificate, &self.issuing)
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
    /// trusted no more. A manufacturer's device brings its chain.
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.is_a_factorys(end_entity) {
            let shown = [std::slice::from_ref(end_entity), intermediates].concat();
            let now_ms = i64::try_from(now.as_secs())
                .unwrap_or(i64::MAX)
                .saturating_mul(1000);
            let verified = self.factories.verify(&shown, now_ms);
            return verified.map(|_| ClientCertVerified::assertion()).map_err(refused);
        }
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
        &self.hints
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

fn refused(error: FactoryError) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))))
}

fn has_expired(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. })
    )
}
