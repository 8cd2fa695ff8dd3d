//! `put-person`: operators and integrators, and what they may do.

use contract::{
    Code, Refusal,
    id::Kind,
    limits::PAGE_MAX,
    v1::{Person, PutPerson, Role},
};
use service::{Fault, Outcome, View, store::StoreError};

use super::{Situation, changed};
use crate::{
    choice::{self, Choice},
    event, policy, state,
};

pub(super) fn decide(s: &Situation<'_>, m: PutPerson) -> Result<Outcome, Fault> {
    let wanted = read(m.clone())?;
    for group in wanted.grants.iter().flat_map(|grant| &grant.groups) {
        state::group(s.view, "grants", group)?;
    }
    let present = state::person_or_twin(s.view, &m.kind, &m.id)?;
    if let Some(twin) = present.as_ref().filter(|person| person.id != m.id) {
        let message = format!("`{}` exists; ids that differ in case only are twins", twin.id);
        return Err(Refusal::new(Code::Exists, message).at("id").into());
    }
    let version = present.as_ref().map_or(0, |person| person.version);
    policy::version("person", m.expected_version, version)?;
    let mut outcome = Outcome::default();
    if present.as_ref()
        == Some(&Person {
            version,
            ..wanted.clone()
        })
    {
        outcome.answer(changed(&wanted.id, version));
        return Ok(outcome);
    }
    if present.as_ref().is_some_and(is_admin) && !is_admin(&wanted) && !another_admin(s.view, &m.id)? {
        let message = format!("`{}` is the last enabled admin; make another one first", m.id);
        return Err(Refusal::new(Code::Precondition, message).at("role").into());
    }
    let person = Person {
        version: version.saturating_add(1),
        ..wanted
    };
    outcome.put(state::person_key(&person.kind, &person.id), &person);
    event::person_changed(&mut outcome, &person);
    outcome.answer(changed(&person.id, person.version));
    Ok(outcome)
}

pub(crate) fn read(m: PutPerson) -> Result<Person, Refusal> {
    policy::id("id", &m.id)?;
    let kind = policy::person_kind(&m.kind)?;
    let role = match kind {
        // Whoever is granted something has a role there, and may have none for the whole fleet.
        Kind::Operator if !m.grants.is_empty() => {
            choice::optional::<Role>("role", m.role)?.map_or(0, Choice::number)
        }
        Kind::Operator => choice::required::<Role>("role", m.role)?.number(),
        _ if m.role == 0 && m.grants.is_empty() => 0,
        _ => {
            let message = "only operators have a role; what an integrator may see are its event filters";
            return Err(Refusal::invalid("role", message));
        }
    };
    policy::grants(&m.grants)?;
    let event_filters = policy::event_filters(&m.event_filters)?;
    let data_devices = policy::data_devices(&m.data_devices)?;
    Ok(Person {
        id: m.id,
        kind: m.kind,
        version: 0,
        role,
        event_filters,
        disabled: m.disabled,
        data_devices,
        grants: m.grants,
    })
}

fn is_admin(person: &Person) -> bool {
    person.kind == Kind::Operator.word() && person.role() == Role::Admin && !person.disabled
}

fn another_admin(view: &View<'_>, id: &str) -> Result<bool, StoreError> {
    let another = operator(view, |person| person.id != id && is_admin(person))?;
    Ok(another.is_some())
}

/// The first operator who fits.
pub(super) fn operator(
    view: &View<'_>,
    fits: impl Fn(&Person) -> bool,
) -> Result<Option<Person>, StoreError> {
    let operators = state::people(Kind::Operator.word());
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = view.list::<Person>(&operators, after.as_deref(), PAGE_MAX)?;
        after = page.last().map(|(key, _)| key.clone());
        let is_last = page.len() < PAGE_MAX;
        let found = page.into_iter().map(|(_, person)| person).find(&fits);
        if found.is_some() || is_last {
            return Ok(found);
        }
    }
}
