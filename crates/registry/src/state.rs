//! The records and their keys. Ids in keys are folded, so twins that differ in case only share a key.
//!
//! | key | record |
//! |---|---|
//! | `d{device}` | [`Device`] |
//! | `g{group}` | [`Group`] |
//! | `m{group} NUL {device}` | empty: the device is a member |
//! | `p{kind} NUL {person}` | [`Person`] |

use contract::{
    Refusal,
    v1::{Device, Group, Person},
};
use service::{Fault, View, store::StoreError};

use crate::policy;

/// All devices.
pub(crate) const DEVICES: &str = "d";
/// All groups.
pub(crate) const GROUPS: &str = "g";
/// All people.
pub(crate) const PEOPLE: &str = "p";

/// The form of an id in keys.
pub(crate) fn fold(id: &str) -> String {
    id.to_ascii_lowercase()
}

pub(crate) fn device_key(id: &str) -> String {
    format!("{DEVICES}{}", fold(id))
}

pub(crate) fn group_key(id: &str) -> String {
    format!("{GROUPS}{}", fold(id))
}

/// All members of a group.
pub(crate) fn members(group: &str) -> String {
    format!("m{}\0", fold(group))
}

pub(crate) fn member_key(group: &str, device: &str) -> String {
    format!("{}{}", members(group), fold(device))
}

/// All people of a kind.
pub(crate) fn people(kind: &str) -> String {
    format!("{PEOPLE}{kind}\0")
}

pub(crate) fn person_key(kind: &str, id: &str) -> String {
    format!("{}{}", people(kind), fold(id))
}

/// The device of this id or of its twin.
pub(crate) fn device_or_twin(view: &View<'_>, id: &str) -> Result<Option<Device>, StoreError> {
    view.load(device_key(id))
}

/// The group of this id or of its twin.
pub(crate) fn group_or_twin(view: &View<'_>, id: &str) -> Result<Option<Group>, StoreError> {
    view.load(group_key(id))
}

/// The person of this id or of its twin.
pub(crate) fn person_or_twin(view: &View<'_>, kind: &str, id: &str) -> Result<Option<Person>, StoreError> {
    view.load(person_key(kind, id))
}

/// The device of exactly this id.
pub(crate) fn device(view: &View<'_>, field: &str, id: &str) -> Result<Device, Fault> {
    let id = policy::id(field, id)?;
    match device_or_twin(view, id.as_str())? {
        Some(device) if device.device_id == id.as_str() => Ok(device),
        found => Err(absent("device", id.as_str(), found.map(|d| d.device_id))
            .at(field)
            .into()),
    }
}

/// The group of exactly this id.
pub(crate) fn group(view: &View<'_>, field: &str, id: &str) -> Result<Group, Fault> {
    let id = policy::id(field, id)?;
    match group_or_twin(view, id.as_str())? {
        Some(group) if group.group_id == id.as_str() => Ok(group),
        found => Err(absent("group", id.as_str(), found.map(|g| g.group_id))
            .at(field)
            .into()),
    }
}

fn absent(what: &str, id: &str, twin: Option<String>) -> Refusal {
    let refusal = Refusal::not_found(what, id);
    match twin {
        None => refusal,
        Some(twin) => {
            let message = format!("there is no {what} `{id}`, but there is `{twin}`");
            Refusal { message, ..refusal }.allowing([twin])
        }
    }
}
