//! What a client's certificate may say beside its profile, if its plan does.
//!
//! None of it decides who the client is or what it may do here: it is for others who verify the same certificate.

use cms::cert::x509::der::Encode;
use cms::cert::x509::der::asn1::{Ia5String, ObjectIdentifier};
use cms::cert::x509::ext::pkix::certpolicy::PolicyInformation;
use cms::cert::x509::ext::pkix::name::GeneralName as WrittenName;
use cms::cert::x509::ext::pkix::{AccessDescription, AuthorityInfoAccessSyntax, CertificatePolicies};
use rcgen::string::PrintableString;
use rcgen::{
    CertificateParams, CrlDistributionPoint, CustomExtension, DnType, DnValue, ExtendedKeyUsagePurpose,
};
use serde::{Deserialize, Serialize};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{CRLDistributionPoint, DistributionPointName, GeneralName, ParsedExtension};
use x509_parser::oid_registry::OID_X509_SERIALNUMBER;
use x509_parser::x509::AttributeTypeAndValue;

use crate::oid::Oid;
use crate::profile::ProfileMismatch;

/// The longest address: it stands in each certificate.
const URL_MAX: usize = 256;
/// The longest organization and serial number of a subject (RFC 5280, appendix A.1).
pub(crate) const NAME_MAX: usize = 64;
/// The most purposes, and the most policies.
const OIDS_MAX: usize = 8;

const AUTHORITY_INFORMATION: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 1];
const CA_ISSUERS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.2");
const POLICIES: &[u64] = &[2, 5, 29, 32];
const SERIAL_NUMBER: &[u64] = &[2, 5, 4, 5];

/// What stands in a client's certificate beside its profile; by default nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Extras {
    /// Where its authority's revocation list is published (CRL distribution point, RFC 5280, section 4.2.1.13).
    pub crl_url: Option<String>,
    /// Where its authority's certificate is published (authority information access, RFC 5280, section 4.2.2.1).
    pub issuer_url: Option<String>,
    /// What it is for beside clientAuth (extended key usage, RFC 5280, section 4.2.1.12).
    pub purposes: Vec<Oid>,
    /// Under which policies it was issued (certificate policies, RFC 5280, section 4.2.1.4).
    pub policies: Vec<Oid>,
    /// The organization in its subject.
    pub organization: Option<String>,
    /// The serial number in its subject: the hardware's (IEEE 802.1AR, section 8.6).
    pub serial_number: Option<String>,
}

impl Extras {
    /// Whether a certificate can say it.
    pub fn can_be_written(&self) -> bool {
        let urls = [&self.crl_url, &self.issuer_url];
        let has_further_purposes = self.purposes.iter().all(Oid::is_further_purpose);
        let organization = self.organization.as_deref();
        urls.into_iter().flatten().all(|url| is_url(url))
            && has_further_purposes
            && [&self.purposes, &self.policies]
                .into_iter()
                .all(|oids| oids.len() <= OIDS_MAX && is_without_twins(oids))
            && organization.is_none_or(|name| is_name(name) && name.chars().all(|c| !c.is_control()))
            && self.serial_number.as_deref().is_none_or(is_serial_number)
    }

    /// Writes the subject's names that come before the common name and after it.
    pub(crate) fn write_names(
        &self,
        params: &mut CertificateParams,
        id: &str,
    ) -> Result<(), ProfileMismatch> {
        if !self.can_be_written() {
            return Err(ProfileMismatch::Name);
        }
        let name = &mut params.distinguished_name;
        if let Some(organization) = &self.organization {
            name.push(DnType::OrganizationName, organization.as_str());
        }
        name.push(DnType::CommonName, id);
        if let Some(number) = &self.serial_number {
            let number = PrintableString::try_from(number.as_str()).map_err(|_| ProfileMismatch::Name)?;
            let serial_number = DnType::CustomDnType(SERIAL_NUMBER.to_vec());
            name.push(serial_number, DnValue::PrintableString(number));
        }
        Ok(())
    }

    /// Writes the extensions.
    pub(crate) fn write_extensions(&self, params: &mut CertificateParams) -> Result<(), ProfileMismatch> {
        let further = self
            .purposes
            .iter()
            .map(|oid| ExtendedKeyUsagePurpose::Other(oid.arcs()));
        params.extended_key_usages.extend(further);
        // One, with one address: of several, verifiers look at the first.
        let points = self.crl_url.iter().map(|url| CrlDistributionPoint {
            uris: vec![url.clone()],
        });
        params.crl_distribution_points = points.collect();
        let extensions = [self.issuer()?, self.policies()?];
        params.custom_extensions.extend(extensions.into_iter().flatten());
        Ok(())
    }

    fn issuer(&self) -> Result<Option<CustomExtension>, ProfileMismatch> {
        let Some(url) = &self.issuer_url else {
            return Ok(None);
        };
        let address = Ia5String::new(url).map_err(|_| ProfileMismatch::Name)?;
        let only = AccessDescription {
            access_method: CA_ISSUERS,
            access_location: WrittenName::UniformResourceIdentifier(address),
        };
        written(AUTHORITY_INFORMATION, &AuthorityInfoAccessSyntax(vec![only])).map(Some)
    }

    fn policies(&self) -> Result<Option<CustomExtension>, ProfileMismatch> {
        if self.policies.is_empty() {
            return Ok(None);
        }
        let policies = self.policies.iter().map(|oid| PolicyInformation {
            policy_identifier: oid.identifier(),
            policy_qualifiers: None,
        });
        written(POLICIES, &CertificatePolicies(policies.collect())).map(Some)
    }
}

fn written(oid: &[u64], value: &impl Encode) -> Result<CustomExtension, ProfileMismatch> {
    let der = value.to_der().map_err(|_| ProfileMismatch::Name)?;
    Ok(CustomExtension::from_oid_content(oid, der))
}

fn is_url(url: &str) -> bool {
    (1..=URL_MAX).contains(&url.len()) && url.bytes().all(|b| b.is_ascii_graphic())
}

fn is_name(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.chars().count())
}

/// X.520 writes it as PrintableString.
fn is_serial_number(text: &str) -> bool {
    is_name(text) && PrintableString::try_from(text).is_ok()
}

fn is_without_twins(oids: &[Oid]) -> bool {
    let different: std::collections::BTreeSet<_> = oids.iter().collect();
    different.len() == oids.len()
}

/// The same as it stands in a certificate, where each might be there more than once.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) crl_urls: Vec<String>,
    pub(crate) issuer_urls: Vec<String>,
    pub(crate) purposes: Vec<String>,
    pub(crate) policies: Vec<String>,
    pub(crate) organizations: Vec<String>,
    pub(crate) serial_numbers: Vec<String>,
}

impl From<&Extras> for Said {
    fn from(planned: &Extras) -> Said {
        let texts = |oids: &[Oid]| oids.iter().map(Oid::to_string).collect();
        let one = |text: &Option<String>| text.iter().cloned().collect();
        Said {
            crl_urls: one(&planned.crl_url),
            issuer_urls: one(&planned.issuer_url),
            purposes: texts(&planned.purposes),
            policies: texts(&planned.policies),
            organizations: one(&planned.organization),
            serial_numbers: one(&planned.serial_number),
        }
    }
}

impl Said {
    /// Reads it. What is there in another form than ours is a text of no length.
    pub(crate) fn read(certificate: &X509Certificate<'_>) -> Said {
        let mut said = Said::from(&Extras::default());
        for extension in certificate.extensions() {
            said.take(extension.parsed_extension());
        }
        let subject = certificate.subject();
        said.organizations = subject.iter_organization().map(text).collect();
        said.serial_numbers = subject.iter_by_oid(&OID_X509_SERIALNUMBER).map(text).collect();
        said
    }

    fn take(&mut self, extension: &ParsedExtension<'_>) {
        match extension {
            ParsedExtension::CRLDistributionPoints(said) => {
                self.crl_urls.extend(said.points.iter().flat_map(addresses));
            }
            ParsedExtension::AuthorityInfoAccess(said) => {
                let issuers = said.accessdescs.iter().map(|said| {
                    let is_issuer = said.access_method.to_id_string() == CA_ISSUERS.to_string();
                    if is_issuer {
                        address(&said.access_location)
                    } else {
                        String::new()
                    }
                });
                self.issuer_urls.extend(issuers);
            }
            ParsedExtension::ExtendedKeyUsage(said) => {
                self.purposes
                    .extend(said.other.iter().map(|oid| oid.to_id_string()));
            }
            ParsedExtension::CertificatePolicies(said) => {
                let policies = said.iter().map(|policy| match policy.policy_qualifiers {
                    None => policy.policy_id.to_id_string(),
                    Some(_) => String::new(),
                });
                self.policies.extend(policies);
            }
            _ => {}
        }
    }
}

fn text(attribute: &AttributeTypeAndValue<'_>) -> String {
    attribute.as_str().unwrap_or_default().to_owned()
}

fn addresses(point: &CRLDistributionPoint<'_>) -> Vec<String> {
    match &point.distribution_point {
        Some(DistributionPointName::FullName(names)) => names.iter().map(address).collect(),
        _ => vec![String::new()],
    }
}

fn address(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::URI(url) => (*url).to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_certificate_cannot_say_is_no_plan() {
        assert!(Extras::default().can_be_written());
        let oid = |text: &str| -> Oid { text.parse().unwrap() };
        let eap = oid("1.3.6.1.5.5.7.3.14");
        let some = |text: &str| Some(text.to_owned());
        for bad in [
            Extras {
                crl_url: some("http://a b"),
                ..Extras::default()
            },
            Extras {
                issuer_url: some(""),
                ..Extras::default()
            },
            Extras {
                purposes: vec![oid("1.3.6.1.5.5.7.3.1")],
                ..Extras::default()
            },
            Extras {
                purposes: vec![eap, eap],
                ..Extras::default()
            },
            Extras {
                policies: vec![eap; 9],
                ..Extras::default()
            },
            Extras {
                organization: some("a\nb"),
                ..Extras::default()
            },
            Extras {
                organization: Some("x".repeat(65)),
                ..Extras::default()
            },
            Extras {
                serial_number: some("SN_1"),
                ..Extras::default()
            },
            Extras {
                serial_number: some(""),
                ..Extras::default()
            },
        ] {
            assert!(!bad.can_be_written(), "{bad:?}");
        }
    }
}
