//! Factory certificates: what a manufacturer put into its devices (IDevID, IEEE 802.1AR), judged against the CAs of
//! that one manufacturer.
//!
//! Signatures, times, names and constraints are webpki's to verify. What it does not look at is demanded here: the key
//! usage of each certificate, and the path length and the time of the CA at the top.

use std::{sync::Arc, time::Duration};

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{
    ALL_VERIFICATION_ALGS, CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage,
    OwnedCertRevocationList, RevocationOptionsBuilder, UnknownStatusPolicy, VerifiedPath,
    anchor_from_trusted_cert,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::{OID_X509_COMMON_NAME, OID_X509_SERIALNUMBER, Oid};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Version};

use crate::key::sha256_hex;
use crate::pem_text;
use crate::validity::Validity;

/// The longest text of a manufacturer's CAs that is read, bytes.
pub const FACTORY_CA_MAX_BYTES: usize = 16 * 1024;
/// The longest text of a manufacturer's revocation lists that is read, bytes: some thousand certificates.
pub const FACTORY_CRL_MAX_BYTES: usize = 40 * 1024;
/// The most lists of one manufacturer: one of each CA.
const LISTS_MAX: usize = ANCHORS_MAX;
/// The most CAs of one manufacturer.
const ANCHORS_MAX: usize = 8;
/// The most certificates that a device shows: its own, and those up to the manufacturer's CA.
const CHAIN_MAX: usize = 6;
/// The longest name that a device goes by, characters: as long as X.520 lets a serial number be.
const NAME_MAX: usize = 64;

/// The CAs of one manufacturer, trusted for its devices' factory certificates and for nothing else.
#[derive(Clone, Debug)]
pub struct FactoryTrust {
    anchors: Vec<Anchor>,
    lists: Vec<List>,
}

/// A revocation list of one of its CAs.
#[derive(Clone, Debug)]
struct List {
    read: Arc<CertRevocationList<'static>>,
    issuer_der: Vec<u8>,
    number: Vec<u8>,
    revoked: usize,
}

#[derive(Clone, Debug)]
struct Anchor {
    trusted: TrustAnchor<'static>,
    subject_der: Vec<u8>,
    spki_der: Vec<u8>,
    key: String,
    /// CAs that may stand between it and a device.
    path_length: Option<u32>,
    validity: Validity,
}

/// What a factory certificate says of its device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactoryCertificate {
    /// The subject's serialNumber; empty when it has none.
    pub serial_number: String,
    /// The subject's common name; empty when it has none.
    pub common_name: String,
    /// The SHA-256 of the whole certificate, in lower-case hex.
    pub fingerprint_sha256: String,
    /// The SHA-256 of its SubjectPublicKeyInfo, in lower-case hex.
    pub key_fingerprint_sha256: String,
    /// The first instant of validity, in milliseconds since 1970.
    pub not_before_ms: i64,
    /// The last instant of validity, in milliseconds since 1970; the end of 9999 says that there is none.
    pub not_after_ms: i64,
}

/// Why a text is not a manufacturer's CAs, or a certificate not one of its devices'.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FactoryError {
    /// Not one certificate in the form that is expected, or more than may be.
    #[error("these are not one to {ANCHORS_MAX} certificates in PEM form")]
    NotParseable,
    /// The certificate of no CA.
    #[error("`{0}` may not sign certificates: it is not a CA's (RFC 5280, sections 4.2.1.3 and 4.2.1.9)")]
    NotAnAuthority(String),
    /// More certificates than anybody needs.
    #[error("it comes with more than {CHAIN_MAX} certificates")]
    TooLong,
    /// The device's certificate cannot be read.
    #[error("the factory certificate cannot be read")]
    NotACertificate,
    /// It may sign certificates, or may not sign a handshake.
    #[error("the factory certificate's key usage is not a device's")]
    KeyUsage,
    /// A name that is there twice, too long, or not printable.
    #[error("the factory certificate's subject does not name one device")]
    Name,
    /// Not revocation lists in the form that is expected, or more than may be.
    #[error(
        "these are not one to {LISTS_MAX} revocation lists in PEM form of at most {FACTORY_CRL_MAX_BYTES} bytes, each with its number"
    )]
    NoLists,
    /// A list that somebody else signed.
    #[error("a revocation list is not signed by one of the manufacturer's CAs")]
    ForeignList,
    /// Its manufacturer has taken it back.
    #[error("the manufacturer has revoked the factory certificate")]
    Revoked,
    /// It does not lead to one of the manufacturer's CAs now.
    #[error("the factory certificate does not lead to the manufacturer's CA: {0}")]
    Untrusted(String),
}

impl FactoryTrust {
    /// Reads a manufacturer's CAs in PEM form. Each is trusted by itself: those between a root and a device need not be
    /// among them, if the device sends them.
    pub fn read(ca_pem: &str) -> Result<FactoryTrust, FactoryError> {
        if ca_pem.len() > FACTORY_CA_MAX_BYTES {
            return Err(FactoryError::NotParseable);
        }
        let blocks = pem_text::all_blocks(ca_pem.as_bytes(), &["CERTIFICATE"]);
        let blocks = blocks.map_err(|_| FactoryError::NotParseable)?;
        if !(1..=ANCHORS_MAX).contains(&blocks.len()) {
            return Err(FactoryError::NotParseable);
        }
        let anchors = blocks.iter().map(|der| Anchor::read(der));
        Ok(FactoryTrust {
            anchors: anchors.collect::<Result<_, _>>()?,
            lists: Vec::new(),
        })
    }

    /// The same with revocation lists in PEM form, each of one of these CAs. A list counts until another takes its place, also
    /// after the time at which its maker promised that one.
    pub fn revoking(self, crl_pem: &str) -> Result<FactoryTrust, FactoryError> {
        if crl_pem.len() > FACTORY_CRL_MAX_BYTES {
            return Err(FactoryError::NoLists);
        }
        let blocks = pem_text::all_blocks(crl_pem.as_bytes(), &["X509 CRL"]);
        let blocks = blocks.map_err(|_| FactoryError::NoLists)?;
        if !(1..=LISTS_MAX).contains(&blocks.len()) {
            return Err(FactoryError::NoLists);
        }
        let lists = blocks
            .iter()
            .map(|der| self.list(der))
            .collect::<Result<_, _>>()?;
        Ok(FactoryTrust { lists, ..self })
    }

    fn list(&self, der: &[u8]) -> Result<List, FactoryError> {
        let (rest, said) = CertificateRevocationList::from_der(der).map_err(|_| FactoryError::NoLists)?;
        let read = OwnedCertRevocationList::from_der(der).map_err(|_| FactoryError::NoLists)?;
        let number = said.crl_number().filter(|_| rest.is_empty());
        let issuer_der = said.issuer().as_raw().to_vec();
        let has_signed = |anchor: &Anchor| {
            let spki = SubjectPublicKeyInfo::from_der(&anchor.spki_der);
            anchor.subject_der == issuer_der
                && spki.is_ok_and(|(_, spki)| said.verify_signature(&spki).is_ok())
        };
        if !self.anchors.iter().any(has_signed) {
            return Err(FactoryError::ForeignList);
        }
        Ok(List {
            number: number.ok_or(FactoryError::NoLists)?.to_bytes_be(),
            revoked: said.iter_revoked_certificates().count(),
            read: Arc::new(read.into()),
            issuer_der,
        })
    }

    /// Certificates in its lists.
    pub fn revoked(&self) -> usize {
        self.lists.iter().map(|list| list.revoked).sum()
    }

    /// Whether a list here is older than the one of the same CA there.
    pub fn is_behind(&self, there: &FactoryTrust) -> bool {
        let older = |one: &List, other: &List| {
            one.issuer_der == other.issuer_der
                && (one.number.len(), &one.number) < (other.number.len(), &other.number)
        };
        self.lists
            .iter()
            .any(|one| there.lists.iter().any(|other| older(one, other)))
    }

    /// Judges what a client shows in a handshake, its own certificate first.
    pub fn verify(
        &self,
        shown: &[CertificateDer<'_>],
        now_ms: i64,
    ) -> Result<FactoryCertificate, FactoryError> {
        let (first, above) = shown.split_first().ok_or(FactoryError::NotACertificate)?;
        if shown.len() > CHAIN_MAX {
            return Err(FactoryError::TooLong);
        }
        let read = FactoryCertificate::read(first)?;
        let untrusted = |error: webpki::Error| FactoryError::Untrusted(error.to_string());
        let certificate = EndEntityCert::try_from(first).map_err(untrusted)?;
        let anchors: Vec<_> = self.anchors.iter().map(|one| one.trusted.clone()).collect();
        let now = Duration::from_millis(u64::try_from(now_ms).unwrap_or_default());
        let path = |path: &VerifiedPath<'_>| self.demand_path(path, now_ms);
        let lists: Vec<_> = self.lists.iter().map(|list| &*list.read).collect();
        let revocation = RevocationOptionsBuilder::new(&lists).ok().map(|options| {
            // Of a CA that has given no list nothing is known to be revoked.
            let options = options.with_status_policy(UnknownStatusPolicy::Allow);
            options.with_expiration_policy(ExpirationPolicy::Ignore).build()
        });
        let verified = certificate.verify_for_usage(
            ALL_VERIFICATION_ALGS,
            &anchors,
            above,
            UnixTime::since_unix_epoch(now),
            KeyUsage::client_auth(),
            revocation,
            Some(&path),
        );
        verified.map(|_| read).map_err(|error| match error {
            webpki::Error::CertRevoked => FactoryError::Revoked,
            error => untrusted(error),
        })
    }

    /// The SHA-256 of each CA's SubjectPublicKeyInfo, in lower-case hex.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.anchors.iter().map(|anchor| anchor.key.as_str())
    }

    /// Each CA's name, DER.
    pub fn subjects(&self) -> impl Iterator<Item = &[u8]> {
        self.anchors.iter().map(|anchor| anchor.subject_der.as_slice())
    }

    /// What webpki leaves open of a path that it has verified.
    fn demand_path(&self, path: &VerifiedPath<'_>, now_ms: i64) -> Result<(), webpki::Error> {
        let mut authorities = 0;
        for between in path.intermediate_certificates() {
            let der = between.der();
            let (_, read) = X509Certificate::from_der(&der).map_err(|_| webpki::Error::BadDer)?;
            if !may_sign(&read) {
                return Err(webpki::Error::EndEntityUsedAsCa);
            }
            // RFC 5280, section 6.1.4 (l): what an authority issues to itself does not count.
            authorities += u32::from(read.subject().as_raw() != read.issuer().as_raw());
        }
        let top = self.anchors.iter().find(|one| one.trusted == *path.anchor());
        let top = top.ok_or(webpki::Error::UnknownIssuer)?;
        if top.path_length.is_some_and(|most| authorities > most) {
            return Err(webpki::Error::PathLenConstraintViolated);
        }
        match top.validity.contains(now_ms) {
            true => Ok(()),
            false => Err(webpki::Error::InvalidCertValidity),
        }
    }
}

impl Anchor {
    fn read(der: &[u8]) -> Result<Anchor, FactoryError> {
        let read = read(der).ok_or(FactoryError::NotParseable)?;
        let no_authority = || FactoryError::NotAnAuthority(read.subject().to_string());
        let said = read.basic_constraints().ok().flatten();
        let said = said.filter(|said| said.value.ca).ok_or_else(no_authority)?;
        if !may_sign(&read) {
            return Err(no_authority());
        }
        let certificate = CertificateDer::from(der);
        let trusted = anchor_from_trusted_cert(&certificate).map_err(|_| no_authority())?;
        Ok(Anchor {
            trusted: trusted.to_owned(),
            subject_der: read.subject().as_raw().to_vec(),
            spki_der: read.public_key().raw.to_vec(),
            key: sha256_hex(read.public_key().raw),
            path_length: said.value.path_len_constraint,
            validity: Validity::of(read.validity()),
        })
    }
}

impl FactoryCertificate {
    /// Reads a device's certificate, DER. Whose it is and whether it counts, [`FactoryTrust::verify`] says.
    pub fn read(der: &[u8]) -> Result<FactoryCertificate, FactoryError> {
        let read = read(der).ok_or(FactoryError::NotACertificate)?;
        match read.key_usage() {
            Ok(None) => {}
            Ok(Some(said)) if said.value.digital_signature() && !said.value.key_cert_sign() => {}
            _ => return Err(FactoryError::KeyUsage),
        }
        let validity = Validity::of(read.validity());
        Ok(FactoryCertificate {
            serial_number: only(&read, &OID_X509_SERIALNUMBER)?,
            common_name: only(&read, &OID_X509_COMMON_NAME)?,
            fingerprint_sha256: sha256_hex(der),
            key_fingerprint_sha256: sha256_hex(read.public_key().raw),
            not_before_ms: validity.not_before_ms,
            not_after_ms: validity.not_after_ms,
        })
    }

    /// The same of the first certificate of a chain in PEM form, the device's own.
    pub fn read_pem(chain_pem: &str) -> Result<FactoryCertificate, FactoryError> {
        let blocks = pem_text::all_blocks(chain_pem.as_bytes(), &["CERTIFICATE"]);
        let blocks = blocks.map_err(|_| FactoryError::NotACertificate)?;
        FactoryCertificate::read(blocks.first().ok_or(FactoryError::NotACertificate)?)
    }
}

/// Whether a certificate, DER, says that one of these authorities issued it. Nothing is verified by that: it says whose
/// it must be.
pub fn names_issuer(der: &[u8], authorities: &[CertificateDer<'_>]) -> bool {
    let Some(read) = read(der) else { return false };
    let issuer = read.issuer().as_raw();
    authorities
        .iter()
        .any(|one| self::read(one).is_some_and(|one| one.subject().as_raw() == issuer))
}

fn read(der: &[u8]) -> Option<X509Certificate<'_>> {
    let (rest, read) = X509Certificate::from_der(der).ok()?;
    (rest.is_empty() && read.version() == X509Version::V3).then_some(read)
}

/// RFC 5280, section 6.1.4 (n): a key usage need not be there; where it is, it must say so.
fn may_sign(read: &X509Certificate<'_>) -> bool {
    match read.key_usage() {
        Ok(said) => said.is_none_or(|said| said.value.key_cert_sign()),
        Err(_) => false,
    }
}

/// A name that the subject has once or not at all.
fn only(read: &X509Certificate<'_>, oid: &Oid<'_>) -> Result<String, FactoryError> {
    let subject = read.subject();
    let mut found = subject
        .iter_attributes()
        .filter(|attribute| attribute.attr_type() == oid);
    let Some(attribute) = found.next() else {
        return Ok(String::new());
    };
    let text = attribute.as_str().map_err(|_| FactoryError::Name)?;
    let is_printable = text.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    let fits = (1..=NAME_MAX).contains(&text.len()) && is_printable && text.trim() == text;
    match fits && found.next().is_none() {
        true => Ok(text.to_owned()),
        false => Err(FactoryError::Name),
    }
}
