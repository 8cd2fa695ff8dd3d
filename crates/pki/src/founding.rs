//! Founds a site's authorities: the root, and the issuing ones under it.

use crate::authority::{Authority, AuthorityError, NewAuthority};
use crate::ca_certificate::CaCertificate;
use crate::key::{KeyError, KeyKind, PrivateKey, PublicKey, generate_key};
use crate::name::{NameError, word};
use crate::name_limits::{NameLimits, Subtree};
use crate::pem_text;
use crate::profile::{self, Tier};
use crate::serial::Serial;
use crate::validity::{Validity, ValidityError};

/// What a new authority shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charter<'a> {
    /// The installation it is for.
    pub site: &'a str,
    /// The kind of its key.
    pub key: KeyKind,
    /// Its serial number.
    pub serial: Serial,
    /// The present, in milliseconds since 1970.
    pub now_ms: i64,
    /// How long it shall last; an issuing authority never outlasts its root.
    pub lifetime_ms: u64,
}

/// Why an authority cannot be founded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FoundingError {
    /// The site is not a word.
    #[error(transparent)]
    Site(#[from] NameError),
    /// No key could be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The period of validity cannot be given.
    #[error(transparent)]
    Validity(#[from] ValidityError),
    /// Only a root founds issuing authorities.
    #[error("only a root authority signs another authority")]
    WrongTier,
    /// The cryptographic library refused to sign.
    #[error("the certificate could not be signed")]
    NotSigned,
    /// The certificate, read back, is not what was asked for. It must not be used.
    #[error("the new authority's certificate deviates from its profile")]
    Deviation(#[from] AuthorityError),
}

/// Founds a root authority with a fresh key.
pub fn create_root(charter: &Charter<'_>) -> Result<NewAuthority, FoundingError> {
    let validity = Validity::starting(charter.now_ms, charter.lifetime_ms)?;
    let params = profile::authority(Tier::Root, &word(charter.site)?, charter.serial, validity, &[])?;
    let key_pem = generate_key(charter.key)?;
    let signed = params.self_signed(&PrivateKey::from_pem(&key_pem)?);
    let der = signed.map_err(|_| FoundingError::NotSigned)?.der().to_vec();
    let root = CaCertificate::parse(&der)?;
    root.demand_signed_by(&root)?;
    Ok(NewAuthority {
        chain_pem: pem_text::write_block("CERTIFICATE", &der),
        key_pem,
    })
}

/// Founds an issuing authority with a fresh key under a root.
pub fn create_issuing(root: &Authority, charter: &Charter<'_>) -> Result<NewAuthority, FoundingError> {
    let key_pem = generate_key(charter.key)?;
    let key = PrivateKey::from_pem(&key_pem)?.public()?;
    let chain_pem = certify_issuing(root, &key, charter, &[])?;
    Ok(NewAuthority { chain_pem, key_pem })
}

/// Founds an issuing authority whose key somebody else holds and has proved to hold: its certificate followed by those
/// above it, PEM. The kind of key in the charter does not count. It may name hosts of these and of no others; none: of any.
pub fn certify_issuing(
    root: &Authority,
    key: &PublicKey,
    charter: &Charter<'_>,
    permitted: &[Subtree],
) -> Result<String, FoundingError> {
    if root.tier() != Tier::Root {
        return Err(FoundingError::WrongTier);
    }
    let validity = Validity::within(root.validity(), charter.now_ms, charter.lifetime_ms)?;
    let params = profile::authority(
        Tier::Issuing,
        &word(charter.site)?,
        charter.serial,
        validity,
        permitted,
    )?;
    let signed = params.signed_by(key, &root.issuer);
    let der = signed.map_err(|_| FoundingError::NotSigned)?.der().to_vec();
    let made = CaCertificate::parse(&der)?;
    made.demand_signed_by(&root.own)?;
    if made.key != *key {
        return Err(AuthorityError::KeyMismatch.into());
    }
    if made.names != NameLimits::permitting(permitted) {
        return Err(AuthorityError::NameConstraints.into());
    }
    Ok(pem_text::write_block("CERTIFICATE", &der) + &root.chain_pem())
}
