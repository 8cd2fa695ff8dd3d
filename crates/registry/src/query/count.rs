//! How many devices fit, by a field's value, and what their numbers come to.

use std::collections::BTreeMap;

use contract::{
    Refusal, limits,
    v1::{CountDevices, Device, DeviceCount, DevicesCounted},
    wire::{self, Encoding},
};
use service::{Fault, Sight, View, page};

use super::{
    search::{Search, within},
    spread::{Measure, Numbers},
    understand,
};
use crate::{
    field::{Field, Value},
    language::plan,
    state,
};

/// Devices looked at for one answer; a larger fleet is counted in several.
const ROWS: usize = 50_000;
/// Devices read at a time.
const CHUNK: usize = 500;
/// Values told one by one.
const VALUES: usize = 1_000;
/// Of a value, what is told.
const VALUE_CHARS: usize = 128;
/// Into how many parts the numbers of all devices are laid where an answer is one of several.
const FINE: f64 = 200.0;
/// The same for those of one value.
const COARSE: f64 = 24.0;
/// The answer's rows as JSON, with room for the rest.
const ROWS_BYTES: usize = limits::PAYLOAD_BYTES - 64 * 1024;

pub(super) fn devices(
    view: &View<'_>,
    sight: &Sight,
    now_ms: i64,
    m: &CountDevices,
) -> Result<DevicesCounted, Fault> {
    let query = understand(view, now_ms, &m.r#where)?;
    let mut count = Count::new(m, now_ms)?;
    let ways = plan::ways(&query).into_iter().chain(within(sight)).collect();
    let search = Search::new(view, ways)?;
    let mut after = page::key(state::DEVICES, &m.page)?.map(|key| key[state::DEVICES.len()..].to_vec());
    let (mut looked_at, mut next_page) = (0, String::new());
    loop {
        let found = search.read(after.as_deref(), CHUNK)?;
        let ended = found.len() < CHUNK;
        looked_at += found.len();
        after = found.last().map(|(id, _)| id.clone()).or(after);
        for (_, device) in &found {
            if query.matches(device) && sight.covers(&device.groups) {
                count.add(device)?;
            }
        }
        if ended {
            break;
        }
        if looked_at >= ROWS {
            let key = after.map(|id| [state::DEVICES.as_bytes(), &id].concat());
            next_page = page::token_of(state::DEVICES, key.as_deref());
            break;
        }
    }
    let is_part = !(m.page.is_empty() && next_page.is_empty());
    Ok(DevicesCounted {
        next_page,
        ..count.told(is_part)
    })
}

/// What is counted, and what has been so far.
struct Count {
    by: Option<Field>,
    of: Option<Measure>,
    top: usize,
    now_ms: i64,
    all: Tally,
    values: BTreeMap<String, Tally>,
}

#[derive(Default)]
struct Tally {
    devices: u64,
    numbers: Numbers,
}

impl Tally {
    fn add(&mut self, number: Option<(f64, &str)>) -> Result<(), Refusal> {
        self.devices += 1;
        number.map_or(Ok(()), |(number, unit)| self.numbers.add(number, unit))
    }
}

impl Count {
    fn new(m: &CountDevices, now_ms: i64) -> Result<Count, Refusal> {
        let by = match m.by.as_str() {
            "" => None,
            name => Some(Field::find(name).map_err(|refusal| refusal.at("by"))?),
        };
        let of = match m.of.as_str() {
            "" => None,
            text => Some(Measure::read(text)?),
        };
        let top = match m.top as usize {
            0 => VALUES,
            top if top <= VALUES => top,
            _ => {
                return Err(Refusal::invalid(
                    "top",
                    format!("the most frequent {VALUES} at most are told"),
                ));
            }
        };
        Ok(Count {
            by,
            of,
            top,
            now_ms,
            all: Tally::default(),
            values: BTreeMap::new(),
        })
    }

    fn add(&mut self, device: &Device) -> Result<(), Refusal> {
        let number = self.of.as_ref().and_then(|of| of.of(device, self.now_ms));
        self.all.add(number)?;
        for value in self.by.iter().flat_map(|field| values(field.read(device))) {
            self.values.entry(value).or_default().add(number)?;
        }
        Ok(())
    }

    fn told(self, is_part: bool) -> DevicesCounted {
        let fine = |parts: f64| is_part.then_some(parts);
        let mut counts: Vec<_> = self.values.into_iter().collect();
        counts.sort_by(|(a, one), (b, other)| other.devices.cmp(&one.devices).then_with(|| a.cmp(b)));
        let counts = counts.into_iter().map(|(value, tally)| DeviceCount {
            value,
            count: tally.devices,
            spreads: tally.numbers.spreads(fine(COARSE)),
        });
        let (counts, others) = most_frequent(counts, self.top);
        DevicesCounted {
            counts,
            others,
            total: self.all.devices,
            spreads: self.all.numbers.spreads(fine(FINE)),
            ..DevicesCounted::default()
        }
    }
}

/// A device in three groups counts in each.
fn values(value: Value<'_>) -> Vec<String> {
    match value {
        Value::List(list) => list.into_iter().map(str::to_owned).collect(),
        value => vec![value.text().chars().take(VALUE_CHARS).collect()],
    }
}

/// What is told one by one, and the rest together; as JSON the answer fits a message.
fn most_frequent(counts: impl Iterator<Item = DeviceCount>, top: usize) -> (Vec<DeviceCount>, u64) {
    let (mut told, mut bytes, mut others) = (Vec::new(), 0, 0);
    for count in counts {
        if told.len() < top && bytes < ROWS_BYTES {
            bytes += wire::encode(&count, Encoding::Json).len() + 1;
        }
        if told.len() < top && bytes < ROWS_BYTES {
            told.push(count);
        } else {
            others += count.count;
        }
    }
    (told, others)
}
