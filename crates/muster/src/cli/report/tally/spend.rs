//! What they cost.

use std::collections::BTreeMap;

use contract::v1::{Device, Money};

use super::{
    super::{
        fleet::Beside,
        table::{Chart, Table, or_none},
    },
    Tally,
};

/// By supplier and currency; without a price the currency is empty.
#[derive(Default)]
pub(super) struct Spend(BTreeMap<(String, String), Sum>);

#[derive(Default)]
struct Sum {
    devices: u64,
    without_price: u64,
    /// More than any currency's whole supply fits.
    cents: i128,
}

impl Tally for Spend {
    /// What is retired was paid for as well.
    fn add(&mut self, device: &Device, _: &Beside) {
        let price = device.price.as_ref();
        let currency = price.map(|price| price.currency.clone()).unwrap_or_default();
        let sum = self.0.entry((or_none(&device.supplier), currency)).or_default();
        sum.devices += 1;
        sum.without_price += u64::from(price.is_none());
        sum.cents += i128::from(price.map_or(0, |Money { cents, .. }| *cents));
    }

    fn table(&self) -> Table {
        let row = |((supplier, currency), sum): (&(String, String), &Sum)| {
            let total = if currency.is_empty() {
                String::new()
            } else {
                money(sum.cents)
            };
            let counts = [sum.devices, sum.without_price].map(|count| count.to_string());
            let names = [supplier.clone(), currency.clone()];
            names.into_iter().chain(counts).chain([total]).collect()
        };
        let currencies = self
            .0
            .keys()
            .map(|(_, currency)| currency)
            .filter(|c| !c.is_empty());
        let currencies: std::collections::BTreeSet<_> = currencies.collect();
        let chart = |currency: &&String| Chart {
            title: format!("Spent by supplier, {currency}"),
            bars: self.bars(currency),
        };
        Table {
            report: "spend",
            about: "What devices cost, retired ones as well".into(),
            columns: vec!["supplier", "currency", "devices", "without price", "spent"],
            rows: self.0.iter().map(row).collect(),
            charts: currencies.iter().map(chart).collect(),
        }
    }
}

impl Spend {
    fn bars(&self, currency: &str) -> Vec<(String, f64)> {
        let of = self.0.iter().filter(|((_, c), _)| c == currency);
        of.map(|((supplier, _), sum)| (supplier.clone(), sum.cents as f64 / 100.0))
            .collect()
    }
}

fn money(cents: i128) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let cents = cents.unsigned_abs();
    format!("{sign}{}.{:02}", cents / 100, cents % 100)
}
