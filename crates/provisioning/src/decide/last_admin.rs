//! Whoever revokes the last certificate of an admin locks everybody out, and means it only when the key is
//! in other hands.

use contract::{
    Code, Kind, Refusal, ServiceName, limits,
    v1::{PrincipalFact, Role},
};
use pki::Reason;
use service::{Fault, store::StoreError};

use super::Situation;
use crate::state::{self, Record};

/// Demands that an admin keeps a certificate that counts, unless a key is lost: to leave that one working
/// would be worse than to be locked out.
pub(super) fn demand_one_stays(s: &Situation<'_>, going: &[Record], reason: Reason) -> Result<(), Fault> {
    let key_is_lost = matches!(reason, Reason::KeyCompromise | Reason::CaCompromise);
    let goes = |record: &Record| {
        let serial = record.certificate().serial;
        going.iter().any(|r| r.certificate().serial == serial)
    };
    if key_is_lost || !takes_an_admins(s, going)? || !last_goes(s, &goes)? {
        return Ok(());
    }
    Err(last_one().into())
}

/// The same for all that are told by a rule.
pub(super) fn demand_one_stays_of_many(
    s: &Situation<'_>,
    reason: Reason,
    goes: impl Fn(&Record) -> bool,
) -> Result<(), Fault> {
    let key_is_lost = matches!(reason, Reason::KeyCompromise | Reason::CaCompromise);
    if key_is_lost || !last_goes(s, &goes)? {
        return Ok(());
    }
    Err(last_one().into())
}

fn last_one() -> Refusal {
    let message = "this is the last certificate of an admin; issue another one first. If its key is in other \
                   hands, give the reason keyCompromise: then nobody can administer over a certificate";
    Refusal::new(Code::Precondition, message).at("serial")
}

fn takes_an_admins(s: &Situation<'_>, going: &[Record]) -> Result<bool, StoreError> {
    for record in going.iter().filter(|r| r.counts(s.now_ms)) {
        let certificate = record.certificate();
        let name = format!("{}.{}", certificate.kind, certificate.id);
        let known: Option<PrincipalFact> = s.view.fact(ServiceName::Registry, "principal", &name)?;
        if known.as_ref().is_some_and(is_admin) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether admins have certificates that count, and all of these go. Where none has any, none can be lost: they log in
/// otherwise.
fn last_goes(s: &Situation<'_>, goes: &dyn Fn(&Record) -> bool) -> Result<bool, StoreError> {
    let (mut after, mut one_goes): (Option<String>, _) = (None, false);
    loop {
        let page = s.view.facts::<PrincipalFact>(
            ServiceName::Registry,
            "principal",
            after.as_deref(),
            limits::PAGE_MAX,
        )?;
        for (_, person) in page.iter().filter(|(_, person)| is_admin(person)) {
            let records = state::records_of(s.view, Kind::Operator.word(), &person.id, usize::MAX)?;
            for record in records.iter().filter(|r| r.counts(s.now_ms)) {
                if !goes(record) {
                    return Ok(false);
                }
                one_goes = true;
            }
        }
        match page.into_iter().nth(limits::PAGE_MAX - 1) {
            Some((last, _)) => after = Some(last),
            None => return Ok(one_goes),
        }
    }
}

fn is_admin(person: &PrincipalFact) -> bool {
    person.kind == Kind::Operator.word() && person.role() == Role::Admin && !person.disabled
}
