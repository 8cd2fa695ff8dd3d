//! A root's link: the certificate by which a root that is trusted vouches for the one that follows it (`NewWithOld`, RFC
//! 4210, section 4.4).
//!
//! It has the next root's name and key and the former root's signature. Whoever trusts the former root and holds the next
//! root's own certificate beside it may trust that one as well. No issuing authority can make one: it is no root.

use std::time::Duration;

use cms::cert::x509::der::asn1::{BitString, GeneralizedTime, ObjectIdentifier, OctetString, UtcTime};
use cms::cert::x509::der::oid::AssociatedOid;
use cms::cert::x509::der::{Decode, Encode};
use cms::cert::x509::ext::Extension;
use cms::cert::x509::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, KeyUsage, KeyUsages, SubjectKeyIdentifier,
};
use cms::cert::x509::name::Name;
use cms::cert::x509::serial_number::SerialNumber;
use cms::cert::x509::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use cms::cert::x509::time::{Time, Validity as Period};
use cms::cert::x509::{Certificate, TbsCertificate, Version};
use rcgen::SigningKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;

use crate::authority::{Authority, AuthorityError, IssuingCertificate};
use crate::ca_certificate::CaCertificate;
use crate::key::{KeyKind, sha256_hex};
use crate::pem_text;
use crate::profile::Tier;
use crate::root::RootCertificate;
use crate::serial::Serial;
use crate::validity::{Validity, ValidityError, since_epoch};

/// A link, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootLink {
    /// The SHA-256 of it, in lower-case hex.
    pub fingerprint_sha256: String,
    /// It, in PEM form.
    pub pem: String,
    /// Its period of validity.
    pub validity: Validity,
    der: Vec<u8>,
}

/// Why no link was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// An issuing authority vouches for no root.
    #[error("only a root links another root")]
    WrongTier,
    /// A root needs no link to itself.
    #[error("it is the root that signs")]
    Itself,
    /// The two roots have no time in common from now on.
    #[error("it is not both roots' time")]
    Validity(#[from] ValidityError),
    /// Something in the next root's certificate cannot be written into another one.
    #[error("the next root's certificate cannot be written again")]
    NotWritable,
    /// The key refused to sign.
    #[error("the certificate could not be signed")]
    NotSigned,
    /// The certificate, read back, is not what was asked for. It must not be used.
    #[error("the link deviates from its profile")]
    Deviation(#[from] AuthorityError),
}

impl RootLink {
    /// Reads links one after the other.
    pub fn read_all(links_pem: &str) -> Result<Vec<RootLink>, AuthorityError> {
        let blocks = pem_text::all_blocks(links_pem.as_bytes(), &["CERTIFICATE"])?;
        blocks.into_iter().map(RootLink::read).collect()
    }

    fn read(der: Vec<u8>) -> Result<RootLink, AuthorityError> {
        let own = CaCertificate::parse(&der)?;
        if own.tier != Tier::Root || own.demand_signed_by(&own).is_ok() {
            return Err(AuthorityError::NoLink);
        }
        Ok(RootLink {
            fingerprint_sha256: sha256_hex(&der),
            pem: pem_text::write_block("CERTIFICATE", &der),
            validity: own.validity,
            der,
        })
    }

    /// Whether it is for just this root: its name, its key and its key's mark.
    pub fn leads_to(&self, root: &RootCertificate) -> bool {
        let (Ok(own), Ok(root)) = (CaCertificate::parse(&self.der), root.parsed()) else {
            return false;
        };
        own.subject_der == root.subject_der && own.key == root.key && own.key_id == root.key_id
    }

    /// Whether this root has signed it.
    pub fn is_signed_by(&self, root: &RootCertificate) -> bool {
        let (Ok(own), Ok(root)) = (CaCertificate::parse(&self.der), root.parsed()) else {
            return false;
        };
        own.demand_signed_by(&root).is_ok()
    }

    /// Whether the key that it is for has signed this issuing authority: whoever trusts the root that signed the link verifies
    /// what that authority issued with it.
    pub fn is_above(&self, issuing: &IssuingCertificate) -> bool {
        let blocks = pem_text::all_blocks(issuing.pem.as_bytes(), &["CERTIFICATE"]).unwrap_or_default();
        let issuing = blocks.first().map(|der| CaCertificate::parse(der));
        match (CaCertificate::parse(&self.der), issuing) {
            (Ok(own), Some(Ok(issuing))) => issuing.demand_signed_by(&own).is_ok(),
            _ => false,
        }
    }
}

/// Vouches for the next root with the former one's key, for as long as both last.
pub fn link_roots(
    former: &Authority,
    next: &RootCertificate,
    serial: Serial,
    now_ms: i64,
) -> Result<RootLink, LinkError> {
    if former.tier() != Tier::Root {
        return Err(LinkError::WrongTier);
    }
    let below = next.parsed()?;
    if below.key == former.own.key {
        return Err(LinkError::Itself);
    }
    let longest = u64::try_from(next.validity.not_after_ms.saturating_sub(now_ms)).unwrap_or_default();
    let within = Validity::within(former.validity(), now_ms, longest)?;
    if !next.validity.contains(now_ms) {
        return Err(ValidityError::AuthorityNotValid.into());
    }
    let validity = Validity {
        not_before_ms: within.not_before_ms.max(next.validity.not_before_ms),
        not_after_ms: within.not_after_ms.min(next.validity.not_after_ms),
    };
    let der = signed(former, &below, serial, validity).ok_or(LinkError::NotWritable)??;
    let link = RootLink::read(der)?;
    demand_as_asked(&link, former, &below, serial, validity)?;
    Ok(link)
}

/// Writes it octet for octet as both roots name themselves, which whoever compares names by their octets needs; `None`:
/// it cannot be written.
fn signed(
    former: &Authority,
    next: &CaCertificate,
    serial: Serial,
    validity: Validity,
) -> Option<Result<Vec<u8>, LinkError>> {
    let algorithm = AlgorithmIdentifierOwned {
        oid: signature_oid(former.own.key.kind()),
        parameters: None,
    };
    let content = TbsCertificate {
        version: Version::V3,
        serial_number: SerialNumber::new(serial.octets()).ok()?,
        signature: algorithm.clone(),
        issuer: Name::from_der(&former.own.subject_der).ok()?,
        validity: Period {
            not_before: time(validity.not_before_ms)?,
            not_after: time(validity.not_after_ms)?,
        },
        subject: Name::from_der(&next.subject_der).ok()?,
        subject_public_key_info: SubjectPublicKeyInfoOwned::from_der(next.key.spki_der()).ok()?,
        issuer_unique_id: None,
        subject_unique_id: None,
        extensions: Some(extensions(former, next)?),
    };
    let Ok(signature) = former.issuer.key().sign(&content.to_der().ok()?) else {
        return Some(Err(LinkError::NotSigned));
    };
    let whole = Certificate {
        tbs_certificate: content,
        signature_algorithm: algorithm,
        signature: BitString::from_bytes(&signature).ok()?,
    };
    whole.to_der().ok().map(Ok)
}

/// As a root has them, and both key identifiers.
fn extensions(former: &Authority, next: &CaCertificate) -> Option<Vec<Extension>> {
    let constraints = BasicConstraints {
        ca: true,
        path_len_constraint: Some(Tier::Root.path_length()),
    };
    let usage = KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign);
    let own = SubjectKeyIdentifier(OctetString::new(next.key_id.as_slice()).ok()?);
    let above = AuthorityKeyIdentifier {
        key_identifier: Some(OctetString::new(former.own.key_id.as_slice()).ok()?),
        authority_cert_issuer: None,
        authority_cert_serial_number: None,
    };
    Some(vec![
        extension(&constraints, true)?,
        extension(&usage, true)?,
        extension(&own, false)?,
        extension(&above, false)?,
    ])
}

fn extension<E: Encode + AssociatedOid>(value: &E, critical: bool) -> Option<Extension> {
    Some(Extension {
        extn_id: E::OID,
        critical,
        extn_value: OctetString::new(value.to_der().ok()?).ok()?,
    })
}

/// The one algorithm of each kind of key, as [`Signer`](crate::Signer) signs.
fn signature_oid(kind: KeyKind) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(match kind {
        KeyKind::P256 => "1.2.840.10045.4.3.2",
        KeyKind::P384 => "1.2.840.10045.4.3.3",
        KeyKind::Ed25519 => "1.3.101.112",
    })
}

/// Until 2049 in the short form (RFC 5280, section 4.1.2.5).
fn time(ms: i64) -> Option<Time> {
    let since: Duration = since_epoch(ms).ok()?;
    match UtcTime::from_unix_duration(since) {
        Ok(short) => Some(Time::UtcTime(short)),
        Err(_) => GeneralizedTime::from_unix_duration(since)
            .ok()
            .map(Time::GeneralTime),
    }
}

/// Read by another library than the one that wrote it.
fn demand_as_asked(
    link: &RootLink,
    former: &Authority,
    next: &CaCertificate,
    serial: Serial,
    validity: Validity,
) -> Result<(), AuthorityError> {
    let own = CaCertificate::parse(&link.der)?;
    own.demand_signed_by(&former.own)?;
    if own.key != next.key || own.key_id != next.key_id {
        return Err(AuthorityError::KeyMismatch);
    }
    let is_as_asked = own.subject_der == next.subject_der
        && own.serial == serial.octets()
        && own.validity == validity
        && authority_key_id(&link.der).as_deref() == Some(former.own.key_id.as_slice());
    match is_as_asked {
        true => Ok(()),
        false => Err(AuthorityError::NoLink),
    }
}

fn authority_key_id(der: &[u8]) -> Option<Vec<u8>> {
    let (_, read) = X509Certificate::from_der(der).ok()?;
    read.extensions()
        .iter()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0.to_vec()),
            _ => None,
        })
}

#[cfg(test)]
mod tests;
