//! Holds a certificate that was just signed against its plan, before anyone else sees it.

use crate::ca_certificate::CaCertificate;
use crate::certificate::ClientCertificate;
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
    demand("issuer", certificate.issuer().as_raw() == authority.subject_der)?;
    demand("issuer's key identifier", leaf.issuer_key_id == authority.key_id)?;
    demand("common name", leaf.common_name == plan.subject.id())?;
    demand(
        "period of validity",
        leaf.validity() == in_seconds(plan.validity()),
    )?;
    demand("signature", is_signed_by(&leaf, authority))?;
    demand_names(der, &leaf, plan)?;
    Ok(leaf.validity())
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

fn is_signed_by(leaf: &Leaf<'_>, authority: &CaCertificate) -> bool {
    authority
        .spki()
        .is_ok_and(|spki| leaf.certificate.verify_signature(Some(&spki)).is_ok())
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
