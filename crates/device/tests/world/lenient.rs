//! A front door that lets in, if it is told to, whoever comes with a certificate that has ended.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use pki::ClientCertificate;
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, UnixTime};

#[derive(Debug)]
pub(crate) struct Lenient {
    pub(crate) verifier: Arc<dyn ClientCertVerifier>,
    pub(crate) lets_in_late: Arc<AtomicBool>,
}

impl ClientCertVerifier for Lenient {
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let mut at = now;
        if self.lets_in_late.load(Ordering::SeqCst) {
            let end_ms = ClientCertificate::parse(end_entity).unwrap().not_after_ms;
            let end = Duration::from_millis(end_ms as u64);
            at = UnixTime::since_unix_epoch(end.min(Duration::from_secs(now.as_secs())));
        }
        self.verifier.verify_client_cert(end_entity, intermediates, at)
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
