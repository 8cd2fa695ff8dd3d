//! Which have never been seen, and which not for long.

use contract::v1::{Device, Stage};

use super::{
    super::{
        super::{cert::DAY_MS, print, words::say},
        fleet::Beside,
        table::Table,
    },
    Tally, is_in_use, is_owned,
};

#[derive(Default)]
pub(super) struct Unseen(Vec<Vec<String>>);

impl Tally for Unseen {
    fn add(&mut self, device: &Device, beside: &Beside) {
        // Nobody expects a planned one.
        let expected = is_owned(device) && device.stage() != Stage::Planned;
        if !expected || beside.seen.contains_key(&device.device_id) {
            return;
        }
        self.0.push(vec![
            device.device_id.clone(),
            say(device.stage()),
            device.site.clone(),
            device.supplier.clone(),
            print::time(device.registered_at_ms),
        ]);
    }

    fn table(&self) -> Table {
        Table {
            report: "unseen",
            about: format!("{} devices have never connected", self.0.len()),
            columns: vec!["id", "stage", "site", "supplier", "registered"],
            rows: self.0.clone(),
            charts: Vec::new(),
        }
    }
}

pub(super) struct Idle {
    idle_ms: i64,
    /// The longest away come first.
    found: Vec<(i64, Vec<String>)>,
}

impl Idle {
    pub(super) fn of(idle_ms: i64) -> Idle {
        Idle {
            idle_ms,
            found: Vec::new(),
        }
    }
}

impl Tally for Idle {
    fn add(&mut self, device: &Device, beside: &Beside) {
        let seen = beside.seen.get(&device.device_id);
        let Some(seen) =
            seen.filter(|seen| is_in_use(device) && beside.now_ms - seen.last_ms >= self.idle_ms)
        else {
            return;
        };
        let days = (beside.now_ms - seen.last_ms) / DAY_MS;
        let row = vec![
            device.device_id.clone(),
            print::time(seen.last_ms),
            days.to_string(),
            device.site.clone(),
            device.owner.clone(),
        ];
        self.found.push((seen.last_ms, row));
    }

    fn table(&self) -> Table {
        let mut found = self.found.clone();
        found.sort();
        let days = self.idle_ms / DAY_MS;
        Table {
            report: "idle",
            about: format!("{} devices in use were not seen for {days} days", found.len()),
            columns: vec!["id", "last seen", "days ago", "site", "owner"],
            rows: found.into_iter().map(|(_, row)| row).collect(),
            charts: Vec::new(),
        }
    }
}
