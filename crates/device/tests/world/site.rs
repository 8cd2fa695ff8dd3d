//! The authorities, and what they sign.

use std::sync::{Arc, atomic::AtomicBool};

use pki::{Authority, Charter, Csr, Host, KeyKind, Plan, Profile, PublicKey, Serial, Subject, Validity};
use rustls::{
    RootCertStore, ServerConfig, crypto::aws_lc_rs, server::NoServerSessionStorage,
    server::WebPkiClientVerifier,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use super::{lenient::Lenient, now_ms};

const YEAR: u64 = 365 * 86_400_000;

pub(crate) struct Site {
    pub(crate) roots_pem: String,
    /// Certificates that have ended are let in, too.
    pub(crate) lets_in_late: Arc<AtomicBool>,
    issuing: Authority,
}

impl Site {
    pub(crate) fn found() -> Site {
        let charter = |n| Charter {
            site: "harbour",
            key: KeyKind::P256,
            serial: Serial::from_random([n; 16]),
            now_ms: now_ms(),
            lifetime_ms: YEAR,
        };
        let open = |new: &pki::NewAuthority| Authority::open(&new.chain_pem, &new.key_pem, now_ms()).unwrap();
        let root = pki::create_root(&charter(1)).unwrap();
        let issuing = open(&pki::create_issuing(&open(&root), &charter(2)).unwrap());
        Site {
            roots_pem: root.chain_pem,
            lets_in_late: Arc::default(),
            issuing,
        }
    }

    pub(crate) fn issue(&self, subject: &Subject, key: &PublicKey, lifetime_ms: u64) -> String {
        let validity = Validity::within(self.issuing.validity(), now_ms(), lifetime_ms).unwrap();
        let serial = Serial::from_random(rand::random());
        let plan = Plan::new(serial, Profile::Client, subject.clone(), key, validity);
        self.issuing.sign(&plan).unwrap().pem + &self.issuing.certificate_pem()
    }

    pub(crate) fn answer(&self, csr: &str, subject: &Subject, lifetime_ms: u64) -> String {
        let csr = Csr::parse(csr.as_bytes()).unwrap();
        self.issue(subject, csr.public_key(), lifetime_ms)
    }

    /// A claim's certificate and key.
    pub(crate) fn claim(&self) -> (String, String) {
        let key = pki::generate_key(KeyKind::P256).unwrap();
        let subject = "urn:muster:harbour:claims:batch-1".parse().unwrap();
        let certificate = self.issue(&subject, &PublicKey::of_private(&key).unwrap(), YEAR / 2);
        (certificate, key.to_string())
    }

    pub(crate) fn tls(&self) -> Arc<ServerConfig> {
        let key = pki::generate_key(KeyKind::P256).unwrap();
        let public = PublicKey::of_private(&key).unwrap();
        let subject = "urn:muster:harbour:services:front-door".parse().unwrap();
        let validity = Validity::within(self.issuing.validity(), now_ms(), YEAR / 2).unwrap();
        let hosts = vec![Host::parse("127.0.0.1").unwrap()];
        let profile = Profile::Server { hosts };
        let plan = Plan::new(Serial::from_random([3; 16]), profile, subject, &public, validity);
        let chain = self.issuing.sign(&plan).unwrap().pem + &self.issuing.certificate_pem();
        let certificates = |pem: &str| {
            let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
            read.unwrap()
        };
        let mut roots = RootCertStore::empty();
        roots.add(certificates(&self.roots_pem).remove(0)).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(Arc::new(Lenient {
                verifier: verifier.build().unwrap(),
                lets_in_late: self.lets_in_late.clone(),
            }))
            .with_single_cert(
                certificates(&chain),
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Arc::new(config)
    }
}
