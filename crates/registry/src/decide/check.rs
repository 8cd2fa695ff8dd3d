//! What must hold of a device beside its own fields: what it names is there, what is unique is not taken,
//! its attributes fit its type, its record fits the store.

use contract::{
    Code, Refusal,
    v1::{Device, DeviceType, Order, Stage, Supplier},
};
use prost::Message;
use service::{Fault, View};

use super::Situation;
use crate::{event::Fields, index, schema, state};

/// A record that is smaller than this is small enough as JSON too, where every character may be escaped.
const SMALL_BYTES: usize = 24 * 1024;
/// The largest record or change as JSON. It stands in an event, which the store keeps (64 KiB), and may grow by
/// reasons and dynamic groups, which nobody is refused for.
const JSON_BYTES: usize = 54 * 1024;
/// Parents above a device.
const DEPTH_MAX: usize = 8;

/// What is looked at, one after the other.
const PARTS: [Part; 6] = [
    Part::Supplier,
    Part::Order,
    Part::Parent,
    Part::Type,
    Part::Unique,
    Part::Size,
];

#[derive(Debug, Clone, Copy)]
enum Part {
    Supplier,
    Order,
    Parent,
    Type,
    Unique,
    Size,
}

/// An operator's change.
pub(crate) fn written(
    s: &Situation<'_>,
    view: &View<'_>,
    before: Option<&Device>,
    after: &Device,
) -> Result<(), Fault> {
    PARTS
        .iter()
        .try_for_each(|part| part.check(s, view, before, after))
}

/// The same of a new device, to the end: what is wrong with each part.
pub(crate) fn faults(
    s: &Situation<'_>,
    view: &View<'_>,
    device: &Device,
) -> impl Iterator<Item = Result<(), Fault>> {
    PARTS.iter().map(|part| part.check(s, view, None, device))
}

impl Part {
    fn check(
        self,
        s: &Situation<'_>,
        view: &View<'_>,
        before: Option<&Device>,
        after: &Device,
    ) -> Result<(), Fault> {
        let new = |field: fn(&Device) -> &String| {
            let value = field(after);
            !value.is_empty() && before.is_none_or(|before| field(before) != value)
        };
        match self {
            Part::Supplier if new(|d| &d.supplier) => {
                state::find::<Supplier>(view, "supplier", &after.supplier).map(drop)
            }
            Part::Order if new(|d| &d.order) => state::find::<Order>(view, "order", &after.order).map(drop),
            Part::Parent if new(|d| &d.parent) => parent(view, after),
            Part::Type if !after.device_type.is_empty() => kind(s, view, after, new(|d| &d.device_type)),
            Part::Unique => unique(view, before, after),
            Part::Size => size(after),
            Part::Supplier | Part::Order | Part::Parent | Part::Type => Ok(()),
        }
    }
}

/// Its type is there, may be chosen, and its attributes fit it.
fn kind(s: &Situation<'_>, view: &View<'_>, after: &Device, is_new: bool) -> Result<(), Fault> {
    let kind = state::find::<DeviceType>(view, "type", &after.device_type)?;
    if kind.deprecated && is_new {
        let message = format!("the type `{}` is deprecated; choose another", kind.type_id);
        return Err(Refusal::new(Code::NotAllowed, message).at("type").into());
    }
    Ok(schema::check(s.schemas, &kind, after, schema::Side::Operators)?)
}

/// What the device itself reports.
pub(crate) fn reported(s: &Situation<'_>, after: &Device) -> Result<(), Fault> {
    if after.device_type.is_empty() {
        return size(after);
    }
    let kind = s
        .view
        .load::<DeviceType>(state::key::<DeviceType>(&after.device_type))?;
    if let Some(kind) = kind {
        schema::check(s.schemas, &kind, after, schema::Side::Device)?;
    }
    size(after)
}

/// What no two living devices share.
pub(crate) fn unique(view: &View<'_>, before: Option<&Device>, after: &Device) -> Result<(), Fault> {
    let held = before.map(index::unique).unwrap_or_default();
    for (kind, value) in index::unique(after) {
        if held.contains(&(kind, value.clone())) {
            continue;
        }
        let Some(other) = view.get(&state::unique_key(kind, &value))? else {
            continue;
        };
        let other = String::from_utf8_lossy(&other);
        if other != after.device_id {
            // As it was written, not as it is compared.
            let said = match kind {
                "serial_number" => &after.serial_number,
                _ => &value,
            };
            let message = format!("`{other}` has this already: {said}");
            return Err(Refusal::new(Code::Exists, message).at(kind).into());
        }
    }
    Ok(())
}

/// The record fits the store.
pub(crate) fn size(device: &Device) -> Result<(), Fault> {
    if device.encoded_len() <= SMALL_BYTES {
        return Ok(());
    }
    // What others know of it stands in a record of its own.
    let record = Device {
        live: None,
        ..device.clone()
    };
    json(
        &record,
        "the device's record would have",
        "shorten its notes and attributes",
    )
}

/// What is told of a change fits the store.
pub(crate) fn told(fields: &Fields) -> Result<(), Fault> {
    json(
        fields,
        "the change, with what was there before, has",
        "change fewer fields at once",
    )
}

fn json(what: &impl serde::Serialize, sentence: &str, remedy: &str) -> Result<(), Fault> {
    let bytes = serde_json::to_vec(what).map_or(usize::MAX, |json| json.len());
    if bytes <= JSON_BYTES {
        return Ok(());
    }
    let message = format!("{sentence} {bytes} bytes as JSON, the limit is {JSON_BYTES}; {remedy}");
    Err(Refusal::new(Code::Limit, message).into())
}

/// The parent is there, and nobody is above himself.
fn parent(view: &View<'_>, device: &Device) -> Result<(), Fault> {
    let at = |refusal: Refusal| Fault::from(refusal.at("parent"));
    let mut above = state::device(view, "parent", &device.parent)?;
    if above.stage() == Stage::Retired {
        let message = format!("`{}` is retired; nothing is behind it", above.device_id);
        return Err(at(Refusal::new(Code::NotAllowed, message)));
    }
    for _ in 0..DEPTH_MAX {
        if above.device_id == device.device_id {
            let message = format!("`{}` would be above itself", device.device_id);
            return Err(at(Refusal::invalid("parent", message)));
        }
        if above.parent.is_empty() {
            return Ok(());
        }
        above = state::device(view, "parent", &above.parent)?;
    }
    let message = format!("a device has at most {DEPTH_MAX} others above it");
    Err(at(Refusal::new(Code::Limit, message)))
}
