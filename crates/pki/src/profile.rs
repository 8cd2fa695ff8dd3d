//! The certificate profiles as data: the only place that says which extensions stand in a certificate.
//!
//! | | basic constraints | key usage | extended | names |
//! |---|---|---|---|---|
//! | root CA | CA, path length 1 | keyCertSign, cRLSign | – | O = site, CN |
//! | a root's link | CA, path length 1 | keyCertSign, cRLSign | – | the next root's |
//! | issuing CA | CA, path length 0 | keyCertSign, cRLSign | – | O = site, CN |
//! | client | not a CA | digitalSignature | clientAuth | CN = id, one URI |
//! | server | not a CA | digitalSignature | serverAuth | CN = id, DNS names and addresses |
//!
//! A root's link is written by [`link_roots`](crate::link_roots), which takes names over octet for octet. A client's may say more ([`Extras`](crate::Extras)), if its plan does.
//!
//! Basic constraints and key usage are critical. All but the root carry both key identifiers. Name
//! constraints only where they are asked for, on DNS names and addresses, critical: verifiers refuse those on URIs.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, SanType, SerialNumber,
};

use crate::name_limits::{self, Subtree};
use crate::plan::{Host, Plan, Profile};
use crate::serial::Serial;
use crate::validity::{Validity, ValidityError};

/// The two ranks of authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Kept offline; signs issuing authorities and its own revocation list.
    Root,
    /// Signs clients, servers and revocation lists.
    Issuing,
}

/// Why a plan cannot be written as a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileMismatch {
    /// The period of validity cannot be stated.
    #[error(transparent)]
    Validity(#[from] ValidityError),
    /// A name that is neither a DNS name nor an address, or no name at all.
    #[error("a server certificate needs well-formed host names")]
    Hosts,
    /// A name that does not fit the encoding.
    #[error("a name does not fit the encoding of certificates")]
    Name,
}

impl Tier {
    pub(crate) fn path_length(self) -> u8 {
        match self {
            Tier::Root => 1,
            Tier::Issuing => 0,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Tier::Root => "root",
            Tier::Issuing => "issuing",
        }
    }
}

/// What an authority's certificate says. Its name holds part of the serial, so that a successor's differs.
pub(crate) fn authority(
    tier: Tier,
    site: &str,
    serial: Serial,
    validity: Validity,
    permitted: &[Subtree],
) -> Result<CertificateParams, ValidityError> {
    let mut params = numbered(serial, validity)?;
    params.name_constraints = name_limits::extension(permitted);
    let mark = mark(serial.octets());
    params.distinguished_name.push(DnType::OrganizationName, site);
    params
        .distinguished_name
        .push(DnType::CommonName, format!("Muster {} CA {mark}", tier.title()));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(tier.path_length()));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = tier == Tier::Issuing;
    Ok(params)
}

/// What tells an authority from others of its installation: the first four octets of its serial, in hex. One that we
/// did not found may have fewer.
pub(crate) fn mark(serial: &[u8]) -> String {
    format!("{:0>8}", hex::encode(&serial[..serial.len().min(4)]))
}

/// What a planned certificate says.
pub(crate) fn leaf(plan: &Plan) -> Result<CertificateParams, ProfileMismatch> {
    let mut params = numbered(plan.serial, plan.validity())?;
    plan.extras.write_names(&mut params, plan.subject.id())?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params.extended_key_usages = vec![purpose(&plan.profile)];
    params.subject_alt_names = alternative_names(plan)?;
    plan.extras.write_extensions(&mut params)?;
    Ok(params)
}

fn numbered(serial: Serial, validity: Validity) -> Result<CertificateParams, ValidityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.serial_number = Some(SerialNumber::from_slice(serial.octets()));
    validity.stamp(&mut params)?;
    Ok(params)
}

fn purpose(profile: &Profile) -> ExtendedKeyUsagePurpose {
    match profile {
        Profile::Client => ExtendedKeyUsagePurpose::ClientAuth,
        Profile::Server { .. } => ExtendedKeyUsagePurpose::ServerAuth,
    }
}

fn alternative_names(plan: &Plan) -> Result<Vec<SanType>, ProfileMismatch> {
    match &plan.profile {
        Profile::Client => {
            let urn = plan
                .subject
                .to_string()
                .try_into()
                .map_err(|_| ProfileMismatch::Name)?;
            Ok(vec![SanType::URI(urn)])
        }
        Profile::Server { hosts } if hosts.is_empty() => Err(ProfileMismatch::Hosts),
        Profile::Server { hosts } => hosts.iter().map(host_name).collect(),
    }
}

fn host_name(host: &Host) -> Result<SanType, ProfileMismatch> {
    if !host.is_well_formed() {
        return Err(ProfileMismatch::Hosts);
    }
    match host {
        Host::Ip(address) => Ok(SanType::IpAddress(*address)),
        Host::Dns(name) => Ok(SanType::DnsName(
            name.as_str().try_into().map_err(|_| ProfileMismatch::Name)?,
        )),
    }
}
