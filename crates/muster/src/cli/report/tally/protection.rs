//! Which are less protected than their criticality asks.

use std::collections::BTreeMap;

use contract::v1::{Criticality, Device};

use super::{
    super::{
        super::{
            cert::{DAY_MS, day_ms},
            words::say,
        },
        fleet::Beside,
        table::{Chart, Table},
    },
    Tally, is_in_use,
};

/// The longest life of a critical device's certificate, days.
const CERTIFICATE_DAYS: i64 = 90;

/// What is asked of a device.
struct Demand {
    from: Criticality,
    /// What is lacking where it is not met.
    lack: &'static str,
    is_met: fn(&Device, &Beside) -> bool,
}

/// All that is asked, and from which criticality on.
const DEMANDS: [Demand; 7] = [
    Demand {
        from: Criticality::Medium,
        lack: "no owner",
        is_met: |device, _| !device.owner.is_empty(),
    },
    Demand {
        from: Criticality::Medium,
        lack: "support has ended",
        is_met: |device, beside| {
            day_ms(&device.end_of_support).is_none_or(|end| end + DAY_MS > beside.now_ms)
        },
    },
    Demand {
        from: Criticality::High,
        lack: "no site",
        is_met: |device, _| !device.site.is_empty(),
    },
    Demand {
        from: Criticality::High,
        lack: "not the newest firmware",
        is_met: |device, beside| {
            let newest = beside.newest.get(&device.model);
            newest.is_none_or(|(_, version)| *version == device.firmware_version)
        },
    },
    Demand {
        from: Criticality::High,
        lack: "an open alert",
        is_met: |device, beside| {
            beside
                .seen
                .get(&device.device_id)
                .is_none_or(|seen| seen.alerts == 0)
        },
    },
    Demand {
        from: Criticality::Critical,
        lack: "not seen for a day",
        is_met: |device, beside| {
            let seen = beside.seen.get(&device.device_id);
            seen.is_some_and(|seen| beside.now_ms - seen.last_ms < DAY_MS)
        },
    },
    Demand {
        from: Criticality::Critical,
        lack: "a certificate for more than 90 days",
        is_met: |device, beside| {
            let days = beside.certified_days.get(&device.device_id);
            days.is_none_or(|days| *days <= CERTIFICATE_DAYS)
        },
    },
];

#[derive(Default)]
pub(super) struct Protection {
    /// The most critical come first, by id.
    found: BTreeMap<(i32, String), Vec<String>>,
    lacks: BTreeMap<&'static str, u64>,
    looked_at: u64,
}

impl Tally for Protection {
    fn add(&mut self, device: &Device, beside: &Beside) {
        if !is_in_use(device) {
            return;
        }
        self.looked_at += 1;
        let unmet =
            |demand: &&Demand| device.criticality >= demand.from.into() && !(demand.is_met)(device, beside);
        let lacks: Vec<_> = DEMANDS.iter().filter(unmet).map(|demand| demand.lack).collect();
        if lacks.is_empty() {
            return;
        }
        for lack in &lacks {
            *self.lacks.entry(lack).or_default() += 1;
        }
        let row = vec![
            device.device_id.clone(),
            say(device.criticality()),
            lacks.join(", "),
            device.site.clone(),
            device.owner.clone(),
        ];
        self.found
            .insert((-device.criticality, device.device_id.clone()), row);
    }

    fn table(&self) -> Table {
        let bars = self
            .lacks
            .iter()
            .map(|(lack, count)| ((*lack).to_owned(), *count as f64));
        Table {
            report: "protection",
            about: format!(
                "{} of {} devices in use are less protected than their criticality asks",
                self.found.len(),
                self.looked_at
            ),
            columns: vec!["id", "criticality", "what is lacking", "site", "owner"],
            rows: self.found.values().cloned().collect(),
            charts: vec![Chart {
                title: "Devices by what is lacking".into(),
                bars: bars.collect(),
            }],
        }
    }
}
