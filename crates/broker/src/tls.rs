//! TLS for principals: client certificates of our roots, no resumption past the check of their serial.

use std::sync::Arc;

use contract::{
    id::{Id, Kind},
    v1::Manufacturer,
};
use parking_lot::{Mutex, RwLock};
use pki::ClientCertificate;
use rustls::{
    CommonState, ProtocolVersion, ServerConfig,
    client::verify_server_name,
    crypto::{CryptoProvider, aws_lc_rs},
    server::{NoServerSessionStorage, ParsedCertificate},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use session::Peer;

use self::factories::Factories;
pub(crate) use self::stream::{TlsStream, accept};
pub(crate) use self::verifier::ClientVerifier;
use crate::{FrontDoorError, TlsMaterial};

mod factories;
mod records;
mod remembered;
mod stream;
#[cfg(test)]
mod tests;
mod verifier;

fn unfit(what: &str, error: &dyn std::fmt::Display) -> FrontDoorError {
    FrontDoorError::Tls(format!("{what}: {error}"))
}

fn certificates(what: &str, pem: &str) -> Result<Vec<CertificateDer<'static>>, FrontDoorError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let found = found.map_err(|e| unfit(what, &e))?;
    if found.is_empty() {
        return Err(FrontDoorError::Tls(format!("{what}: no certificate in it")));
    }
    Ok(found)
}

/// Whether a client must show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Demand {
    /// No handshake without one.
    Certificate,
    /// It may come without.
    Nothing,
}

/// The configuration of a listener for principals.
fn server_config(
    material: &TlsMaterial,
    clients: Arc<ClientVerifier>,
    provider: &Arc<CryptoProvider>,
) -> Result<ServerConfig, FrontDoorError> {
    let own = |what: &str, error: &dyn std::fmt::Display| {
        FrontDoorError::OwnCertificate(format!("{what}: {error}"))
    };
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(material.server_chain_pem.as_bytes()).collect();
    let chain = chain.map_err(|e| own("the server's certificate", &e))?;
    let key = PrivateKeyDer::from_pem_slice(material.server_key_pem.as_bytes());
    let key = key.map_err(|e| own("the server's key", &e))?;
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| unfit("TLS", &e))?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .map_err(|e| own("the server's certificate and key", &e))?;
    // A resumed session would skip the client's certificate: a revoked one would come back.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// What handshakes are made with. It can be changed while connections go on: they have had theirs.
pub(crate) struct Handshakes {
    current: RwLock<Configs>,
    /// Held while others are made, so that of two changes none is lost.
    making: Mutex<Made>,
    renew_after_ms: u64,
}

/// What the current ones were made of.
struct Made {
    material: TlsMaterial,
    factories: Arc<Factories>,
    /// The number of the manufacturers' change.
    change: u64,
}

struct Configs {
    certified: Arc<ServerConfig>,
    open: Arc<ServerConfig>,
    clients: Arc<ClientVerifier>,
    authorities: Arc<str>,
    /// The server's own.
    certificate: Option<CertificateDer<'static>>,
}

impl Handshakes {
    pub(crate) fn new(material: &TlsMaterial, renew_after_ms: u64) -> Result<Handshakes, FrontDoorError> {
        let made = Made {
            material: material.clone(),
            factories: Arc::default(),
            change: 0,
        };
        Ok(Handshakes {
            current: RwLock::new(Configs::of(material, &made.factories, renew_after_ms)?),
            making: Mutex::new(made),
            renew_after_ms,
        })
    }

    /// What the next handshake is made with, and what says afterwards who it was with.
    pub(crate) fn next(&self, demand: Demand) -> (Arc<ServerConfig>, Arc<ClientVerifier>) {
        let current = self.current.read();
        let config = match demand {
            Demand::Certificate => &current.certified,
            Demand::Nothing => &current.open,
        };
        (config.clone(), current.clients.clone())
    }

    /// The CAs that are told to whoever asks over EST, ready to be sent.
    pub(crate) fn authorities(&self) -> Arc<str> {
        self.current.read().authorities.clone()
    }

    /// Whether this host is the server: a name in its certificate, or an address. A page that has its own name point here
    /// (DNS rebinding) names neither.
    pub(crate) fn are_for(&self, host: &str) -> bool {
        match ServerName::try_from(host) {
            Ok(ServerName::IpAddress(_)) => true,
            Ok(name) => self.names(&name),
            Err(_) => false,
        }
    }

    fn names(&self, name: &ServerName<'_>) -> bool {
        let current = self.current.read();
        let parsed = current.certificate.as_ref().map(ParsedCertificate::try_from);
        parsed.is_some_and(|parsed| parsed.is_ok_and(|parsed| verify_server_name(&parsed, name).is_ok()))
    }

    /// Takes other certificates and keys for the handshakes to come; where they do not fit, what was is kept.
    pub(crate) fn change(&self, material: &TlsMaterial) -> Result<(), FrontDoorError> {
        let mut making = self.making.lock();
        let configs = Configs::of(material, &making.factories, self.renew_after_ms)?;
        making.material = material.clone();
        *self.current.write() = configs;
        Ok(())
    }

    /// Which of the manufacturers' changes is known here.
    pub(crate) fn change_known(&self) -> u64 {
        self.making.lock().change
    }

    /// Takes other manufacturers, as they are since a change of this number.
    pub(crate) fn trust(&self, change: u64, manufacturers: Vec<Manufacturer>) -> Result<(), FrontDoorError> {
        let mut making = self.making.lock();
        if change <= making.change {
            return Ok(());
        }
        let factories = Arc::new(Factories::of(manufacturers));
        let configs = Configs::of(&making.material, &factories, self.renew_after_ms)?;
        making.factories = factories;
        making.change = change;
        *self.current.write() = configs;
        Ok(())
    }
}

impl Configs {
    fn of(
        material: &TlsMaterial,
        factories: &Arc<Factories>,
        renew_after_ms: u64,
    ) -> Result<Configs, FrontDoorError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier =
            |demand| ClientVerifier::new(material, factories, renew_after_ms, demand).map(Arc::new);
        let (certified, open) = (verifier(Demand::Certificate)?, verifier(Demand::Nothing)?);
        let config = |clients| server_config(material, clients, &provider).map(Arc::new);
        Ok(Configs {
            certified: config(certified.clone())?,
            open: config(open)?,
            clients: certified,
            authorities: authorities(material)?,
            certificate: certificates("the server's certificate", &material.server_chain_pem)?
                .into_iter()
                .next(),
        })
    }
}

fn authorities(material: &TlsMaterial) -> Result<Arc<str>, FrontDoorError> {
    let all = [
        &material.client_roots_pem,
        &material.root_links_pem,
        &material.issuing_pem,
    ];
    let all: String = all.into_iter().map(String::as_str).collect();
    let all = pki::certificates_only(&all).map_err(|e| unfit("the CAs", &e))?;
    Ok(all.into())
}

/// The version that a handshake came to.
pub(crate) fn version(connection: &CommonState) -> Option<&'static str> {
    match connection.protocol_version()? {
        ProtocolVersion::TLSv1_2 => Some("1.2"),
        ProtocolVersion::TLSv1_3 => Some("1.3"),
        _ => None,
    }
}

/// Who a certificate of this installation names. The handshake has proved the chain, the key, and the time as far as
/// TLS looks at it; the whole client profile is demanded here.
fn certified(site: &str, first: &CertificateDer<'_>) -> Result<Peer, String> {
    let certificate = ClientCertificate::parse(first).map_err(|e| e.to_string())?;
    let subject = &certificate.subject;
    if subject.site() != site {
        return Err(format!(
            "the certificate is of another installation, `{}`",
            subject.site()
        ));
    }
    let kind = Kind::from_word(subject.kind().word()).ok_or("no kind of principal")?;
    let id: Id = subject.id().parse().map_err(|_| "the certificate names no id")?;
    Ok(Peer::Certified {
        kind,
        id,
        serial: certificate.serial_hex,
        not_after_ms: certificate.not_after_ms,
    })
}
