//! How many there are.

use std::collections::BTreeMap;

use contract::v1::Device;

use super::{
    super::{
        super::words::say,
        fleet::Beside,
        table::{Chart, Table, or_none},
    },
    Tally, is_owned,
};

/// What is counted by, in the order of the report.
const BY: [&str; 4] = ["site", "type", "criticality", "stage"];

#[derive(Default)]
pub(super) struct Inventory {
    counts: [BTreeMap<String, u64>; BY.len()],
    owned: u64,
}

impl Tally for Inventory {
    fn add(&mut self, device: &Device, _: &Beside) {
        let mut count = |by: usize, value: &str| *self.counts[by].entry(or_none(value)).or_default() += 1;
        count(3, &say(device.stage()));
        // Whoever is retired stands among the stages only.
        if !is_owned(device) {
            return;
        }
        count(0, &device.site);
        count(1, &device.device_type);
        count(2, &say(device.criticality()));
        self.owned += 1;
    }

    fn table(&self) -> Table {
        let (mut rows, mut charts) = (Vec::new(), Vec::new());
        for (by, counts) in BY.iter().zip(&self.counts) {
            let counts = most_first(counts);
            let row = |(value, count): &(String, u64)| vec![(*by).into(), value.clone(), count.to_string()];
            rows.extend(counts.iter().map(row));
            charts.push(Chart {
                title: format!("Devices by {by}"),
                bars: counts
                    .into_iter()
                    .map(|(value, count)| (value, count as f64))
                    .collect(),
            });
        }
        Table {
            report: "inventory",
            about: format!("{} devices that are not retired", self.owned),
            columns: vec!["by", "value", "devices"],
            rows,
            charts,
        }
    }
}

fn most_first(counts: &BTreeMap<String, u64>) -> Vec<(String, u64)> {
    let mut counts: Vec<_> = counts
        .iter()
        .map(|(value, count)| (value.clone(), *count))
        .collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts
}
