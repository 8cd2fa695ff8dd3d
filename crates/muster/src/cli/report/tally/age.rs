//! How old they are, and for how long there is warranty and support.

use std::collections::BTreeMap;

use contract::v1::Device;

use super::{
    super::{
        super::cert::{DAY_MS, day_ms},
        fleet::Beside,
        table::{Chart, NONE, Table},
    },
    Tally, is_owned,
};

const BY: [&str; 3] = ["age", "warranty", "support"];
/// What ends within these days is told apart: time to order what follows.
const SOON_DAYS: i64 = 90;
/// A year with its leap days.
const YEAR_DAYS: f64 = 365.2425;

#[derive(Default)]
pub(super) struct Age {
    /// By the place of each class in its order.
    counts: [BTreeMap<(i64, String), u64>; BY.len()],
    out_of_support: u64,
}

impl Tally for Age {
    fn add(&mut self, device: &Device, beside: &Beside) {
        if !is_owned(device) {
            return;
        }
        let classes = [
            age(&device.purchased_on, beside.now_ms),
            end(&device.warranty_until, beside.now_ms),
            end(&device.end_of_support, beside.now_ms),
        ];
        self.out_of_support += u64::from(classes[2].0 == ENDED.0);
        for (counts, (place, class)) in self.counts.iter_mut().zip(classes) {
            *counts.entry((place, class)).or_default() += 1;
        }
    }

    fn table(&self) -> Table {
        let (mut rows, mut charts) = (Vec::new(), Vec::new());
        for (by, counts) in BY.iter().zip(&self.counts) {
            for ((_, class), count) in counts {
                rows.push(vec![(*by).into(), class.clone(), count.to_string()]);
            }
            let bar = |((_, class), count): (&(i64, String), &u64)| (class.clone(), *count as f64);
            charts.push(Chart {
                title: format!("Devices by {by}"),
                bars: counts.iter().map(bar).collect(),
            });
        }
        Table {
            report: "age",
            about: format!("{} devices are out of their maker's support", self.out_of_support),
            columns: vec!["by", "value", "devices"],
            rows,
            charts,
        }
    }
}

const ENDED: (i64, &str) = (0, "ended");

fn end(day: &str, now_ms: i64) -> (i64, String) {
    let (place, class) = match day_ms(day) {
        None => (3, NONE),
        // The day itself still counts.
        Some(end) if end + DAY_MS <= now_ms => ENDED,
        Some(end) if end <= now_ms + SOON_DAYS * DAY_MS => (1, "within 90 days"),
        Some(_) => (2, "later"),
    };
    (place, class.into())
}

fn age(bought: &str, now_ms: i64) -> (i64, String) {
    let Some(bought) = day_ms(bought) else {
        return (i64::MAX, NONE.into());
    };
    let years = ((now_ms - bought) as f64 / DAY_MS as f64 / YEAR_DAYS).floor() as i64;
    match years {
        ..1 => (0, "under 1 year".into()),
        years => (years, format!("{years} to {} years", years + 1)),
    }
}
