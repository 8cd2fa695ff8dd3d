//! Whose maintenance is due.

use contract::v1::Device;

use super::{
    super::{
        super::{
            cert::{DAY_MS, day_ms},
            print,
            words::say,
        },
        fleet::Beside,
        table::Table,
    },
    Tally, is_owned,
};

/// Time to send somebody.
const SOON_DAYS: i64 = 90;

#[derive(Default)]
pub(super) struct Maintenance {
    overdue: u64,
    /// By the day on which it is due.
    found: Vec<(i64, Vec<String>)>,
}

impl Tally for Maintenance {
    fn add(&mut self, device: &Device, beside: &Beside) {
        let due = day_ms(&device.maintenance_due).filter(|_| is_owned(device));
        let Some(due) = due.filter(|due| *due <= beside.now_ms + SOON_DAYS * DAY_MS) else {
            return;
        };
        // The day itself is in time.
        let is_over = due + DAY_MS <= beside.now_ms;
        self.overdue += u64::from(is_over);
        let kinds = device
            .due
            .iter()
            .filter(|(_, day)| **day == device.maintenance_due);
        let kinds: Vec<_> = kinds.map(|(kind, _)| kind.as_str()).collect();
        self.found.push((
            due,
            vec![
                device.device_id.clone(),
                device.maintenance_due.clone(),
                if is_over { "overdue" } else { "within 90 days" }.into(),
                kinds.join(" "),
                print::time(device.last_maintained_ms),
                device.site.clone(),
                device.owner.clone(),
                say(device.criticality()),
            ],
        ));
    }

    fn table(&self) -> Table {
        let mut found = self.found.clone();
        found.sort();
        Table {
            report: "maintenance",
            about: format!(
                "{} devices are overdue, {} more are due within {SOON_DAYS} days",
                self.overdue,
                found.len() as u64 - self.overdue
            ),
            columns: vec![
                "id",
                "due",
                "when",
                "kind",
                "last",
                "site",
                "owner",
                "criticality",
            ],
            rows: found.into_iter().map(|(_, row)| row).collect(),
            charts: Vec::new(),
        }
    }
}
