//! `issue`: an admin has a certificate issued for an operator or an integrator.

use contract::{
    id::ServiceName,
    v1::{Issue, PrincipalFact},
};
use service::{Fault, Outcome};

use super::{
    Situation,
    planning::{self, Wanted},
};
use crate::{policy, state};

pub(super) fn decide(s: &mut Situation<'_>, m: &Issue) -> Result<Outcome, Fault> {
    let kind = policy::person_kind(&m.kind)?;
    let id = policy::id("id", &m.id)?;
    let known: Option<PrincipalFact> =
        s.view
            .fact(ServiceName::Registry, "principal", &format!("{kind}.{id}"))?;
    policy::person(known.as_ref())?;
    let records = state::records_of(s.view, kind.word(), id.as_str(), usize::MAX)?;
    let message = "this account has all the certificates it may; revoke those that are not needed";
    policy::room(&records, s.now_ms, policy::PERSON_LIVE_MAX, message)?;
    let lifetime_ms = policy::person_lifetime(m.lifetime_ms, s.service.settings.person_lifetime_ms)?;
    let csr = policy::csr(&m.csr, &planning::subject(s, kind, id.as_str())?)?;
    let mut outcome = Outcome::default();
    planning::plan(
        s,
        &mut outcome,
        &Wanted {
            kind,
            id: id.as_str(),
            lifetime_ms,
            extras: pki::Extras::default(),
            batch: "",
            origin: "",
        },
        &csr,
    )?;
    Ok(outcome)
}
