//! Reads any certificate below the issuing authority and demands what all of them have in common.
//!
//! Used twice, on what we have just signed and on what a peer presents, so that the rules stand once.

use std::net::IpAddr;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{
    OID_PKIX_AUTHORITY_INFO_ACCESS, OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER, OID_X509_EXT_BASIC_CONSTRAINTS,
    OID_X509_EXT_CERTIFICATE_POLICIES, OID_X509_EXT_CRL_DISTRIBUTION_POINTS, OID_X509_EXT_EXTENDED_KEY_USAGE,
    OID_X509_EXT_KEY_USAGE, OID_X509_EXT_SUBJECT_ALT_NAME, OID_X509_EXT_SUBJECT_KEY_IDENTIFIER, Oid,
};
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Version;

use crate::ca_certificate::CaCertificate;
use crate::plan::Host;
use crate::validity::Validity;

/// The bit of key usage that digitalSignature is, alone.
const DIGITAL_SIGNATURE: u16 = 1;

/// Why a certificate is not one of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// The bytes are no certificate, or more than one.
    #[error("this is not a certificate")]
    NotParseable,
    /// An X.509 certificate of version 1 or 2.
    #[error("the certificate is not of version 3")]
    NotVersion3,
    /// CA:TRUE, or nothing said about it.
    #[error("the certificate does not say that it is no authority")]
    NotAnEndEntity,
    /// Key usage is absent, not critical, or other than digitalSignature.
    #[error("the key usage is not digitalSignature alone")]
    KeyUsage,
    /// The extended key usage is absent or not the one demanded.
    #[error("the extended key usage is not the one demanded")]
    ExtendedKeyUsage,
    /// A key identifier is missing.
    #[error("a key identifier is missing")]
    KeyIdentifier,
    /// There is not exactly one common name, or it is not the id.
    #[error("the common name is not the id")]
    CommonName,
    /// The alternative names are absent, or not of the form demanded.
    #[error("the alternative name does not name one party")]
    AlternativeName,
    /// A critical extension that the profile does not have.
    #[error("the certificate has an unexpected critical extension")]
    UnknownCriticalExtension,
}

/// What stands in a certificate that is no authority.
pub(crate) struct Leaf<'a> {
    pub(crate) certificate: X509Certificate<'a>,
    pub(crate) common_name: String,
    pub(crate) purpose: Purpose,
    pub(crate) names: Vec<AlternativeName>,
    pub(crate) issuer_key_id: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Client,
    Server,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AlternativeName {
    Uri(String),
    Host(Host),
}

impl<'a> Leaf<'a> {
    pub(crate) fn read(der: &'a [u8]) -> Result<Leaf<'a>, ProfileError> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| ProfileError::NotParseable)?;
        if !rest.is_empty() {
            return Err(ProfileError::NotParseable);
        }
        if certificate.version() != X509Version::V3 {
            return Err(ProfileError::NotVersion3);
        }
        demand_end_entity(&certificate)?;
        demand_key_usage(&certificate)?;
        demand_known_extensions(&certificate)?;
        Ok(Leaf {
            common_name: common_name(&certificate)?,
            purpose: purpose(&certificate)?,
            names: alternative_names(&certificate)?,
            issuer_key_id: issuer_key_id(&certificate)?,
            certificate,
        })
    }

    pub(crate) fn serial_hex(&self) -> String {
        hex::encode(self.certificate.serial.to_bytes_be())
    }

    pub(crate) fn validity(&self) -> Validity {
        Validity::of(self.certificate.validity())
    }

    /// Whether there is no extension but those that we write.
    pub(crate) fn has_only_our_extensions(&self) -> bool {
        let ours: [Oid<'_>; 9] = [
            OID_X509_EXT_BASIC_CONSTRAINTS,
            OID_X509_EXT_KEY_USAGE,
            OID_X509_EXT_EXTENDED_KEY_USAGE,
            OID_X509_EXT_SUBJECT_ALT_NAME,
            OID_X509_EXT_SUBJECT_KEY_IDENTIFIER,
            OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER,
            OID_X509_EXT_CRL_DISTRIBUTION_POINTS,
            OID_X509_EXT_CERTIFICATE_POLICIES,
            OID_PKIX_AUTHORITY_INFO_ACCESS,
        ];
        let mut extensions = self.certificate.extensions().iter();
        extensions.all(|said| ours.contains(&said.oid))
    }

    /// Whether it says that this authority issued it.
    pub(crate) fn names_issuer(&self, authority: &CaCertificate) -> bool {
        self.certificate.issuer().as_raw() == authority.subject_der
    }

    /// Whether this authority issued it.
    pub(crate) fn is_signed_by(&self, authority: &CaCertificate) -> bool {
        let Ok(key) = authority.spki() else {
            return false;
        };
        self.names_issuer(authority)
            && self.issuer_key_id == authority.key_id
            && self.certificate.verify_signature(Some(&key)).is_ok()
    }
}

fn demand_end_entity(certificate: &X509Certificate<'_>) -> Result<(), ProfileError> {
    match certificate.basic_constraints() {
        Ok(Some(said)) if said.critical && !said.value.ca => Ok(()),
        _ => Err(ProfileError::NotAnEndEntity),
    }
}

fn demand_key_usage(certificate: &X509Certificate<'_>) -> Result<(), ProfileError> {
    match certificate.key_usage() {
        Ok(Some(said)) if said.critical && said.value.flags == DIGITAL_SIGNATURE => Ok(()),
        _ => Err(ProfileError::KeyUsage),
    }
}

fn demand_known_extensions(certificate: &X509Certificate<'_>) -> Result<(), ProfileError> {
    let known: [Oid<'_>; 4] = [
        OID_X509_EXT_BASIC_CONSTRAINTS,
        OID_X509_EXT_KEY_USAGE,
        OID_X509_EXT_EXTENDED_KEY_USAGE,
        OID_X509_EXT_SUBJECT_ALT_NAME,
    ];
    let strange = certificate
        .extensions()
        .iter()
        .any(|said| said.critical && !known.contains(&said.oid));
    if strange {
        Err(ProfileError::UnknownCriticalExtension)
    } else {
        Ok(())
    }
}

fn common_name(certificate: &X509Certificate<'_>) -> Result<String, ProfileError> {
    let mut names = certificate.subject().iter_common_name();
    let (Some(name), None) = (names.next(), names.next()) else {
        return Err(ProfileError::CommonName);
    };
    Ok(name.as_str().map_err(|_| ProfileError::CommonName)?.to_owned())
}

fn purpose(certificate: &X509Certificate<'_>) -> Result<Purpose, ProfileError> {
    let Ok(Some(said)) = certificate.extended_key_usage() else {
        return Err(ProfileError::ExtendedKeyUsage);
    };
    let said = said.value;
    let has_more =
        said.any || said.code_signing || said.email_protection || said.time_stamping || said.ocsp_signing;
    match (said.client_auth, said.server_auth) {
        // What else a client's is for, by its issuer's word, gives it nothing here.
        (true, false) if !has_more => Ok(Purpose::Client),
        (false, true) if !has_more && said.other.is_empty() => Ok(Purpose::Server),
        _ => Err(ProfileError::ExtendedKeyUsage),
    }
}

fn alternative_names(certificate: &X509Certificate<'_>) -> Result<Vec<AlternativeName>, ProfileError> {
    let Ok(Some(said)) = certificate.subject_alternative_name() else {
        return Err(ProfileError::AlternativeName);
    };
    said.value.general_names.iter().map(alternative_name).collect()
}

fn alternative_name(name: &GeneralName<'_>) -> Result<AlternativeName, ProfileError> {
    match name {
        GeneralName::URI(uri) => Ok(AlternativeName::Uri((*uri).to_owned())),
        GeneralName::DNSName(name) => Ok(AlternativeName::Host(Host::Dns((*name).to_owned()))),
        GeneralName::IPAddress(octets) => address(octets),
        _ => Err(ProfileError::AlternativeName),
    }
}

fn address(octets: &[u8]) -> Result<AlternativeName, ProfileError> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    let v6 = <[u8; 16]>::try_from(octets).map(IpAddr::from);
    let address = v4.or(v6).map_err(|_| ProfileError::AlternativeName)?;
    Ok(AlternativeName::Host(Host::Ip(address)))
}

fn issuer_key_id(certificate: &X509Certificate<'_>) -> Result<Vec<u8>, ProfileError> {
    let mut own = false;
    let mut issuers = None;
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(_) => own = true,
            ParsedExtension::AuthorityKeyIdentifier(said) => issuers = said.key_identifier.as_ref(),
            _ => {}
        }
    }
    match issuers {
        Some(id) if own => Ok(id.0.to_vec()),
        _ => Err(ProfileError::KeyIdentifier),
    }
}
