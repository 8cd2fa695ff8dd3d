//! An authority's certificate, read back and held against the authorities' profile.

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Version};

use crate::authority::AuthorityError;
use crate::key::PublicKey;
use crate::name_limits::NameLimits;
use crate::profile::{self, Tier};
use crate::validity::Validity;

/// What stands in the certificate of an authority.
pub(crate) struct CaCertificate {
    pub(crate) der: Vec<u8>,
    pub(crate) tier: Tier,
    /// Its serial number, most significant octet first.
    pub(crate) serial: Vec<u8>,
    pub(crate) key: PublicKey,
    pub(crate) key_id: Vec<u8>,
    pub(crate) validity: Validity,
    pub(crate) subject_der: Vec<u8>,
    /// Which hosts those below it may name.
    pub(crate) names: NameLimits,
    issuer_der: Vec<u8>,
}

impl CaCertificate {
    pub(crate) fn parse(der: &[u8]) -> Result<CaCertificate, AuthorityError> {
        let read = read(der)?;
        Ok(CaCertificate {
            der: der.to_vec(),
            tier: tier(&read)?,
            serial: read.serial.to_bytes_be(),
            key: PublicKey::from_spki(read.public_key().raw)?,
            key_id: key_id(&read)?,
            validity: Validity::of(read.validity()),
            subject_der: read.subject().as_raw().to_vec(),
            names: NameLimits::read(&read)?,
            issuer_der: read.issuer().as_raw().to_vec(),
        })
    }

    /// The same certificate, read as if it were for another key.
    pub(crate) fn with_key(&self, key: PublicKey) -> Result<CaCertificate, AuthorityError> {
        Ok(CaCertificate {
            key,
            ..CaCertificate::parse(&self.der)?
        })
    }

    /// The mark in its name, which tells it from others of its installation.
    pub(crate) fn mark(&self) -> String {
        profile::mark(&self.serial)
    }

    /// Demands that the other authority signed this one.
    pub(crate) fn demand_signed_by(&self, above: &CaCertificate) -> Result<(), AuthorityError> {
        let is_named = self.issuer_der == above.subject_der;
        if is_named && read(&self.der)?.verify_signature(Some(&above.spki()?)).is_ok() {
            return Ok(());
        }
        Err(AuthorityError::BrokenChain)
    }

    /// The public key in the form in which signatures are verified.
    pub(crate) fn spki(&self) -> Result<SubjectPublicKeyInfo<'_>, AuthorityError> {
        let read = SubjectPublicKeyInfo::from_der(self.key.spki_der());
        Ok(read.map_err(|_| AuthorityError::NotParseable)?.1)
    }
}

fn read(der: &[u8]) -> Result<X509Certificate<'_>, AuthorityError> {
    match X509Certificate::from_der(der) {
        Ok((rest, read)) if rest.is_empty() && read.version() == X509Version::V3 => Ok(read),
        _ => Err(AuthorityError::NotParseable),
    }
}

fn tier(read: &X509Certificate<'_>) -> Result<Tier, AuthorityError> {
    let may_sign = match read.key_usage() {
        Ok(Some(said)) => said.critical && said.value.key_cert_sign() && said.value.crl_sign(),
        _ => false,
    };
    let path_length = match read.basic_constraints() {
        Ok(Some(said)) if said.critical && said.value.ca => said.value.path_len_constraint,
        _ => return Err(AuthorityError::NotAnAuthority),
    };
    match path_length {
        _ if !may_sign => Err(AuthorityError::NotAnAuthority),
        Some(0) => Ok(Tier::Issuing),
        Some(1) => Ok(Tier::Root),
        // A firm's own root seldom bounds its paths.
        _ if read.subject().as_raw() == read.issuer().as_raw() => Ok(Tier::Root),
        _ => Err(AuthorityError::PathLength),
    }
}

fn key_id(read: &X509Certificate<'_>) -> Result<Vec<u8>, AuthorityError> {
    let said = read
        .extensions()
        .iter()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
            _ => None,
        });
    said.ok_or(AuthorityError::NotAnAuthority)
}
