//! Certificates as those who meet them read them: a client's at the front door, a server's when it is recorded.

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::key::{KeyKind, PublicKey, sha256_hex};
use crate::leaf::{AlternativeName, Leaf, ProfileError, Purpose};
use crate::name::Subject;
use crate::pem_text;
use crate::plan::Host;

/// What a client certificate says, once it has been found to fit the whole client profile.
///
/// Whether the authority signed it is TLS's business; whether it is revoked, the provisioning service's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The party that connects.
    pub subject: Subject,
    /// The serial number in lower-case hex, as [`Serial::to_hex`](crate::Serial::to_hex) writes it.
    pub serial_hex: String,
    /// The first instant of validity, in milliseconds since 1970.
    pub not_before_ms: i64,
    /// The last instant of validity, in milliseconds since 1970.
    pub not_after_ms: i64,
    /// The SHA-256 of the whole certificate, in lower-case hex.
    pub fingerprint_sha256: String,
    /// The SHA-256 of its SubjectPublicKeyInfo, in lower-case hex.
    pub key_fingerprint_sha256: String,
}

impl ClientCertificate {
    /// Reads a certificate in DER form and demands the whole client profile.
    pub fn parse(der: &[u8]) -> Result<ClientCertificate, ProfileError> {
        let leaf = Leaf::read(der)?;
        if leaf.purpose != Purpose::Client {
            return Err(ProfileError::ExtendedKeyUsage);
        }
        let subject = only_party(&leaf.names)?;
        if leaf.common_name != subject.id() {
            return Err(ProfileError::CommonName);
        }
        let validity = leaf.validity();
        Ok(ClientCertificate {
            subject,
            serial_hex: leaf.serial_hex(),
            not_before_ms: validity.not_before_ms,
            not_after_ms: validity.not_after_ms,
            fingerprint_sha256: sha256_hex(der),
            key_fingerprint_sha256: sha256_hex(leaf.certificate.public_key().raw),
        })
    }

    /// Reads the first certificate of a chain in PEM form, the client's own.
    pub fn parse_pem(chain_pem: &str) -> Result<ClientCertificate, ProfileError> {
        let blocks = pem_text::all_blocks(chain_pem.as_bytes(), &["CERTIFICATE"]);
        let blocks = blocks.map_err(|_| ProfileError::NotParseable)?;
        ClientCertificate::parse(blocks.first().ok_or(ProfileError::NotParseable)?)
    }

    /// Reads what another broker tells of the certificate that it has seen: base64 of PEM or of DER, or PEM itself.
    pub fn parse_told(text: &str) -> Result<ClientCertificate, ProfileError> {
        if text.trim_start().starts_with("-----BEGIN") {
            return ClientCertificate::parse_pem(text);
        }
        let bytes = BASE64_STANDARD.decode(text.trim());
        let bytes = bytes.map_err(|_| ProfileError::NotParseable)?;
        match std::str::from_utf8(&bytes) {
            Ok(pem) if pem.contains("-----BEGIN") => ClientCertificate::parse_pem(pem),
            _ => ClientCertificate::parse(&bytes),
        }
    }
}

/// The kind of key that the first certificate of a chain in PEM form is for, if it is one that we know.
pub fn key_kind_of(chain_pem: &str) -> Option<KeyKind> {
    let blocks = pem_text::all_blocks(chain_pem.as_bytes(), &["CERTIFICATE"]).ok()?;
    let leaf = Leaf::read(blocks.first()?).ok()?;
    let key = PublicKey::from_spki(leaf.certificate.public_key().raw).ok()?;
    Some(key.kind())
}

/// What a server certificate says, once it has been found to fit the whole server profile.
///
/// It names hosts and no party: whose it is, whoever presents it must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerCertificate {
    /// The names and addresses that it is for.
    pub hosts: Vec<Host>,
    /// The serial number in lower-case hex, as [`Serial::to_hex`](crate::Serial::to_hex) writes it.
    pub serial_hex: String,
    /// The first instant of validity, in milliseconds since 1970.
    pub not_before_ms: i64,
    /// The last instant of validity, in milliseconds since 1970.
    pub not_after_ms: i64,
    /// The SHA-256 of the whole certificate, in lower-case hex.
    pub fingerprint_sha256: String,
    /// The SHA-256 of its SubjectPublicKeyInfo, in lower-case hex.
    pub key_fingerprint_sha256: String,
}

impl ServerCertificate {
    /// Reads a certificate in DER form and demands the whole server profile.
    pub fn parse(der: &[u8]) -> Result<ServerCertificate, ProfileError> {
        let leaf = Leaf::read(der)?;
        if leaf.purpose != Purpose::Server {
            return Err(ProfileError::ExtendedKeyUsage);
        }
        let hosts = only_hosts(&leaf.names)?;
        let validity = leaf.validity();
        Ok(ServerCertificate {
            hosts,
            serial_hex: leaf.serial_hex(),
            not_before_ms: validity.not_before_ms,
            not_after_ms: validity.not_after_ms,
            fingerprint_sha256: sha256_hex(der),
            key_fingerprint_sha256: sha256_hex(leaf.certificate.public_key().raw),
        })
    }
}

impl ServerCertificate {
    /// Reads the first certificate of a chain in PEM form, the server's own.
    pub fn parse_pem(chain_pem: &str) -> Result<ServerCertificate, ProfileError> {
        let blocks = pem_text::all_blocks(chain_pem.as_bytes(), &["CERTIFICATE"]);
        let blocks = blocks.map_err(|_| ProfileError::NotParseable)?;
        ServerCertificate::parse(blocks.first().ok_or(ProfileError::NotParseable)?)
    }
}

fn only_hosts(names: &[AlternativeName]) -> Result<Vec<Host>, ProfileError> {
    let host = |name: &AlternativeName| match name {
        AlternativeName::Host(host) => Ok(host.clone()),
        AlternativeName::Uri(_) => Err(ProfileError::AlternativeName),
    };
    if names.is_empty() {
        return Err(ProfileError::AlternativeName);
    }
    names.iter().map(host).collect()
}

fn only_party(names: &[AlternativeName]) -> Result<Subject, ProfileError> {
    let [AlternativeName::Uri(urn)] = names else {
        return Err(ProfileError::AlternativeName);
    };
    urn.parse().map_err(|_| ProfileError::AlternativeName)
}
