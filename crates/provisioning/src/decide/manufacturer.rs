//! `put-manufacturer`, `remove-manufacturer` and `refuse-factory`: whose factory certificates let devices in.

use contract::{
    Code, Refusal, limits,
    v1::{
        Changed, Claim, Done, FactoryRefused, Manufacturer, PutManufacturer, RefuseFactory,
        RemoveManufacturer,
    },
};
use pki::{FactoryError, FactoryTrust};
use service::{Fault, Outcome};

use super::Situation;
use crate::{
    event, policy,
    state::{self, FactoryUse},
};

/// Manufacturers: a handshake asks one after the other whose device it is.
const MANUFACTURERS_MAX: usize = 100;
/// Devices whose certificates are refused, of one manufacturer: beyond, it is the manufacturer that is not to be trusted.
const REFUSED_MAX: usize = 500;

/// `put-manufacturer`.
pub(super) fn put(s: &Situation<'_>, m: &PutManufacturer) -> Result<Outcome, Fault> {
    let name = policy::id("name", &m.name)?;
    policy::types(&m.types)?;
    policy::rate(m.per_minute)?;
    let trust = FactoryTrust::read(&m.ca).map_err(|error| Refusal::invalid("ca", error.to_string()))?;
    demand_not_ours(s, &trust)?;
    let present = state::manufacturer(s.view, name.as_str())?;
    demand_free(s, &m.name, present.as_ref(), m.replace)?;
    demand_of_nobody_else(s, &m.name, &trust)?;
    let present = present.unwrap_or_else(|| Manufacturer {
        name: m.name.clone(),
        added_at_ms: s.now_ms,
        ..Manufacturer::default()
    });
    let (trust, present) = with_lists(trust, m, present)?;
    let manufacturer = Manufacturer {
        version: present.version.saturating_add(1),
        ca: m.ca.clone(),
        types: m.types.clone(),
        identity: m.identity().into(),
        per_minute: m.per_minute,
        ..present
    };
    let mut outcome = Outcome::default();
    event::manufacturer_changed(&mut outcome, &manufacturer, &trust);
    write(&mut outcome, &manufacturer);
    outcome.answer(Changed {
        request_id: String::new(),
        id: manufacturer.name,
        version: manufacturer.version,
    });
    Ok(outcome)
}

/// The lists that are given, or those that are there. An older one would let in again who was shut out.
fn with_lists(
    trust: FactoryTrust,
    m: &PutManufacturer,
    present: Manufacturer,
) -> Result<(FactoryTrust, Manufacturer), Refusal> {
    let wrong = |error: FactoryError| Refusal::invalid("crl", error.to_string());
    let crl = if m.crl.is_empty() {
        present.crl.clone()
    } else {
        m.crl.clone()
    };
    if crl.is_empty() {
        return Ok((trust, present));
    }
    let trust = trust.revoking(&crl).map_err(wrong)?;
    let former = FactoryTrust::read(&present.ca).and_then(|former| former.revoking(&present.crl));
    if former.is_ok_and(|former| trust.is_behind(&former)) {
        let message = "a revocation list is older than the one that is there";
        return Err(Refusal::new(Code::Conflict, message).at("crl"));
    }
    let is_other = u64::from(crl != present.crl);
    let lists = Manufacturer {
        crl_version: present.crl_version.saturating_add(is_other),
        revoked: u32::try_from(trust.revoked()).unwrap_or(u32::MAX),
        crl,
        ..present
    };
    Ok((trust, lists))
}

/// An authority of this installation is none of a manufacturer's: whoever holds that key would need no registration.
fn demand_not_ours(s: &Situation<'_>, trust: &FactoryTrust) -> Result<(), Refusal> {
    let issuing = s.authorities.bundle();
    for ours in [s.authorities.roots_pem.as_str(), &issuing] {
        let ours = FactoryTrust::read(ours);
        if ours.is_ok_and(|ours| trust.keys().any(|key| ours.keys().any(|one| one == key))) {
            return Err(Refusal::invalid(
                "ca",
                "this is one of this installation's own CAs",
            ));
        }
    }
    Ok(())
}

/// Manufacturers and batches are named in one place: a device's certificate tells by which it came in.
fn demand_free(
    s: &Situation<'_>,
    name: &str,
    present: Option<&Manufacturer>,
    replace: bool,
) -> Result<(), Fault> {
    let exists = |message: String| Err(Refusal::new(Code::Exists, message).at("name").into());
    if s.view.load::<Claim>(state::batch_key(name))?.is_some() {
        return exists(format!("`{name}` is the name of a claim; choose another"));
    }
    match present {
        Some(present) if present.name != name || !replace => {
            exists(format!("the manufacturer `{}` is there already", present.name))
        }
        Some(_) => Ok(()),
        None if all(s)?.len() >= MANUFACTURERS_MAX => {
            let message = format!("there are {MANUFACTURERS_MAX} manufacturers; remove one first");
            Err(Refusal::new(Code::Limit, message).into())
        }
        None => Ok(()),
    }
}

/// A certificate is of one manufacturer.
fn demand_of_nobody_else(s: &Situation<'_>, name: &str, trust: &FactoryTrust) -> Result<(), Fault> {
    for other in all(s)?.iter().filter(|other| other.name != name) {
        let theirs = FactoryTrust::read(&other.ca);
        if theirs.is_ok_and(|theirs| trust.keys().any(|key| theirs.keys().any(|one| one == key))) {
            let message = format!("one of these CAs is the manufacturer `{}`'s", other.name);
            return Err(Refusal::invalid("ca", message).into());
        }
    }
    Ok(())
}

fn all(s: &Situation<'_>) -> Result<Vec<Manufacturer>, Fault> {
    let rows = s
        .view
        .list::<Manufacturer>(state::MANUFACTURERS, None, MANUFACTURERS_MAX)?;
    Ok(rows.into_iter().map(|(_, manufacturer)| manufacturer).collect())
}

fn write(outcome: &mut Outcome, manufacturer: &Manufacturer) {
    outcome.put(state::manufacturer_key(&manufacturer.name), manufacturer);
    event::manufacturer_fact(outcome, manufacturer);
}

/// `remove-manufacturer`. What was refused one by one stays refused if it comes back: its devices' uses are kept.
pub(super) fn remove(s: &Situation<'_>, m: &RemoveManufacturer) -> Result<Outcome, Fault> {
    let manufacturer = known(s, "name", &m.name)?;
    let mut outcome = Outcome::default();
    close(&mut outcome, &manufacturer);
    outcome.answer(Done::default());
    Ok(outcome)
}

/// Its certificates let nobody in from now on.
pub(super) fn close(outcome: &mut Outcome, manufacturer: &Manufacturer) {
    let name = &manufacturer.name;
    outcome.delete(state::manufacturer_key(name));
    outcome.delete(state::pace_key(name));
    event::no_fact(outcome, "manufacturer", name);
    event::manufacturer_removed(outcome, manufacturer);
}

/// `refuse-factory`.
pub(super) fn refuse(s: &Situation<'_>, m: &RefuseFactory) -> Result<Outcome, Fault> {
    let mut manufacturer = known(s, "manufacturer", &m.manufacturer)?;
    let device = policy::factory_name(&m.serial_number)?.to_ascii_lowercase();
    let mut outcome = Outcome::default();
    if manufacturer.refuses(&device) == m.lift {
        if m.lift {
            manufacturer.refused.retain(|one| *one != device);
        } else if manufacturer.refused.len() >= REFUSED_MAX {
            let message = format!("{REFUSED_MAX} of it are refused; remove the manufacturer, or lift some");
            return Err(Refusal::new(Code::Limit, message).into());
        } else {
            manufacturer.refused.push(device.clone());
        }
        manufacturer.version = manufacturer.version.saturating_add(1);
        event::factory_refused(&mut outcome, &manufacturer.name, &device, m.lift);
        write(&mut outcome, &manufacturer);
    }
    let used: Option<FactoryUse> = s.view.load(state::factory_key(&manufacturer.name, &device))?;
    outcome.answer(FactoryRefused {
        request_id: String::new(),
        device_id: used.map(|used| used.device_id).unwrap_or_default(),
    });
    Ok(outcome)
}

fn known(s: &Situation<'_>, field: &str, name: &str) -> Result<Manufacturer, Fault> {
    let name = policy::id(field, name)?;
    let found = state::manufacturer(s.view, name.as_str())?.filter(|found| found.name == name.as_str());
    Ok(found.ok_or_else(|| Refusal::not_found("manufacturer", name.as_str()).at(field))?)
}

const _: () = assert!(MANUFACTURERS_MAX <= limits::PAGE_MAX);
