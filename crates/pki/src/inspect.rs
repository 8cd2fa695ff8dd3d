//! Holds a certificate that was just signed against its plan, before anyone else sees it.

use crate::ca_certificate::CaCertificate;
use crate::certificate::ClientCertificate;
use crate::extras::Said;
use crate::leaf::{AlternativeName, Leaf, ProfileError, Purpose};
use crate::plan::{Plan, Profile};
use crate::validity::{Validity, whole};

/// How a signed certificate differs from its plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Deviation {
    /// It does not have the shape all our certificates share.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// One field does not say what was planned.
    #[error("the {0} is not the planned one")]
    Field(&'static str),
}

/// Returns the validity as signed if everything else is as planned too.
pub(crate) fn demand_as_planned(
    der: &[u8],
    plan: &Plan,
    authority: &CaCertificate,
) -> Result<Validity, Deviation> {
    let leaf = Leaf::read(der)?;
    let certificate = &leaf.certificate;
    demand("serial number", leaf.serial_hex() == plan.serial.to_hex())?;
    demand("public key", certificate.public_key().raw == plan.spki_der)?;
    demand("issuer", leaf.names_issuer(authority))?;
    demand("issuer's key identifier", leaf.issuer_key_id == authority.key_id)?;
    demand("common name", leaf.common_name == plan.subject.id())?;
    demand(
        "period of validity",
        leaf.validity() == in_seconds(plan.validity()),
    )?;
    demand("signature", leaf.is_signed_by(authority))?;
    demand_names(der, &leaf, plan)?;
    demand_extras(&Said::read(certificate), &Said::from(&plan.extras))?;
    demand("list of extensions", leaf.has_only_our_extensions())?;
    Ok(leaf.validity())
}

fn demand_extras(said: &Said, planned: &Said) -> Result<(), Deviation> {
    demand("revocation list's address", said.crl_urls == planned.crl_urls)?;
    demand("issuer's address", said.issuer_urls == planned.issuer_urls)?;
    demand("list of further purposes", said.purposes == planned.purposes)?;
    demand("list of policies", said.policies == planned.policies)?;
    demand("organization", said.organizations == planned.organizations)?;
    demand(
        "serial number of the subject",
        said.serial_numbers == planned.serial_numbers,
    )
}

fn demand_names(der: &[u8], leaf: &Leaf<'_>, plan: &Plan) -> Result<(), Deviation> {
    match &plan.profile {
        Profile::Client => demand("subject", ClientCertificate::parse(der)?.subject == plan.subject),
        Profile::Server { hosts } => {
            demand("extended key usage", leaf.purpose == Purpose::Server)?;
            let planned: Vec<_> = hosts.iter().cloned().map(AlternativeName::Host).collect();
            demand("list of hosts", leaf.names == planned)
        }
    }
}

fn in_seconds(validity: Validity) -> Validity {
    Validity {
        not_before_ms: whole(validity.not_before_ms),
        not_after_ms: whole(validity.not_after_ms),
    }
}

fn demand(field: &'static str, holds: bool) -> Result<(), Deviation> {
    if holds {
        Ok(())
    } else {
        Err(Deviation::Field(field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Authority, Charter, KeyKind, PublicKey, Serial, create_issuing, create_root, generate_key};

    const NOW: i64 = 1_800_000_000_000;

    fn issuing() -> Authority {
        let serial = Serial::from_random([1; 16]);
        let charter = Charter {
            site: "harbour",
            key: KeyKind::P256,
            serial,
            now_ms: NOW,
            lifetime_ms: 9_000_000,
        };
        let root = create_root(&charter).unwrap();
        let root = Authority::open(&root.chain_pem, &root.key_pem, NOW).unwrap();
        let new = create_issuing(&root, &charter).unwrap();
        Authority::open(&new.chain_pem, &new.key_pem, NOW).unwrap()
    }

    fn key() -> PublicKey {
        PublicKey::of_private(&generate_key(KeyKind::P256).unwrap()).unwrap()
    }

    fn plan() -> Plan {
        let validity = Validity {
            not_before_ms: NOW,
            not_after_ms: NOW + 5_000_000,
        };
        let subject = "urn:muster:harbour:devices:pump-7".parse().unwrap();
        Plan::new(
            Serial::from_random([9; 16]),
            Profile::Client,
            subject,
            &key(),
            validity,
        )
    }

    #[test]
    fn a_certificate_of_another_plan_deviates_in_the_field_that_differs() {
        let (authority, plan) = (issuing(), plan());
        let der = authority.sign(&plan).unwrap().der;
        let hosts = vec![crate::Host::Dns("broker.local".into())];
        let other_site = "urn:muster:quay:devices:pump-7".parse().unwrap();
        let other_id = "urn:muster:harbour:devices:pump-8".parse().unwrap();
        for (field, other) in [
            (
                "serial number",
                Plan {
                    serial: Serial::from_random([8; 16]),
                    ..plan.clone()
                },
            ),
            (
                "public key",
                Plan {
                    spki_der: key().spki_der().to_vec(),
                    ..plan.clone()
                },
            ),
            (
                "common name",
                Plan {
                    subject: other_id,
                    ..plan.clone()
                },
            ),
            (
                "subject",
                Plan {
                    subject: other_site,
                    ..plan.clone()
                },
            ),
            (
                "period of validity",
                Plan {
                    not_after_ms: plan.not_after_ms + 1_000,
                    ..plan.clone()
                },
            ),
            (
                "period of validity",
                Plan {
                    not_before_ms: plan.not_before_ms - 1_000,
                    ..plan.clone()
                },
            ),
            (
                "extended key usage",
                Plan {
                    profile: Profile::Server { hosts },
                    ..plan.clone()
                },
            ),
        ] {
            assert_eq!(
                demand_as_planned(&der, &other, &authority.own),
                Err(Deviation::Field(field))
            );
        }
        assert_eq!(
            demand_as_planned(&der, &plan, &authority.own),
            Ok(plan.validity())
        );
    }

    #[test]
    fn each_thing_beside_the_profile_is_read_back() {
        let eap: crate::Oid = "1.3.6.1.5.5.7.3.14".parse().unwrap();
        let policy: crate::Oid = "1.3.6.1.4.1.32473.1".parse().unwrap();
        let full = crate::Extras {
            crl_url: Some("http://a/b.crl".into()),
            issuer_url: Some("http://a/b.der".into()),
            purposes: vec![eap],
            policies: vec![policy],
            organization: Some("Pumps Ltd".into()),
            serial_number: Some("SN-7".into()),
        };
        let authority = issuing();
        let plan = Plan {
            extras: full.clone(),
            ..plan()
        };
        let der = authority.sign(&plan).unwrap().der;
        for (field, extras) in [
            (
                "revocation list's address",
                crate::Extras {
                    crl_url: None,
                    ..full.clone()
                },
            ),
            (
                "issuer's address",
                crate::Extras {
                    issuer_url: Some("http://a".into()),
                    ..full.clone()
                },
            ),
            (
                "list of further purposes",
                crate::Extras {
                    purposes: Vec::new(),
                    ..full.clone()
                },
            ),
            (
                "list of policies",
                crate::Extras {
                    policies: vec![policy, eap],
                    ..full.clone()
                },
            ),
            (
                "organization",
                crate::Extras {
                    organization: None,
                    ..full.clone()
                },
            ),
            (
                "serial number of the subject",
                crate::Extras {
                    serial_number: None,
                    ..full.clone()
                },
            ),
        ] {
            let other = Plan {
                extras,
                ..plan.clone()
            };
            assert_eq!(
                demand_as_planned(&der, &other, &authority.own),
                Err(Deviation::Field(field))
            );
        }
        let server = Plan {
            extras: full,
            profile: Profile::Server {
                hosts: vec![crate::Host::Dns("broker.local".into())],
            },
            ..plan
        };
        assert!(
            authority.sign(&server).is_err(),
            "a server's certificate has no further purpose"
        );
    }

    #[test]
    fn a_certificate_of_another_authority_deviates() {
        let plan = plan();
        let der = issuing().sign(&plan).unwrap().der;
        let refusal = demand_as_planned(&der, &plan, &issuing().own);
        assert_eq!(refusal, Err(Deviation::Field("issuer's key identifier")));
    }
}
