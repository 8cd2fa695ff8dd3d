//! Certificate requests: what they prove, and what they may not ask for.
//!
//! A request yields one thing, the public key. All else it carries is read only in order to refuse it.

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ED25519, Oid};
use x509_parser::prelude::FromDer;

use crate::key::{KeyKind, PublicKey};
use crate::name::Subject;
use crate::pem_text::{self, PemError};

/// The largest request that is looked at; one with a P-384 key takes about 500 bytes.
pub const CSR_MAX_BYTES: usize = 8 * 1024;

const LABELS: [&str; 2] = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];

/// A certificate request whose sender has proved to hold the private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Csr {
    public_key: PublicKey,
    organizations: Vec<String>,
    common_names: Vec<String>,
    alternative_names: Vec<AskedName>,
}

/// Why a request is refused before anyone asks whose it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// More bytes than [`CSR_MAX_BYTES`].
    #[error("the request is larger than {CSR_MAX_BYTES} bytes")]
    TooLarge,
    /// Neither the PEM nor the DER form of a PKCS#10 request.
    #[error("this is not a certificate request")]
    NotParseable,
    /// Something follows, or precedes, the request.
    #[error("there are bytes beside the request")]
    TrailingData,
    /// RSA, another curve, explicit curve parameters or a compressed point.
    #[error("only P-256, P-384 and Ed25519 keys in their usual form are accepted")]
    UnsupportedKey,
    /// The signature's algorithm is not the one that belongs to the key.
    #[error("{}", demanded_algorithm(*.0))]
    AlgorithmMismatch(KeyKind),
    /// The sender has not proved to hold the private key.
    #[error("the signature of the request does not match its key")]
    BadSignature,
    /// The request asks for the powers of a certificate authority.
    #[error("the request asks for the powers of a certificate authority")]
    AsksForAuthority,
}

/// Why the names in a request are refused for a given party.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsrNameError {
    /// The common name is not the id of the party, or there are several.
    #[error("the common name {0:?} is not the expected id")]
    CommonName(String),
    /// A subject alternative name that is not the party's own.
    #[error("the alternative name {0:?} is not the expected one")]
    AlternativeName(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum AskedName {
    Uri(String),
    Other(String),
}

impl Csr {
    /// Reads a request in PEM or DER form and verifies that its sender holds the private key.
    pub fn parse(pem_or_der: &[u8]) -> Result<Csr, CsrError> {
        if pem_or_der.len() > CSR_MAX_BYTES {
            return Err(CsrError::TooLarge);
        }
        if pem_text::looks_like_pem(pem_or_der) {
            let der = pem_text::only_block(pem_or_der, &LABELS).map_err(CsrError::from)?;
            return Csr::from_der(&der);
        }
        Csr::from_der(pem_or_der)
    }

    /// Accepts the names of the request for this party: each may be absent, or exactly the party's own.
    pub fn check_names(&self, expected: &Subject) -> Result<(), CsrNameError> {
        if let Some(name) = self.common_names.iter().find(|name| *name != expected.id()) {
            return Err(CsrNameError::CommonName(name.clone()));
        }
        if self.common_names.len() > 1 {
            return Err(CsrNameError::CommonName(self.common_names.join(", ")));
        }
        let own = AskedName::Uri(expected.to_string());
        match self.alternative_names.iter().find(|name| **name != own) {
            Some(AskedName::Uri(name) | AskedName::Other(name)) => {
                Err(CsrNameError::AlternativeName(name.clone()))
            }
            None => Ok(()),
        }
    }

    /// The key to be certified.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The SubjectPublicKeyInfo, byte for byte as it came.
    pub fn spki_der(&self) -> &[u8] {
        self.public_key.spki_der()
    }

    /// The SHA-256 of the SubjectPublicKeyInfo, in lower-case hex.
    pub fn key_fingerprint_sha256(&self) -> String {
        self.public_key.fingerprint_sha256()
    }

    /// What kind of key it is.
    pub fn key_kind(&self) -> KeyKind {
        self.public_key.kind()
    }

    /// The first common name asked for. It is a claim, and nothing more.
    pub fn requested_common_name(&self) -> Option<&str> {
        self.common_names.first().map(String::as_str)
    }

    /// The organization that it names, if it is one.
    pub(crate) fn only_organization(&self) -> Option<&str> {
        match self.organizations.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    fn from_der(der: &[u8]) -> Result<Csr, CsrError> {
        let (rest, read) = X509CertificationRequest::from_der(der).map_err(|_| CsrError::NotParseable)?;
        if !rest.is_empty() {
            return Err(CsrError::TrailingData);
        }
        let public_key = proven_key(&read)?;
        demand_canonical(der, &read, public_key.kind())?;
        Ok(Csr {
            public_key,
            organizations: organizations(&read),
            common_names: common_names(&read)?,
            alternative_names: harmless_extensions(&read)?,
        })
    }
}

fn proven_key(read: &X509CertificationRequest<'_>) -> Result<PublicKey, CsrError> {
    let spki_der = read.certification_request_info.subject_pki.raw;
    let key = PublicKey::from_spki(spki_der).map_err(|_| CsrError::UnsupportedKey)?;
    if read.signature_algorithm.algorithm != own_signature_algorithm(key.kind()).0 {
        return Err(CsrError::AlgorithmMismatch(key.kind()));
    }
    read.verify_signature().map_err(|_| CsrError::BadSignature)?;
    Ok(key)
}

/// What to do, for people with openssl above all: it signs with SHA-256 whatever the key.
fn demanded_algorithm(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::P256 => "a P-256 key must sign its request with ECDSA and SHA-256 (`openssl req -sha256`)",
        KeyKind::P384 => "a P-384 key must sign its request with ECDSA and SHA-384 (`openssl req -sha384`)",
        KeyKind::Ed25519 => "an Ed25519 key must sign its request with Ed25519",
    }
}

/// The algorithm that belongs to a kind of key: its identifier, and the DER of the identifier alone.
fn own_signature_algorithm(kind: KeyKind) -> (Oid<'static>, &'static [u8]) {
    match kind {
        KeyKind::P256 => (
            OID_SIG_ECDSA_WITH_SHA256,
            b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02",
        ),
        KeyKind::P384 => (
            OID_SIG_ECDSA_WITH_SHA384,
            b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03",
        ),
        KeyKind::Ed25519 => (OID_SIG_ED25519, b"\x30\x05\x06\x03\x2b\x65\x70"),
    }
}

/// Demands DER around the signed part too, which the signature does not cover and the parser reads loosely.
fn demand_canonical(der: &[u8], read: &X509CertificationRequest<'_>, kind: KeyKind) -> Result<(), CsrError> {
    let signature = &read.signature_value.data;
    let (_, algorithm) = own_signature_algorithm(kind);
    let bits_len = u8::try_from(signature.len() + 1).map_err(|_| CsrError::NotParseable)?;
    let tail = [algorithm, &[0x03, bits_len, 0x00], signature].concat();
    let signed = read.certification_request_info.raw;
    let canonical = [sequence_head(signed.len() + tail.len()).as_slice(), signed, &tail].concat();
    if der == canonical {
        Ok(())
    } else {
        Err(CsrError::NotParseable)
    }
}

fn sequence_head(len: usize) -> Vec<u8> {
    let octets = len.to_be_bytes();
    let significant = &octets[octets
        .iter()
        .position(|octet| *octet != 0)
        .unwrap_or(octets.len())..];
    match significant {
        [short @ 0..=0x7f] => vec![0x30, *short],
        [one] => vec![0x30, 0x81, *one],
        more => [&[0x30, 0x82], more].concat(),
    }
}

/// One that is no text counts as one without a name.
fn organizations(read: &X509CertificationRequest<'_>) -> Vec<String> {
    let names = read.certification_request_info.subject.iter_organization();
    names
        .map(|name| name.as_str().unwrap_or_default().to_owned())
        .collect()
}

fn common_names(read: &X509CertificationRequest<'_>) -> Result<Vec<String>, CsrError> {
    let names = read.certification_request_info.subject.iter_common_name();
    names
        .map(|name| Ok(name.as_str().map_err(|_| CsrError::NotParseable)?.to_owned()))
        .collect()
}

/// Walks every extension request, for a request may carry several, and returns the names asked for.
fn harmless_extensions(read: &X509CertificationRequest<'_>) -> Result<Vec<AskedName>, CsrError> {
    let mut names = Vec::new();
    for attribute in read.certification_request_info.iter_attributes() {
        let ParsedCriAttribute::ExtensionRequest(request) = attribute.parsed_attribute() else {
            continue;
        };
        for extension in &request.extensions {
            collect_names(extension.parsed_extension(), &mut names)?;
        }
    }
    Ok(names)
}

fn collect_names(extension: &ParsedExtension<'_>, names: &mut Vec<AskedName>) -> Result<(), CsrError> {
    match extension {
        ParsedExtension::BasicConstraints(asked) if asked.ca => Err(CsrError::AsksForAuthority),
        ParsedExtension::KeyUsage(asked) if asked.key_cert_sign() || asked.crl_sign() => {
            Err(CsrError::AsksForAuthority)
        }
        ParsedExtension::SubjectAlternativeName(asked) => {
            names.extend(asked.general_names.iter().map(asked_name));
            Ok(())
        }
        ParsedExtension::ParseError { .. } => Err(CsrError::NotParseable),
        _ => Ok(()),
    }
}

fn asked_name(name: &GeneralName<'_>) -> AskedName {
    match name {
        GeneralName::URI(uri) => AskedName::Uri((*uri).to_owned()),
        other => AskedName::Other(other.to_string()),
    }
}

impl From<PemError> for CsrError {
    fn from(error: PemError) -> CsrError {
        match error {
            PemError::NotPem => CsrError::NotParseable,
            PemError::TrailingData => CsrError::TrailingData,
        }
    }
}
