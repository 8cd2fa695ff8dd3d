//! `muster device count`

use std::collections::BTreeMap;

use anyhow::Result;
use client::Client;
use contract::{
    id::ServiceName,
    v1::{CountDevices, DeviceCount, DevicesCounted, Spread},
};
use registry::together;

use super::super::{Global, global, matching::Matching, print};

#[derive(clap::Args)]
pub(crate) struct Count {
    #[command(flatten)]
    matching: Matching,
    /// By the values of this field
    #[arg(long, value_name = "FIELD", default_value = "", hide_default_value = true)]
    by: String,
    /// Only the most frequent values
    #[arg(long, value_name = "N", requires = "by")]
    top: Option<usize>,
    /// Also the least, the mean, percentiles and the greatest of a number: a field, or the days since or to a
    /// time, `age(FIELD)` or `until(FIELD)`
    #[arg(long, value_name = "NUMBER", default_value = "", hide_default_value = true)]
    of: String,
}

impl Count {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let mut sum = global.block_on(self.ask(global))?;
        sum.warn(&self);
        if let Some(top) = self.top.filter(|top| *top < sum.whole.counts.len()) {
            let rest = sum.whole.counts.split_off(top);
            sum.whole.others += rest.iter().map(|count| count.count).sum::<u64>();
        }
        let counted = sum.whole;
        if global.json {
            return print::json(&counted);
        }
        match (self.by.is_empty(), self.of.is_empty()) {
            (true, true) => print::line(counted.total.to_string()),
            (false, true) => self.table(&counted),
            _ => self.numbers(&counted),
        }
    }

    fn table(&self, counted: &DevicesCounted) -> Result<()> {
        let row = |c: &DeviceCount| vec![said(&c.value), c.count.to_string()];
        let mut rows: Vec<_> = counted.counts.iter().map(row).collect();
        if counted.others > 0 {
            rows.push(vec!["(others)".into(), counted.others.to_string()]);
        }
        print::table(&[&self.by, "devices"], rows)?;
        print::line(format!("{} devices", counted.total))
    }

    fn numbers(&self, counted: &DevicesCounted) -> Result<()> {
        let mut rows: Vec<_> = counted
            .counts
            .iter()
            .flat_map(|c| lines(&said(&c.value), c.count, &c.spreads))
            .collect();
        if counted.others > 0 {
            rows.extend(lines("(others)", counted.others, &[]));
        }
        rows.extend(lines("(all)", counted.total, &counted.spreads));
        let headings = [
            &self.by, "devices", "with it", "unit", "min", "mean", "p50", "p90", "p99", "max",
        ];
        print::line(format!("{}:", self.of))?;
        print::table(&headings, rows)
    }

    async fn ask(&self, global: &Global) -> Result<Sum> {
        let (client, _inbox) = global.connect().await?;
        let request = CountDevices {
            r#where: self.matching.query.clone(),
            by: self.by.clone(),
            of: self.of.clone(),
            ..CountDevices::default()
        };
        let sum = counted(&client, request).await?;
        client.disconnect().await;
        Ok(sum.finish())
    }
}

/// How many devices fit a query.
pub(in crate::cli) async fn total(client: &Client, query: String) -> Result<u64> {
    let request = CountDevices {
        r#where: query,
        ..CountDevices::default()
    };
    Ok(counted(client, request).await?.whole.total)
}

/// A large fleet is counted in several answers.
async fn counted(client: &Client, mut request: CountDevices) -> Result<Sum> {
    let mut sum = Sum::default();
    loop {
        let mut part: DevicesCounted = global::ask(client, ServiceName::Registry, "count", &request).await?;
        request.page = std::mem::take(&mut part.next_page);
        sum.add(part);
        if request.page.is_empty() {
            return Ok(sum);
        }
    }
}

/// Several answers as one.
#[derive(Default)]
struct Sum {
    answers: usize,
    values: BTreeMap<String, (u64, Vec<Spread>)>,
    whole: DevicesCounted,
}

impl Sum {
    fn add(&mut self, part: DevicesCounted) {
        self.answers += 1;
        for count in part.counts {
            let (devices, spreads) = self.values.entry(count.value).or_default();
            *devices += count.count;
            spreads.extend(count.spreads);
        }
        self.whole.total += part.total;
        self.whole.others += part.others;
        self.whole.spreads.extend(part.spreads);
    }

    fn finish(mut self) -> Sum {
        let counts = std::mem::take(&mut self.values).into_iter();
        let counts = counts.map(|(value, (count, spreads))| DeviceCount {
            value,
            count,
            spreads: together(spreads),
        });
        self.whole.counts = counts.collect();
        self.whole
            .counts
            .sort_by_key(|count| std::cmp::Reverse(count.count));
        self.whole.spreads = together(std::mem::take(&mut self.whole.spreads));
        self
    }

    /// What was bounded.
    fn warn(&self, asked: &Count) {
        if self.answers == 1 {
            return;
        }
        if !asked.of.is_empty() {
            print::note(format!(
                "the fleet was counted in {} parts; percentiles may be those of half a percent more or less, of a single value of five",
                self.answers
            ));
        }
        if self.whole.others > 0 {
            print::note("there are more values than a part tells; those of few devices may be told too low");
        }
    }
}

/// One line for each unit.
fn lines(value: &str, devices: u64, spreads: &[Spread]) -> Vec<Vec<String>> {
    let mut lines = Vec::new();
    for s in spreads {
        let counts = [
            value.to_owned(),
            devices.to_string(),
            s.count.to_string(),
            s.unit.clone(),
        ];
        let numbers = [s.min, s.mean, s.p50, s.p90, s.p99, s.max].map(number);
        lines.push(counts.into_iter().chain(numbers).collect());
    }
    if lines.is_empty() {
        let mut line = vec![value.to_owned(), devices.to_string(), "0".to_owned()];
        line.resize(10, String::new());
        lines.push(line);
    }
    lines
}

fn said(value: &str) -> String {
    if value.is_empty() {
        "(none)".to_owned()
    } else {
        value.to_owned()
    }
}

/// With two decimals at most.
fn number(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_answers_are_one() {
        let part = |value: &str, count: u64| DevicesCounted {
            counts: vec![DeviceCount {
                value: value.into(),
                count,
                ..DeviceCount::default()
            }],
            total: count,
            ..DevicesCounted::default()
        };
        let mut sum = Sum::default();
        for answer in [part("a", 2), part("b", 5), part("a", 1)] {
            sum.add(answer);
        }
        let whole = sum.finish().whole;
        let rows: Vec<_> = whole.counts.iter().map(|c| (c.value.as_str(), c.count)).collect();
        assert_eq!((rows, whole.total), (vec![("b", 5), ("a", 3)], 8));
    }

    #[test]
    fn numbers_are_short() {
        for (n, text) in [
            (1.0, "1"),
            (129.5, "129.5"),
            (0.004, "0"),
            (1e6, "1000000"),
            (-2.25, "-2.25"),
        ] {
            assert_eq!(number(n), text);
        }
    }
}
