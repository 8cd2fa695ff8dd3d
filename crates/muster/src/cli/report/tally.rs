//! The reports: what each counts or lists, fed one device at a time.

mod age;
mod inventory;
mod maintenance;
mod protection;
mod sight;
mod spend;

use contract::v1::{Device, Stage};

use super::{fleet::Beside, table::Table};

/// A report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Topic {
    /// How many there are, by site, type, criticality and stage
    Inventory,
    /// How old they are, and for how long there is warranty and support
    Age,
    /// Whose maintenance is overdue, or due within 90 days
    Maintenance,
    /// Which have never been seen
    Unseen,
    /// Which have not been seen for long
    Idle,
    /// What they cost, by supplier
    Spend,
    /// Which are less protected than their criticality asks
    Protection,
}

/// What a report becomes while devices pass.
pub(crate) trait Tally {
    /// One more device.
    fn add(&mut self, device: &Device, beside: &Beside);
    /// All have passed.
    fn table(&self) -> Table;
}

impl Topic {
    /// An empty report. Idle is whoever was not seen for `idle_ms`.
    pub(crate) fn begin(self, idle_ms: i64) -> Box<dyn Tally> {
        match self {
            Topic::Inventory => Box::<inventory::Inventory>::default(),
            Topic::Age => Box::<age::Age>::default(),
            Topic::Maintenance => Box::<maintenance::Maintenance>::default(),
            Topic::Unseen => Box::<sight::Unseen>::default(),
            Topic::Idle => Box::new(sight::Idle::of(idle_ms)),
            Topic::Spend => Box::<spend::Spend>::default(),
            Topic::Protection => Box::<protection::Protection>::default(),
        }
    }

    /// Whether monitoring is asked.
    pub(crate) fn wants_monitoring(self) -> bool {
        matches!(self, Topic::Unseen | Topic::Idle | Topic::Protection)
    }

    /// Whether provisioning and the rollout service are.
    pub(crate) fn wants_all(self) -> bool {
        self == Topic::Protection
    }
}

/// Whether it is at work, or should be.
fn is_in_use(device: &Device) -> bool {
    matches!(device.stage(), Stage::Active | Stage::Maintenance)
}

/// Whether it belongs to the fleet: not retired, and not replaced.
fn is_owned(device: &Device) -> bool {
    device.stage() != Stage::Retired
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;
    use contract::v1::{Criticality, Money};

    use super::*;
    use crate::cli::{cert::DAY_MS, report::fleet::Seen};

    /// 2026-06-01.
    const NOW_MS: i64 = 1_780_272_000_000;

    fn beside() -> Beside {
        let seen = |days_ago: i64, alerts| Seen {
            last_ms: NOW_MS - days_ago * DAY_MS,
            alerts,
        };
        Beside {
            now_ms: NOW_MS,
            seen: [("a".into(), seen(0, 0)), ("b".into(), seen(40, 1))].into(),
            newest: [("p200".into(), (3, "1.2".into()))].into(),
            certified_days: [("a".into(), 30), ("b".into(), 397)].into(),
        }
    }

    fn device(id: &str, stage: Stage, criticality: Criticality) -> Device {
        Device {
            device_id: id.into(),
            stage: stage.into(),
            criticality: criticality.into(),
            model: "p200".into(),
            ..Device::default()
        }
    }

    fn report(topic: Topic, devices: &[Device]) -> Table {
        let mut tally = topic.begin(30 * DAY_MS);
        devices.iter().for_each(|device| tally.add(device, &beside()));
        tally.table()
    }

    fn rows(topic: Topic, devices: &[Device]) -> Vec<String> {
        report(topic, devices)
            .rows
            .iter()
            .map(|row| row.join("|"))
            .collect()
    }

    #[test]
    fn an_inventory_counts_by_four_things_and_tells_the_retired_apart() {
        let mut all = vec![
            device("a", Stage::Active, Criticality::High),
            device("b", Stage::Active, Criticality::Low),
            device("c", Stage::Retired, Criticality::Low),
        ];
        all[0].site = "berlin".into();
        let rows = rows(Topic::Inventory, &all);
        for expected in [
            "site|(none)|1",
            "site|berlin|1",
            "type|(none)|2",
            "criticality|high|1",
            "criticality|low|1",
            "stage|active|2",
            "stage|retired|1",
        ] {
            assert!(rows.iter().any(|row| row == expected), "{expected}: {rows:?}");
        }
    }

    #[test]
    fn ages_and_ends_fall_into_their_times() {
        let mut all: Vec<_> = ["a", "b", "c"]
            .map(|id| device(id, Stage::Active, Criticality::Low))
            .into();
        all[0].purchased_on = "2025-12-01".into();
        all[1].purchased_on = "2021-05-31".into();
        all[0].warranty_until = "2026-07-01".into();
        all[1].warranty_until = "2026-05-31".into();
        all[1].end_of_support = "2030-01-01".into();
        let rows = rows(Topic::Age, &all);
        for expected in [
            "age|under 1 year|1",
            "age|5 to 6 years|1",
            "age|(none)|1",
            "warranty|ended|1",
            "warranty|within 90 days|1",
            "warranty|(none)|1",
            "support|later|1",
            "support|(none)|2",
        ] {
            assert!(rows.iter().any(|row| row == expected), "{expected}: {rows:?}");
        }
    }

    #[test]
    fn what_is_overdue_comes_first_and_what_is_far_off_not_at_all() {
        let due = |id: &str, stage, day: &str| Device {
            maintenance_due: day.into(),
            due: [
                ("battery".into(), day.into()),
                ("repair".into(), "2031-01-01".into()),
            ]
            .into(),
            ..device(id, stage, Criticality::Low)
        };
        let all = [
            due("a", Stage::Active, "2026-07-01"),
            due("b", Stage::Active, "2026-05-30"),
            due("c", Stage::Active, "2027-07-01"),
            due("d", Stage::Retired, "2026-05-30"),
            device("e", Stage::Active, Criticality::Low),
        ];
        let rows = rows(Topic::Maintenance, &all);
        assert_eq!(
            rows,
            [
                "b|2026-05-30|overdue|battery||||low",
                "a|2026-07-01|within 90 days|battery||||low"
            ]
        );
        let about = report(Topic::Maintenance, &all).about;
        assert_eq!(about, "1 devices are overdue, 1 more are due within 90 days");
    }

    #[test]
    fn whoever_was_never_seen_and_whoever_was_not_for_long() {
        let all = ["a", "b", "c"].map(|id| device(id, Stage::Active, Criticality::Low));
        let first = |rows: Vec<String>| {
            let ids = rows
                .iter()
                .map(|row| row.split('|').next().unwrap_or_default().to_owned());
            ids.collect::<Vec<_>>()
        };
        assert_eq!(first(rows(Topic::Unseen, &all)), ["c"]);
        assert_eq!(first(rows(Topic::Idle, &all)), ["b"]);
        let retired = [device("c", Stage::Retired, Criticality::Low)];
        assert!(rows(Topic::Unseen, &retired).is_empty());
    }

    #[test]
    fn money_is_summed_by_supplier_and_currency() {
        let mut all: Vec<_> = ["a", "b", "c", "d"]
            .map(|id| device(id, Stage::Active, Criticality::Low))
            .into();
        for (device, currency, cents) in [(0, "EUR", 1_250), (1, "EUR", 50), (2, "CHF", i64::MAX)] {
            all[device].supplier = "acme".into();
            all[device].price = Some(Money {
                currency: currency.into(),
                cents,
            });
        }
        let rows = rows(Topic::Spend, &all);
        assert_eq!(
            rows,
            [
                "(none)||1|1|",
                "acme|CHF|1|0|92233720368547758.07",
                "acme|EUR|2|0|13.00"
            ]
        );
    }

    #[test]
    fn what_is_asked_grows_with_criticality() {
        let mut all = vec![
            device("a", Stage::Active, Criticality::Critical),
            device("b", Stage::Active, Criticality::Critical),
            device("c", Stage::Active, Criticality::Low),
            device("d", Stage::Planned, Criticality::Critical),
        ];
        all[0].owner = "ada".into();
        all[0].site = "berlin".into();
        all[0].firmware_version = "1.2".into();
        all[1].end_of_support = "2026-01-01".into();
        let rows = rows(Topic::Protection, &all);
        assert_eq!(rows.len(), 1, "{rows:?}");
        for lack in [
            "owner",
            "support",
            "site",
            "firmware",
            "alert",
            "day",
            "certificate",
        ] {
            assert!(rows[0].contains(lack), "{lack}: {rows:?}");
        }
        let names: Vec<_> = Topic::value_variants()
            .iter()
            .map(|t| report(*t, &all).report)
            .collect();
        let words = Topic::value_variants()
            .iter()
            .map(|t| t.to_possible_value().unwrap());
        assert_eq!(names, words.map(|w| w.get_name().to_owned()).collect::<Vec<_>>());
    }
}
