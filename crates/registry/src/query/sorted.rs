//! Pages in another order than that of ids. Each page looks at all that may fit, so that is bounded.

use std::collections::BTreeMap;

use contract::{
    Code, Refusal, limits,
    v1::{Device, ListDevices},
    wire::{self, Encoding},
};
use service::{Fault, page::Page};

use super::search::Search;
use crate::{
    field::{Field, Value, day},
    language::{place_of, version},
};

/// Devices that one sorted page may look at.
const ROWS_MAX: usize = 50_000;
/// Devices read at a time.
const CHUNK: usize = 500;
/// Of a text, what it is sorted by.
const TEXT_BYTES: usize = 96;
/// A page's bytes as JSON, with room for the request id and the token.
const PAGE_BYTES: usize = limits::PAYLOAD_BYTES - 4 * 1024;

/// The place of a device in the list: the sort field's value, then the id. Bytes are ordered as values are.
type Place = (Vec<u8>, Vec<u8>);

/// A page of what fits.
pub(super) fn page(
    search: &Search<'_>,
    m: &ListDevices,
    fits: impl Fn(&Device) -> bool,
) -> Result<Page<Device>, Fault> {
    let order = Order::read(&m.sort)?;
    let size = match m.page_size as usize {
        0 => limits::PAGE_DEFAULT,
        n if n <= limits::PAGE_MAX => n,
        n => {
            let message = format!("a page has 1 to {} entries, not {n}", limits::PAGE_MAX);
            return Err(Refusal::invalid("page_size", message).into());
        }
    };
    let after = read_token(&m.page)?;
    let mut first: BTreeMap<Place, Device> = BTreeMap::new();
    walk(search, |id, device| {
        let place = (order.key(&device), id);
        if fits(&device) && after.as_ref().is_none_or(|after| place > *after) {
            first.insert(place, device);
            if first.len() > size + 1 {
                first.pop_last();
            }
        }
    })?;
    Ok(cut(first, size))
}

/// Looks at all that may fit.
fn walk(search: &Search<'_>, mut see: impl FnMut(Vec<u8>, Device)) -> Result<(), Fault> {
    let (mut after, mut looked_at) = (None::<Vec<u8>>, 0);
    loop {
        let found = search.read(after.as_deref(), CHUNK)?;
        let ended = found.len() < CHUNK;
        looked_at += found.len();
        if looked_at > ROWS_MAX {
            let message = format!(
                "more than {ROWS_MAX} devices would have to be looked at to sort them; narrow the query by what has an index (docs/registry.md), or do without `sort`"
            );
            return Err(Refusal::new(Code::Limit, message).at("sort").into());
        }
        after = found.last().map(|(id, _)| id.clone());
        for (id, device) in found {
            see(id, device);
        }
        if ended {
            return Ok(());
        }
    }
}

/// As many as fit a message.
fn cut(first: BTreeMap<Place, Device>, size: usize) -> Page<Device> {
    let (mut rows, mut bytes, mut last) = (Vec::new(), 0, None);
    for (place, device) in first {
        bytes += wire::encode(&device, Encoding::Json).len() + 1;
        if !rows.is_empty() && (rows.len() == size || bytes > PAGE_BYTES) {
            let next = last.as_ref().map(token).unwrap_or_default();
            return Page { rows, next };
        }
        rows.push(device);
        last = Some(place);
    }
    let next = String::new();
    Page { rows, next }
}

/// By which field, and which way.
struct Order {
    field: Field,
    down: bool,
}

impl Order {
    fn read(text: &str) -> Result<Order, Refusal> {
        let (name, down) = match text.strip_prefix('-') {
            Some(name) => (name, true),
            None => (text, false),
        };
        let field = Field::find(name).map_err(|refusal| refusal.at("sort"))?;
        Ok(Order { field, down })
    }

    /// Devices without a value come last, whichever way.
    fn key(&self, device: &Device) -> Vec<u8> {
        let value = self.field.read(device);
        let Some(mut bytes) = ordered(&value, &self.field) else {
            return vec![1];
        };
        if self.down {
            // Ended, so that what begins alike is turned round as well.
            bytes.push(0);
            bytes.iter_mut().for_each(|byte| *byte = !*byte);
        }
        bytes.insert(0, 0);
        bytes
    }
}

fn ordered(value: &Value<'_>, field: &Field) -> Option<Vec<u8>> {
    let version_of = |text: &str| match field.sort() {
        crate::field::Sort::Version => version(text),
        _ => None,
    };
    Some(match value {
        Value::Absent => return None,
        Value::Number(number) => float(*number).to_vec(),
        Value::Money(money) => float(money.cents as f64).to_vec(),
        Value::Time(ms) => float(*ms as f64).to_vec(),
        Value::Day(text) => float(day(text)? as f64).to_vec(),
        Value::Yes => vec![1],
        Value::Name(name) => vec![u8::try_from(place_of(name)).unwrap_or(u8::MAX)],
        Value::List(list) => short(list.first()?),
        Value::Text(text) => match (version_of(text), text.parse::<f64>()) {
            (Some(version), _) => {
                let numbers = [version.major, version.minor, version.patch];
                let mut bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_be_bytes()).collect();
                // A release comes after what led to it.
                bytes.extend(if version.pre.is_empty() {
                    vec![1]
                } else {
                    [b"\0", version.pre.as_bytes()].concat()
                });
                bytes
            }
            (None, Ok(number)) if number.is_finite() => [b"\0".as_slice(), &float(number)].concat(),
            _ => [b"\x01".as_slice(), &short(text)].concat(),
        },
    })
}

/// Bytes that are ordered as the numbers are (IEEE 754, total order).
fn float(number: f64) -> [u8; 8] {
    let bits = number.to_bits();
    let flipped = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
    flipped.to_be_bytes()
}

fn short(text: &str) -> Vec<u8> {
    let mut bytes = text.to_lowercase().into_bytes();
    bytes.truncate(TEXT_BYTES);
    bytes
}

fn token((key, id): &Place) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("{}.{}", hex(key), hex(id))
}

fn read_token(token: &str) -> Result<Option<Place>, Refusal> {
    if token.is_empty() {
        return Ok(None);
    }
    let unhex = |text: &str| -> Option<Vec<u8>> {
        let digits =
            text.len().is_multiple_of(2) && text.len() <= 512 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let pairs = digits.then(|| text.as_bytes().chunks(2))?;
        pairs
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect()
    };
    let place = token
        .split_once('.')
        .and_then(|(key, id)| Some((unhex(key)?, unhex(id)?)));
    let message = "`page` is the `next_page` of the page before, or empty";
    place.map(Some).ok_or_else(|| Refusal::invalid("page", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_ordered_as_bytes() {
        let numbers = [f64::MIN, -2.5, -0.0, 0.0, 1e-9, 3.0, f64::MAX];
        for pair in numbers.windows(2) {
            assert!(float(pair[0]) < float(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn either_way_absent_values_come_last() {
        let device = |site: &str, firmware: &str| Device {
            site: site.into(),
            firmware_version: firmware.into(),
            ..Device::default()
        };
        let devices = [
            device("9", "1.2.0-rc.1"),
            device("21.5", "1.2.0"),
            device("berlin", "1.10.0"),
            device("berlin-2", "2.0.0"),
            device("", ""),
        ];
        for sort in ["site", "firmware"] {
            let keys = |sort: &str| {
                let order = Order::read(sort).unwrap();
                devices.iter().map(|device| order.key(device)).collect::<Vec<_>>()
            };
            let (up, down) = (keys(sort), keys(&format!("-{sort}")));
            assert!(up.is_sorted(), "{sort}");
            assert!(down[..4].iter().rev().is_sorted() && down[4] > down[0], "-{sort}");
        }
    }

    #[test]
    fn tokens_come_back_and_nonsense_is_refused() {
        let place = (vec![0, 255, 7], b"pump-7".to_vec());
        assert_eq!(read_token(&token(&place)).unwrap(), Some(place));
        for bad in [
            "x",
            ".",
            "0.00",
            "zz.00",
            "00",
            &format!("{}.00", "0".repeat(514)),
        ] {
            assert!(bad == "." || read_token(bad).is_err(), "{bad}");
        }
    }
}
