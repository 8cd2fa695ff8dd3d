//! Which people and programs are certified, and for how long.

use contract::{Code, Refusal, id::Kind, v1::PrincipalFact};

/// The longest life of an operator's or integrator's certificate, milliseconds: two years.
const PERSON_LIFETIME_MAX_MS: u64 = 730 * crate::DAY_MS;

/// An operator or an integrator that is known and not disabled.
pub(crate) fn person(known: Option<&PrincipalFact>) -> Result<(), Refusal> {
    match known {
        Some(person) if !person.disabled => Ok(()),
        Some(_) => Err(Refusal::new(Code::Precondition, "this account is disabled").at("id")),
        None => Err(Refusal::new(
            Code::Precondition,
            "there is nobody of this name; `put-person` first",
        )
        .at("id")),
    }
}

/// `operators` or `integrators`.
pub(crate) fn person_kind(text: &str) -> Result<Kind, Refusal> {
    match Kind::from_word(text) {
        Some(kind @ (Kind::Operator | Kind::Integrator)) => Ok(kind),
        _ => {
            let allowed = [Kind::Operator.word(), Kind::Integrator.word()];
            Err(
                Refusal::invalid("kind", "certificates are issued for operators and integrators")
                    .allowing(allowed),
            )
        }
    }
}

/// How long an operator's or integrator's certificate lasts.
pub(crate) fn person_lifetime(asked_ms: u64, default_ms: u64) -> Result<u64, Refusal> {
    match asked_ms {
        0 => Ok(default_ms),
        1..=PERSON_LIFETIME_MAX_MS => Ok(asked_ms),
        _ => Err(Refusal::invalid(
            "lifetime_ms",
            "a certificate lasts two years at most",
        )),
    }
}
