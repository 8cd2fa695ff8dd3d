//! Revocation lists: which certificates of an authority no longer count.

use std::collections::BTreeSet;

use rcgen::{
    CertificateRevocationListParams, KeyIdMethod, RevocationReason, RevokedCertParams, SerialNumber,
    date_time_ymd,
};
use serde::{Deserialize, Serialize};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::authority::Authority;
use crate::pem_text;
use crate::serial::Serial;
use crate::validity::{ValidityError, since_epoch, whole};

/// One certificate that no longer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// Its serial number.
    pub serial: Serial,
    /// When it was revoked, in milliseconds since 1970.
    pub at_ms: i64,
    /// Why.
    pub reason: Reason,
}

/// Why a certificate was revoked, as RFC 5280 has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// Not told; the list then leaves the reason out.
    #[default]
    Unspecified,
    /// The private key is or may be in other hands.
    KeyCompromise,
    /// The authority's own key is or may be in other hands.
    CaCompromise,
    /// The party's name or place in the fleet has changed.
    AffiliationChanged,
    /// Another certificate has taken its place.
    Superseded,
    /// The party has ceased to exist.
    CessationOfOperation,
    /// The party may no longer do what the certificate allowed.
    PrivilegeWithdrawn,
}

impl Reason {
    /// Its word in RFC 5280, section 5.3.1.
    pub fn word(self) -> &'static str {
        match self {
            Reason::Unspecified => "unspecified",
            Reason::KeyCompromise => "keyCompromise",
            Reason::CaCompromise => "cACompromise",
            Reason::AffiliationChanged => "affiliationChanged",
            Reason::Superseded => "superseded",
            Reason::CessationOfOperation => "cessationOfOperation",
            Reason::PrivilegeWithdrawn => "privilegeWithdrawn",
        }
    }

    /// By its number there; one that is not used here is none.
    pub(crate) fn of_code(code: u8) -> Reason {
        match code {
            1 => Reason::KeyCompromise,
            2 => Reason::CaCompromise,
            3 => Reason::AffiliationChanged,
            4 => Reason::Superseded,
            5 => Reason::CessationOfOperation,
            9 => Reason::PrivilegeWithdrawn,
            _ => Reason::Unspecified,
        }
    }
}

/// A signed revocation list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationList {
    /// The list's number; each list's is higher than the one before.
    pub number: u64,
    /// The list in PEM form.
    pub pem: String,
    /// The same in DER form.
    pub der: Vec<u8>,
    /// When it was made, in milliseconds since 1970.
    pub this_update_ms: i64,
    /// When the next one is due, in milliseconds since 1970.
    pub next_update_ms: i64,
}

/// Why a revocation list was not signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevocationListError {
    /// The next list would be due before this one was made.
    #[error("the next list must be due at least a second after this one")]
    NextUpdate,
    /// The same certificate twice.
    #[error("the certificate {0} is listed twice")]
    ListedTwice(Serial),
    /// An instant that no list can state.
    #[error(transparent)]
    Time(#[from] ValidityError),
    /// The cryptographic library refused to sign.
    #[error("the list could not be signed")]
    NotSigned,
    /// The list, read back, does not say what was asked for. It must not be published.
    #[error("the signed list deviates from what was asked for")]
    Deviation,
}

impl Authority {
    /// Signs the list of certificates that no longer count. An empty list has no list of entries at all.
    pub fn revocation_list(
        &self,
        number: u64,
        this_update_ms: i64,
        next_update_ms: i64,
        revoked: &[Revoked],
    ) -> Result<RevocationList, RevocationListError> {
        if whole(next_update_ms) <= whole(this_update_ms) {
            return Err(RevocationListError::NextUpdate);
        }
        demand_distinct(revoked)?;
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(1970, 1, 1) + since_epoch(this_update_ms)?,
            next_update: date_time_ymd(1970, 1, 1) + since_epoch(next_update_ms)?,
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect::<Result<_, _>>()?,
            key_identifier_method: KeyIdMethod::PreSpecified(self.own.key_id.clone()),
        };
        let signed = params
            .signed_by(&self.issuer)
            .map_err(|_| RevocationListError::NotSigned)?;
        let list = RevocationList {
            number,
            pem: pem_text::write_block("X509 CRL", signed.der()),
            der: signed.der().to_vec(),
            this_update_ms: whole(this_update_ms),
            next_update_ms: whole(next_update_ms),
        };
        if self.is_as_asked(&list, revoked) {
            Ok(list)
        } else {
            Err(RevocationListError::Deviation)
        }
    }

    /// Signs a list without entries: what a root publishes as long as no issuing authority is revoked.
    pub fn empty_revocation_list(
        &self,
        number: u64,
        this_update_ms: i64,
        next_update_ms: i64,
    ) -> Result<RevocationList, RevocationListError> {
        self.revocation_list(number, this_update_ms, next_update_ms, &[])
    }

    fn is_as_asked(&self, list: &RevocationList, revoked: &[Revoked]) -> bool {
        let Ok((rest, read)) = CertificateRevocationList::from_der(&list.der) else {
            return false;
        };
        let entries = read.iter_revoked_certificates().map(|entry| {
            let at_ms = entry.revocation_date.timestamp().saturating_mul(1000);
            let reason = entry.reason_code().map(|(_, code)| code.0);
            (entry.serial().to_bytes_be(), at_ms, reason)
        });
        rest.is_empty()
            && self
                .own
                .spki()
                .is_ok_and(|spki| read.verify_signature(&spki).is_ok())
            && read.issuer().as_raw() == self.own.subject_der
            && read
                .crl_number()
                .is_some_and(|number| *number == list.number.into())
            && read.last_update().timestamp().saturating_mul(1000) == list.this_update_ms
            && read.next_update().map(|at| at.timestamp().saturating_mul(1000)) == Some(list.next_update_ms)
            && entries.eq(revoked.iter().map(|revoked| {
                let reason = reason_code(revoked.reason).map(|code| code as u8);
                (revoked.serial.octets().to_vec(), whole(revoked.at_ms), reason)
            }))
    }
}

fn demand_distinct(revoked: &[Revoked]) -> Result<(), RevocationListError> {
    let mut seen = BTreeSet::new();
    match revoked.iter().find(|revoked| !seen.insert(revoked.serial)) {
        Some(twice) => Err(RevocationListError::ListedTwice(twice.serial)),
        None => Ok(()),
    }
}

fn entry(revoked: &Revoked) -> Result<RevokedCertParams, ValidityError> {
    Ok(RevokedCertParams {
        serial_number: SerialNumber::from_slice(revoked.serial.octets()),
        revocation_time: date_time_ymd(1970, 1, 1) + since_epoch(revoked.at_ms)?,
        reason_code: reason_code(revoked.reason),
        invalidity_date: None,
    })
}

fn reason_code(reason: Reason) -> Option<RevocationReason> {
    match reason {
        Reason::Unspecified => None,
        Reason::KeyCompromise => Some(RevocationReason::KeyCompromise),
        Reason::CaCompromise => Some(RevocationReason::CaCompromise),
        Reason::AffiliationChanged => Some(RevocationReason::AffiliationChanged),
        Reason::Superseded => Some(RevocationReason::Superseded),
        Reason::CessationOfOperation => Some(RevocationReason::CessationOfOperation),
        Reason::PrivilegeWithdrawn => Some(RevocationReason::PrivilegeWithdrawn),
    }
}
