//! Revocation lists that an authority published before, read back.

use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::authority::IssuingCertificate;
use crate::ca_certificate::CaCertificate;
use crate::pem_text;
use crate::revocation::{Reason, Revoked};
use crate::serial::Serial;

/// What a published list says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedList {
    /// The mark of the authority that signed it.
    pub issuer: String,
    /// Its number.
    pub number: u64,
    /// When it was made, in milliseconds since 1970.
    pub this_update_ms: i64,
    /// What is revoked.
    pub revoked: Vec<Revoked>,
}

/// Why a published list does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishedListError {
    /// The text is no sequence of lists in PEM form.
    #[error("it is no revocation list in PEM form")]
    NotPem,
    /// A list cannot be read, or has no number.
    #[error("a list in it cannot be read")]
    NotParseable,
    /// None of these authorities has signed it.
    #[error("a list in it is not signed by an issuing CA of this installation")]
    NotOurs,
}

impl PublishedList {
    /// Reads lists one after the other, as PEM, each of which one of these authorities must have signed.
    pub fn read_all(
        pem: &[u8],
        authorities: &[IssuingCertificate],
    ) -> Result<Vec<PublishedList>, PublishedListError> {
        let blocks = pem_text::all_blocks(pem, &["X509 CRL"]).map_err(|_| PublishedListError::NotPem)?;
        blocks.iter().map(|der| read(der, authorities)).collect()
    }
}

fn read(der: &[u8], authorities: &[IssuingCertificate]) -> Result<PublishedList, PublishedListError> {
    let unread = PublishedListError::NotParseable;
    let Ok((_, list)) = CertificateRevocationList::from_der(der) else {
        return Err(unread);
    };
    let mut signers = authorities.iter().filter(|one| has_signed(one, &list));
    let issuer = signers.next().ok_or(PublishedListError::NotOurs)?.id.clone();
    let number = list
        .crl_number()
        .and_then(|number| u64::try_from(number.clone()).ok());
    let revoked = list.iter_revoked_certificates().map(|entry| {
        let octets = entry.serial().to_bytes_be();
        let at_ms = entry.revocation_date.timestamp().saturating_mul(1000);
        let code = entry.reason_code().map_or(0, |(_, code)| code.0);
        Some(Revoked {
            serial: Serial::from_hex(&hex::encode(octets)).ok()?,
            at_ms,
            reason: Reason::of_code(code),
        })
    });
    Ok(PublishedList {
        issuer,
        number: number.ok_or(unread.clone())?,
        this_update_ms: list.last_update().timestamp().saturating_mul(1000),
        revoked: revoked.collect::<Option<_>>().ok_or(unread)?,
    })
}

fn has_signed(authority: &IssuingCertificate, list: &CertificateRevocationList<'_>) -> bool {
    let Ok(blocks) = pem_text::all_blocks(authority.pem.as_bytes(), &["CERTIFICATE"]) else {
        return false;
    };
    let own = blocks.first().and_then(|der| CaCertificate::parse(der).ok());
    own.is_some_and(|own| {
        own.subject_der == list.issuer().as_raw()
            && own.spki().is_ok_and(|spki| list.verify_signature(&spki).is_ok())
    })
}
