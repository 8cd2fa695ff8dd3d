//! How many devices fit, by a field's value.

use std::collections::BTreeMap;

use contract::{
    limits,
    v1::{CountDevices, DeviceCount, DevicesCounted},
};
use service::{Fault, Sight, View, page};

use super::{
    search::{Search, within},
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

pub(super) fn devices(
    view: &View<'_>,
    sight: &Sight,
    now_ms: i64,
    m: &CountDevices,
) -> Result<DevicesCounted, Fault> {
    let query = understand(view, now_ms, &m.r#where)?;
    let by = match m.by.as_str() {
        "" => None,
        name => Some(Field::find(name).map_err(|refusal| refusal.at("by"))?),
    };
    let ways = plan::ways(&query).into_iter().chain(within(sight)).collect();
    let search = Search::new(view, ways)?;
    let mut after = page::key(state::DEVICES, &m.page)?.map(|key| key[state::DEVICES.len()..].to_vec());
    let (mut counts, mut total, mut looked_at) = (BTreeMap::<String, u64>::new(), 0, 0);
    let mut next_page = String::new();
    loop {
        let found = search.read(after.as_deref(), CHUNK)?;
        let ended = found.len() < CHUNK;
        looked_at += found.len();
        after = found.last().map(|(id, _)| id.clone()).or(after);
        for (_, device) in found
            .iter()
            .filter(|(_, device)| query.matches(device) && sight.covers(&device.groups))
        {
            total += 1;
            for value in by.iter().flat_map(|field| values(field.read(device))) {
                *counts.entry(value).or_default() += 1;
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
    let (counts, others) = most_frequent(counts);
    Ok(DevicesCounted {
        counts,
        total,
        others,
        next_page,
        ..DevicesCounted::default()
    })
}

/// A device in three groups counts in each.
fn values(value: Value<'_>) -> Vec<String> {
    match value {
        Value::List(list) => list.into_iter().map(str::to_owned).collect(),
        value => vec![value.text().chars().take(VALUE_CHARS).collect()],
    }
}

/// What is told one by one, and the rest together; as JSON the answer fits a message.
fn most_frequent(counts: BTreeMap<String, u64>) -> (Vec<DeviceCount>, u64) {
    let mut counts: Vec<_> = counts
        .into_iter()
        .map(|(value, count)| DeviceCount { value, count })
        .collect();
    counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
    let mut bytes = 0;
    let fitting = counts
        .iter()
        .take(VALUES)
        .take_while(|count| {
            bytes += 2 * count.value.len() + 64;
            bytes < limits::PAYLOAD_BYTES - 8 * 1024
        })
        .count();
    let others = counts.split_off(fitting).iter().map(|count| count.count).sum();
    (counts, others)
}
