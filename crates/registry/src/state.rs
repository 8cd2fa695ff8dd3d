//! The records and their keys. Ids in keys are folded, so twins that differ in case only share a key.
//!
//! | key | record |
//! |---|---|
//! | `d{device}` | [`Device`] |
//! | `g{group}` | [`Group`] |
//! | `f{group} NUL {group}` | the id of a group within it, see `tree.rs` |
//! | `b{group}` | how far others have been told that it moved, see `decide/regroup.rs` |
//! | `m{group} NUL {device}` | empty: the device is a member |
//! | `p{kind} NUL {person}` | [`Person`] |
//! | `l{kind} NUL {person}` | [`Login`]: what they log in with |
//! | `e` | [`contract::v1::FourEyes`] |
//! | `t{type}` | [`DeviceType`] |
//! | `v{supplier}` | [`Supplier`] |
//! | `o{order}` | [`Order`] |
//! | `q{query}` | [`SavedQuery`] |
//! | `r` | the queries of all dynamic groups, see `rules.rs` |
//! | `w{group}` | how far the fleet has been searched for a dynamic group's members, see `decide/settle.rs` |
//! | `h{device} NUL {version, 16 hex digits}` | [`contract::v1::Evidence`] |
//! | `c…` | configuration, see `config/state.rs` |
//! | `k…` | commands and jobs, see `command/state.rs` and `command/job/state.rs` |
//! | `n{device} NUL {time, counted down, 16 hex digits} {version, the same}` | [`contract::v1::MaintenanceRecord`], the last one first |
//! | `y{device} NUL {version, counted down, 16 hex digits}` | [`contract::v1::Retirement`], the last one first |
//! | `z{device}` | [`contract::v1::Transfer`], the last one |
//! | `u{kind} NUL {value}` | the device that has it, see `index.rs` |
//! | `j{kind} NUL {person} NUL {checkpoint}` | [`contract::v1::Checkpoint`], see `checkpoint.rs` |
//! | `i{device}` | [`DeviceLive`]: what other services know of it, see `live.rs` |
//! | `x{field} NUL {value} NUL {device}` | empty: the device is found by it, see `index.rs` |

use std::collections::BTreeMap;

use contract::{
    Code, Refusal,
    v1::{Device, DeviceLive, DeviceType, Group, Login, Order, Person, SavedQuery, Supplier},
};
use prost::Message;
use service::{Fault, Sight, View, store::StoreError};

use crate::{checkpoint, live, policy};

/// All devices.
pub(crate) const DEVICES: &str = "d";
/// All groups.
pub(crate) const GROUPS: &str = "g";
/// All people.
pub(crate) const PEOPLE: &str = "p";
/// What all people log in with.
pub(crate) const LOGINS: &str = "l";
/// All types.
pub(crate) const TYPES: &str = "t";
/// All suppliers.
pub(crate) const SUPPLIERS: &str = "v";
/// All orders.
pub(crate) const ORDERS: &str = "o";
/// All queries that have a name.
pub(crate) const QUERIES: &str = "q";
/// What must be approved by another person.
pub(crate) const FOUR_EYES: &str = "e";
/// The queries of the dynamic groups.
pub(crate) const RULES: &str = "r";
/// Begins the keys of retirements.
pub(crate) const RETIREMENTS: &str = "y";
/// Begins the keys of transfers.
pub(crate) const TRANSFERS: &str = "z";

/// What other services know of all devices.
pub(crate) const LIVE: &str = "i";

/// What the records are, by how their keys begin; the longer ones first.
pub const KINDS: [(&str, &str); 35] = [
    ("b", "walks of groups that moved"),
    ("cd", "devices' configuration"),
    ("ct", "configuration templates"),
    ("cw", "walks of configuration templates"),
    ("cx", "devices whose configuration drifts"),
    (DEVICES, "devices"),
    (GROUPS, "groups"),
    (FOUR_EYES, "what must be approved"),
    ("h", "devices' evidence"),
    ("ka", "arguments of jobs"),
    ("kd", "commands"),
    ("ki", "commands by their ids"),
    ("kj", "jobs"),
    ("kn", "the jobs that have not ended"),
    ("ko", "pieces of commands' output"),
    ("kr", "devices of jobs"),
    ("kt", "devices' trays of commands"),
    ("kw", "devices of jobs whose turn it is"),
    (LOGINS, "logins of people"),
    ("m", "members of groups"),
    ("n", "records of maintenance"),
    ("f", "groups within groups"),
    (ORDERS, "orders"),
    (PEOPLE, "people"),
    (QUERIES, "saved queries"),
    (RULES, "queries of dynamic groups"),
    (TYPES, "types"),
    ("u", "names and numbers in use"),
    (SUPPLIERS, "suppliers"),
    ("w", "searches for members of dynamic groups"),
    ("x", "devices by field"),
    (LIVE, "what other services know of devices"),
    (checkpoint::CHECKPOINTS, "checkpoints of consumers"),
    (RETIREMENTS, "records of retirements"),
    (TRANSFERS, "transfers to other owners"),
];

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

/// What a person logs in with.
pub(crate) fn login_key(kind: &str, id: &str) -> String {
    format!("{LOGINS}{kind}\0{}", fold(id))
}

/// What happened to a device.
pub(crate) fn history(device: &str) -> String {
    format!("h{}\0", fold(device))
}

pub(crate) fn evidence_key(device: &str, version: u64) -> String {
    format!("{}{version:016x}", history(device))
}

/// Begins the keys of one device's records of maintenance.
pub(crate) fn maintenance(device: &str) -> String {
    format!("n{}\0", fold(device))
}

/// Begins the keys of what was done to a device at this time.
pub(crate) fn maintained_at(device: &str, at_ms: i64) -> String {
    let at_ms = u64::try_from(at_ms).unwrap_or_default();
    format!("{}{:016x}", maintenance(device), u64::MAX - at_ms)
}

/// The key of what was done at this time and has been written down with this version.
pub(crate) fn maintenance_key(device: &str, at_ms: i64, version: u64) -> String {
    format!("{}{:016x}", maintained_at(device, at_ms), u64::MAX - version)
}

/// The key of a device's last transfer.
pub(crate) fn transfer_key(device: &str) -> String {
    format!("{TRANSFERS}{}", fold(device))
}

/// Begins the keys of one device's retirements.
pub(crate) fn retirements(device: &str) -> String {
    format!("{RETIREMENTS}{}\0", fold(device))
}

/// The key of the one that began with this version of the device.
pub(crate) fn retirement_key(device: &str, version: u64) -> String {
    format!("{}{:016x}", retirements(device), u64::MAX - version)
}

pub(crate) fn unique_key(kind: &str, value: &str) -> Vec<u8> {
    // A name may be longer than a key.
    let end = (0..=value.len().min(256))
        .rev()
        .find(|n| value.is_char_boundary(*n));
    format!("u{kind}\0{}", &value[..end.unwrap_or(0)]).into_bytes()
}

/// The device of this id or of its twin.
pub(crate) fn device_or_twin(view: &View<'_>, id: &str) -> Result<Option<Device>, StoreError> {
    match view.load::<Device>(device_key(id))? {
        Some(device) => {
            let live = view.load(live::key(id))?;
            Ok(Some(live::whole(device, live)))
        }
        None => Ok(None),
    }
}

/// Up to `limit` devices whose folded ids begin so, after one of them, with those ids.
pub(crate) fn devices(
    view: &View<'_>,
    beginning: &[u8],
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<(Vec<u8>, Device)>, Fault> {
    let at = |table: &str, id: &[u8]| [table.as_bytes(), id].concat();
    let key = |table: &str| after.map(|id| at(table, id));
    let rows = view.list::<Device>(at(DEVICES, beginning), key(DEVICES).as_deref(), limit)?;
    // Nearly every device has one, so that both tables are read side by side.
    let live = view.list::<DeviceLive>(at(LIVE, beginning), key(LIVE).as_deref(), limit)?;
    let more = live.len() == limit;
    let mut live: BTreeMap<_, _> = live
        .into_iter()
        .map(|(key, live)| (key[1..].to_vec(), live))
        .collect();
    let read_to = live.keys().next_back().cloned().unwrap_or_default();
    let mut devices = Vec::with_capacity(rows.len());
    for (key, device) in rows {
        let id = key[DEVICES.len()..].to_vec();
        let beside = match live.remove(&id) {
            None if more && id > read_to => view.load(at(LIVE, &id))?,
            found => found,
        };
        devices.push((id, live::whole(device, beside)));
    }
    Ok(devices)
}

/// The person of this id or of its twin.
pub(crate) fn person_or_twin(view: &View<'_>, kind: &str, id: &str) -> Result<Option<Person>, StoreError> {
    view.load(person_key(kind, id))
}

/// The person of exactly this kind and id.
pub(crate) fn person(view: &View<'_>, kind: &str, id: &str) -> Result<Person, Fault> {
    let (kind, id) = (policy::person_kind(kind)?, policy::id("id", id)?);
    match person_or_twin(view, kind.word(), id.as_str())? {
        Some(person) if person.id == id.as_str() => Ok(person),
        found => {
            let what = kind.word().trim_end_matches('s');
            Err(absent(what, id.as_str(), found.map(|person| person.id))
                .at("id")
                .into())
        }
    }
}

/// What a person logs in with, if anything.
pub(crate) fn login(view: &View<'_>, person: &Person) -> Result<Login, StoreError> {
    let login: Option<Login> = view.load(login_key(&person.kind, &person.id))?;
    Ok(login.unwrap_or_else(|| Login {
        id: person.id.clone(),
        kind: person.kind.clone(),
        ..Login::default()
    }))
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

/// Whether a device is in sight of whoever asks.
pub(crate) fn in_sight(view: &View<'_>, sight: &Sight, id: &str) -> Result<bool, StoreError> {
    if *sight == Sight::Everything {
        return Ok(true);
    }
    Ok(device_or_twin(view, id)?.is_some_and(|device| sight.covers(&device.groups)))
}

/// A record that has an id of its own.
pub(crate) trait Entity: Message + Default {
    /// What people call it.
    const WHAT: &'static str;
    /// Begins the keys of all.
    const ALL: &'static str;

    /// Its id.
    fn id(&self) -> &str;
}

macro_rules! entities {
    ($($name:ident $what:literal $all:ident $id:ident;)*) => {$(
        impl Entity for $name {
            const WHAT: &'static str = $what;
            const ALL: &'static str = $all;

            fn id(&self) -> &str {
                &self.$id
            }
        }
    )*};
}

entities! {
    Group "group" GROUPS group_id;
    DeviceType "type" TYPES type_id;
    Supplier "supplier" SUPPLIERS supplier_id;
    Order "order" ORDERS order_id;
    SavedQuery "query" QUERIES query_id;
}

/// The key of an entity.
pub(crate) fn key<E: Entity>(id: &str) -> String {
    format!("{}{}", E::ALL, fold(id))
}

/// The entity of exactly this id.
pub(crate) fn find<E: Entity>(view: &View<'_>, field: &str, id: &str) -> Result<E, Fault> {
    let id = policy::id(field, id)?;
    match view.load::<E>(key::<E>(id.as_str()))? {
        Some(found) if found.id() == id.as_str() => Ok(found),
        found => Err(absent(E::WHAT, id.as_str(), found.map(|e| e.id().to_owned()))
            .at(field)
            .into()),
    }
}

/// The entity of this id, if it is there; its twin is refused.
pub(crate) fn present<E: Entity>(view: &View<'_>, field: &str, id: &str) -> Result<Option<E>, Fault> {
    let id = policy::id(field, id)?;
    match view.load::<E>(key::<E>(id.as_str()))? {
        Some(twin) if twin.id() != id.as_str() => {
            let message = format!("`{}` exists; ids that differ in case only are twins", twin.id());
            Err(Refusal::new(Code::Exists, message).at(field).into())
        }
        found => Ok(found),
    }
}

/// The group of exactly this id.
pub(crate) fn group(view: &View<'_>, field: &str, id: &str) -> Result<Group, Fault> {
    find(view, field, id)
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
