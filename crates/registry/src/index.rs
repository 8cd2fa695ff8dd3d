//! The keys beside a device's record, as a function of it: what no two devices share, and what devices are
//! found by. They are never written otherwise, so they cannot go astray.

use std::{borrow::Cow, collections::BTreeMap};

use contract::v1::{Device, Drift, Restriction, Stage};

use crate::{
    cell,
    choice::Choice,
    field::{Field, Value},
    state,
};

/// The most of a value that stands in a key; whoever reads the index looks at the device again.
const VALUE_BYTES: usize = 64;

/// What no two living devices share: by kind and value.
pub(crate) fn unique(device: &Device) -> Vec<(&'static str, String)> {
    shared_by_none(device)
        .map(|(kind, text)| (kind, text.to_lowercase()))
        .collect()
}

fn shared_by_none(device: &Device) -> impl Iterator<Item = (&'static str, &str)> {
    let texts = [
        ("serial_number", device.serial_number.as_str()),
        ("key_fingerprint", &device.key_fingerprint),
    ];
    let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
    let addresses = device.addresses.iter();
    let all = texts.chain(addresses.map(|address| ("addresses", address.as_str())));
    all.filter(|_| device.stage() != Stage::Retired)
}

/// Whether what stands beside the record is the same for both, as far as that can be seen without making the keys:
/// what most messages of devices change stands in none.
pub(crate) fn is_as_before(before: &Device, device: &Device) -> bool {
    before.device_id == device.device_id
        && shared_by_none(before).eq(shared_by_none(device))
        && plain(before) == plain(device)
        && before.tags == device.tags
        && cell::place(before) == cell::place(device)
        && before.live == device.live
}

/// Every key beside the device's record, with what stands there.
pub(crate) fn keys(device: &Device) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let unique = unique(device).into_iter();
    let unique = unique.map(|(kind, value)| {
        (
            state::unique_key(kind, &value),
            device.device_id.clone().into_bytes(),
        )
    });
    let found_by = values(device).map(|(field, value)| {
        let key = [
            range(&field, &value).as_slice(),
            state::fold(&device.device_id).as_bytes(),
        ]
        .concat();
        (key, Vec::new())
    });
    unique.chain(found_by).collect()
}

/// The keys of all devices with this value of a field, and of some with another that begins alike;
/// their rest is the folded device id. `None`: there is no such index.
pub(crate) fn of(field: &str, value: &str) -> Option<Vec<u8>> {
    let plain = [
        "stage",
        "restriction",
        "type",
        "site",
        "model",
        "firmware",
        "parent",
        "order",
        "connectivity",
        "alert",
        "alert_severity",
        "drift",
    ];
    let indexed = plain.contains(&field) || field.starts_with("tags.");
    (indexed && !is_common(field, value) && !value.is_empty()).then(|| range(field, value))
}

/// Most devices have this value, so it has no index.
fn is_common(field: &str, value: &str) -> bool {
    match field {
        "restriction" => value == Restriction::None.name(),
        "drift" => value == Drift::None.name(),
        _ => false,
    }
}

/// Fields whose values stand in an index in their order; all of them are times.
const ORDERED: [&str; 2] = ["certificate_until", "last_seen"];

/// The index of a field whose values stand in their order, without the values.
pub(crate) fn ordered(field: &str) -> Option<Vec<u8>> {
    ORDERED.contains(&field).then(|| beginning(field))
}

/// No field's name.
const PLACES: &str = "near";

/// The index of where devices are, without the places; see `cell.rs`.
pub(crate) fn places() -> Vec<u8> {
    beginning(PLACES)
}

/// All keys of a field that few devices have, whichever the value.
pub(crate) fn whole(field: &str) -> Option<Vec<u8>> {
    let few = ["alert", "alert_severity", "last_seen", "certificate_until"];
    few.contains(&field).then(|| beginning(field))
}

/// A time as it stands in a key: in the order of time.
pub(crate) fn time(ms: i64) -> Vec<u8> {
    format!("{:016x}", ms.max(0)).into_bytes()
}

/// By which of its own fields a device is found.
fn plain(device: &Device) -> [(&'static str, &str); 8] {
    let restriction = match device.restriction() {
        Restriction::None | Restriction::Unspecified => "",
        other => other.name(),
    };
    [
        ("stage", device.stage().name()),
        ("restriction", restriction),
        ("type", &device.device_type),
        ("site", &device.site),
        ("model", &device.model),
        ("firmware", &device.firmware_version),
        ("parent", &device.parent),
        ("order", &device.order),
    ]
}

/// By what a device is found.
fn values(device: &Device) -> impl Iterator<Item = (String, Cow<'_, str>)> {
    let plain = plain(device).map(|(field, value)| (field.to_owned(), value));
    let tags = device
        .tags
        .iter()
        .map(|(key, value)| (format!("tags.{key}"), value.as_str()));
    plain
        .into_iter()
        .chain(tags)
        .filter(|(_, value)| !value.is_empty())
        .map(|(field, value)| (field, Cow::Borrowed(value)))
        .chain(place(device))
        .chain(live(device))
}

/// By where it is.
fn place(device: &Device) -> Option<(String, Cow<'_, str>)> {
    let (latitude, longitude) = cell::place(device)?;
    Some((PLACES.to_owned(), Cow::Owned(cell::key(latitude, longitude))))
}

/// By what of others' knowledge it is found.
fn live(device: &Device) -> Vec<(String, Cow<'_, str>)> {
    let names = ["connectivity", "alert", "alert_severity", "drift"]
        .into_iter()
        .chain(ORDERED);
    let fields = names.filter_map(|name| Some((name, Field::find(name).ok()?)));
    let mut found = Vec::new();
    for (name, field) in fields.filter(|_| device.live.is_some()) {
        let texts = match field.read(device) {
            Value::Name(value) if is_common(name, value) => Vec::new(),
            Value::Name(value) => vec![Cow::Borrowed(value)],
            Value::List(list) => list.into_iter().map(Cow::Borrowed).collect(),
            Value::Time(ms) => vec![Cow::Owned(String::from_utf8_lossy(&time(ms)).into_owned())],
            _ => Vec::new(),
        };
        found.extend(texts.into_iter().map(|text| (name.to_owned(), text)));
    }
    found
}

fn beginning(field: &str) -> Vec<u8> {
    format!("x{field}\0").into_bytes()
}

fn range(field: &str, value: &str) -> Vec<u8> {
    // A tag's key may be long as well, and may hold what separates.
    let short = |text: &str| -> Vec<u8> {
        let text = text.as_bytes();
        text.get(..VALUE_BYTES)
            .unwrap_or(text)
            .iter()
            .map(|b| if *b == 0 { b' ' } else { *b })
            .collect()
    };
    [b"x".as_slice(), &short(field), b"\0", &short(value), b"\0"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_fit_the_store_and_end_in_the_id() {
        let mut device = Device {
            device_id: "D".repeat(64),
            site: "é".repeat(512),
            ..Device::default()
        };
        device.tags.insert("k".repeat(128), "v".repeat(256));
        device.set_stage(Stage::Active);
        let keys = keys(&device);
        assert_eq!(keys.len(), 3);
        for key in keys.keys() {
            assert!(key.len() < 256 && key.ends_with("d".repeat(64).as_bytes()));
        }
        let site = of("site", &device.site).unwrap();
        assert!(keys.keys().any(|key| key.starts_with(&site)));
        assert_eq!(of("owner", "x"), None);
        assert_eq!(of("restriction", "RESTRICTION_NONE"), None);
    }

    #[test]
    fn whatever_changes_a_key_is_seen() {
        use contract::v1::{DeviceLive, OpenAlert};
        let before = Device {
            device_id: "pump-7".into(),
            addresses: vec!["mac:02".into()],
            live: Some(DeviceLive::default()),
            ..Device::default()
        };
        let text = || "x".to_owned();
        fn place() -> contract::v1::Location {
            contract::v1::Location {
                latitude: 52.5,
                ..Default::default()
            }
        }
        let changes: [fn(&mut Device, String); 19] = [
            |d, text| d.device_id = text,
            |d, _| d.set_stage(Stage::Active),
            |d, _| d.set_stage(Stage::Retired),
            |d, _| d.set_restriction(Restriction::Suspended),
            |d, text| d.device_type = text,
            |d, text| d.site = text,
            |d, text| d.model = text,
            |d, text| d.firmware_version = text,
            |d, text| d.parent = text,
            |d, text| d.order = text,
            |d, text| d.serial_number = text,
            |d, text| d.key_fingerprint = text,
            |d, text| d.addresses.push(text),
            |d, text| drop(d.tags.insert(text.clone(), text)),
            |d, _| d.position = Some(place()),
            |d, _| d.location = Some(place()),
            |d, _| d.live.as_mut().unwrap().last_seen_ms = 7,
            |d, _| d.live.as_mut().unwrap().set_drift(Drift::Failed),
            |d, text| {
                let alert = OpenAlert {
                    rule_id: text,
                    ..OpenAlert::default()
                };
                d.live.as_mut().unwrap().alerts.push(alert);
            },
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut device = before.clone();
            change(&mut device, text());
            assert_ne!(keys(&before), keys(&device), "{number}");
            assert!(!is_as_before(&before, &device), "{number}");
        }
        let reported = Device {
            attributes: [(text(), text())].into(),
            version: 9,
            ..before.clone()
        };
        assert!(is_as_before(&before, &reported));
        assert_eq!(keys(&before), keys(&reported));
    }

    #[test]
    fn a_retired_device_gives_its_identity_free() {
        let mut device = Device {
            serial_number: "SN-7".into(),
            addresses: vec!["mac:02".into()],
            ..Device::default()
        };
        assert_eq!(
            unique(&device),
            [
                ("serial_number", "sn-7".to_owned()),
                ("addresses", "mac:02".to_owned())
            ]
        );
        device.set_stage(Stage::Retired);
        assert_eq!(unique(&device), []);
    }
}
