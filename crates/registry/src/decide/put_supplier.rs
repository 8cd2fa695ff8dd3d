//! `put-supplier`: from whom devices come, and whether that was looked into.

use contract::v1::{PutSupplier, Supplier};
use service::{Fault, Outcome};

use super::{Situation, changed};
use crate::{event, policy, state};

pub(super) fn decide(s: &Situation<'_>, m: PutSupplier) -> Result<Outcome, Fault> {
    policy::texts(&[
        ("name", m.name.as_deref().unwrap_or_default()),
        ("contact", m.contact.as_deref().unwrap_or_default()),
        ("note", &m.note),
    ])?;
    let present = state::present::<Supplier>(s.view, "supplier_id", &m.supplier_id)?;
    let present = present.unwrap_or(Supplier {
        supplier_id: m.supplier_id,
        ..Supplier::default()
    });
    policy::version("supplier", m.expected_version, present.version)?;
    let mut wanted = present.clone();
    if let Some(name) = m.name {
        wanted.name = name;
    }
    if let Some(contact) = m.contact {
        wanted.contact = contact;
    }
    if let Some(vetted) = m.vetted.filter(|vetted| *vetted != present.vetted) {
        wanted.vetted = vetted;
        wanted.vetted_by.clone_from(&s.actor);
        wanted.vetted_at_ms = s.now_ms;
        wanted.vetting_note = m.note;
    }
    let mut outcome = Outcome::default();
    if wanted != present || wanted.version == 0 {
        wanted.version = wanted.version.saturating_add(1);
        outcome.put(state::key::<Supplier>(&wanted.supplier_id), &wanted);
        event::catalogued(&mut outcome, format!("suppliers/{}", wanted.supplier_id), &wanted);
    }
    outcome.answer(changed(&wanted.supplier_id, wanted.version));
    Ok(outcome)
}
