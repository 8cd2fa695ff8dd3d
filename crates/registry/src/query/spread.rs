//! What the numbers of many devices come to: the least, the mean, percentiles, the greatest.

use std::collections::BTreeMap;

use contract::{
    Code, Refusal,
    v1::{Device, Spread, Weight},
};

use crate::field::{Field, Sort, Value, day};

/// Units (currencies) of one measure.
const UNITS_MAX: usize = 16;
const DAY_MS: f64 = 86_400_000.0;

/// A number that every device may have.
#[derive(Debug)]
pub(super) enum Measure {
    /// A field that is one.
    Number(Field),
    /// Days since a field's time.
    Age(Field),
    /// Days until it.
    Until(Field),
}

impl Measure {
    /// Reads `price`, `age(registered)`, `until(warranty_until)`.
    pub(super) fn read(text: &str) -> Result<Measure, Refusal> {
        let within = |word: &str| text.strip_prefix(word)?.strip_prefix('(')?.strip_suffix(')');
        let field = |name: &str| Field::find(name.trim()).map_err(|refusal| refusal.at("of"));
        let time = |name: &str| match field(name)? {
            field if matches!(field.sort(), Sort::Time) => Ok(field),
            field => Err(Refusal::invalid("of", format!("`{}` is no time", field.name()))),
        };
        if let Some(name) = within("age") {
            return Ok(Measure::Age(time(name)?));
        }
        if let Some(name) = within("until") {
            return Ok(Measure::Until(time(name)?));
        }
        let field = field(text)?;
        let name = field.name();
        match field.sort() {
            Sort::Number | Sort::Text => Ok(Measure::Number(field)),
            Sort::Time => {
                let message =
                    format!("`{name}` is a time; its days are counted by `age({name})` or `until({name})`");
                Err(Refusal::invalid("of", message))
            }
            _ => Err(Refusal::invalid("of", format!("`{name}` is no number"))),
        }
    }

    /// What it is of a device, and its unit; a text that is no number is none.
    pub(super) fn of<'a>(&self, device: &'a Device, now_ms: i64) -> Option<(f64, &'a str)> {
        let days = |field: &Field| {
            let at_ms = match field.read(device) {
                Value::Time(ms) => ms,
                Value::Day(text) => day(text)?,
                _ => return None,
            };
            Some(now_ms.saturating_sub(at_ms) as f64 / DAY_MS)
        };
        match self {
            Measure::Age(field) => Some((days(field)?, "days")),
            Measure::Until(field) => Some((-days(field)?, "days")),
            Measure::Number(field) => match field.read(device) {
                Value::Number(number) => Some((number, "")),
                Value::Money(money) => Some((money.cents as f64 / 100.0, &money.currency)),
                Value::Text(text) => {
                    let number: f64 = text.parse().ok()?;
                    number.is_finite().then_some((number, ""))
                }
                _ => None,
            },
        }
    }
}

/// Numbers by their units.
#[derive(Debug, Default)]
pub(super) struct Numbers(BTreeMap<String, Vec<f64>>);

impl Numbers {
    pub(super) fn add(&mut self, number: f64, unit: &str) -> Result<(), Refusal> {
        if let Some(numbers) = self.0.get_mut(unit) {
            numbers.push(number);
            return Ok(());
        }
        if self.0.len() == UNITS_MAX {
            let message = format!("there are more than {UNITS_MAX} currencies; narrow the query");
            return Err(Refusal::new(Code::Limit, message).at("of"));
        }
        self.0.insert(unit.to_owned(), vec![number]);
        Ok(())
    }

    /// One spread for each unit; with its values, as many as `fineness` says, where they are to be laid together with
    /// those of other answers.
    pub(super) fn spreads(self, fineness: Option<f64>) -> Vec<Spread> {
        let spread = |(unit, mut numbers): (String, Vec<f64>)| {
            numbers.sort_by(f64::total_cmp);
            let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
            let each = numbers.into_iter().map(|value| Weight { value, count: 1 });
            let weights = equal_ones(each);
            let spread = sum_up(unit, &weights, mean);
            Spread {
                values: fineness.map_or_else(Vec::new, |fineness| coarser(&weights, fineness)),
                ..spread
            }
        };
        self.0.into_iter().map(spread).collect()
    }
}

/// The spreads of several answers as one for each unit. Their percentiles lie within half a percent of the devices of
/// where they are told to be.
pub fn together(parts: impl IntoIterator<Item = Spread>) -> Vec<Spread> {
    let mut by_unit: BTreeMap<String, Vec<Spread>> = BTreeMap::new();
    for part in parts.into_iter().filter(|part| part.count > 0) {
        by_unit.entry(part.unit.clone()).or_default().push(part);
    }
    let whole = |(unit, mut parts): (String, Vec<Spread>)| {
        if parts.len() == 1 {
            return parts.pop().unwrap_or_default();
        }
        let count: u64 = parts.iter().map(|part| part.count).sum();
        let sum: f64 = parts.iter().map(|part| part.mean * part.count as f64).sum();
        let least = parts.iter().map(|part| part.min).fold(f64::INFINITY, f64::min);
        let greatest = parts
            .iter()
            .map(|part| part.max)
            .fold(f64::NEG_INFINITY, f64::max);
        let mut weights: Vec<Weight> = parts.into_iter().flat_map(|part| part.values).collect();
        weights.sort_by(|a, b| a.value.total_cmp(&b.value));
        Spread {
            min: least,
            max: greatest,
            values: Vec::new(),
            ..sum_up(unit, &weights, sum / count as f64)
        }
    };
    by_unit.into_iter().map(whole).collect()
}

/// Of values in their order.
fn sum_up(unit: String, weights: &[Weight], mean: f64) -> Spread {
    let count: u64 = weights.iter().map(|weight| weight.count).sum();
    // By nearest rank: the first value that so many of a hundred do not exceed.
    let percentile = |percent: u64| {
        let rank = (count * percent).div_ceil(100);
        let mut passed = 0;
        let at = weights.iter().find(|weight| {
            passed += weight.count;
            passed >= rank
        });
        at.map_or(0.0, |weight| weight.value)
    };
    Spread {
        unit,
        count,
        min: weights.first().map_or(0.0, |weight| weight.value),
        mean,
        p50: percentile(50),
        p90: percentile(90),
        p99: percentile(99),
        max: weights.last().map_or(0.0, |weight| weight.value),
        values: Vec::new(),
    }
}

fn equal_ones(weights: impl Iterator<Item = Weight>) -> Vec<Weight> {
    let mut equal: Vec<Weight> = Vec::new();
    for weight in weights {
        match equal.last_mut() {
            Some(last) if last.value == weight.value => last.count += weight.count,
            _ => equal.push(weight),
        }
    }
    equal
}

/// Neighbours as one, with their mean: in the middle each is one part of `fineness`, and at both ends a small part of what
/// lies beyond it, since that is where percentiles are asked for.
fn coarser(weights: &[Weight], fineness: f64) -> Vec<Weight> {
    let count: u64 = weights.iter().map(|weight| weight.count).sum();
    let mut coarse: Vec<Weight> = Vec::new();
    let mut passed = 0;
    for weight in weights {
        let ahead = passed + weight.count;
        let beyond = passed.min(count - ahead) as f64;
        let most = (count as f64 / fineness).min(beyond / 16.0);
        match coarse.last_mut() {
            Some(last) if (last.count + weight.count) as f64 <= most => {
                let both = (last.count + weight.count) as f64;
                last.value += (weight.value - last.value) * (weight.count as f64 / both);
                last.count += weight.count;
            }
            _ => coarse.push(*weight),
        }
        passed = ahead;
    }
    coarse
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(numbers: impl IntoIterator<Item = f64>, fineness: Option<f64>) -> Spread {
        let mut all = Numbers::default();
        for number in numbers {
            all.add(number, "").unwrap();
        }
        all.spreads(fineness).pop().unwrap()
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let of = |numbers: &[f64]| {
            let s = told(numbers.iter().copied(), None);
            (s.count, s.min, s.mean, s.p50, s.p90, s.p99, s.max)
        };
        assert_eq!(of(&[7.0]), (1, 7.0, 7.0, 7.0, 7.0, 7.0, 7.0));
        assert_eq!(of(&[3.0, 1.0, 2.0, 2.0]), (4, 1.0, 2.0, 2.0, 3.0, 3.0, 3.0));
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(of(&hundred), (100, 1.0, 50.5, 50.0, 90.0, 99.0, 100.0));
    }

    #[test]
    fn parts_laid_together_are_near_the_whole() {
        // Skewed, so that the tail is long; the parts differ.
        let numbers: Vec<f64> = (0..60_000_u32)
            .map(|n| f64::from(n.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24))
            .map(|part| (1.0 - part).powi(-2))
            .collect();
        let whole = told(numbers.iter().copied(), None);
        let parts: Vec<Spread> = numbers
            .chunks(10_000)
            .map(|part| told(part.iter().copied(), Some(200.0)))
            .collect();
        assert!(
            parts.iter().all(|part| part.values.len() < 700),
            "{}",
            parts[0].values.len()
        );
        let laid = together(parts).pop().unwrap();
        assert_eq!((laid.count, laid.min, laid.max), (60_000, whole.min, whole.max));
        let rank = |value: f64| numbers.iter().filter(|number| **number <= value).count() as f64 / 60_000.0;
        for (value, percent) in [(laid.p50, 0.50), (laid.p90, 0.90), (laid.p99, 0.99)] {
            assert!(
                (rank(value) - percent).abs() < 0.005,
                "{percent}: {}",
                rank(value)
            );
        }
        assert!((laid.mean - whole.mean).abs() / whole.mean < 1e-9);
    }

    #[test]
    fn few_values_stay_exact_and_units_apart() {
        let part = |unit: &str| {
            let mut numbers = Numbers::default();
            for n in 0..1_000 {
                numbers.add(f64::from(n % 3), unit).unwrap();
            }
            numbers.spreads(Some(200.0)).pop().unwrap()
        };
        let laid = together([part("EUR"), part("USD"), part("EUR")]);
        assert_eq!(laid.len(), 2);
        assert_eq!(
            (laid[0].unit.as_str(), laid[0].count, laid[0].p50),
            ("EUR", 2_000, 1.0)
        );
        assert_eq!(laid[1].values.len(), 3);
        let mut many = Numbers::default();
        let refused = (0..20).find_map(|n| many.add(1.0, &format!("C{n}")).err());
        assert_eq!(refused.unwrap().code, Code::Limit);
    }

    #[test]
    fn what_cannot_be_summed_up_is_refused() {
        for (text, words) in [
            ("nonsense", "no field `nonsense`"),
            ("age(price)", "`price` is no time"),
            ("until()", "no field"),
            ("registered", "`age(registered)`"),
            ("stage", "`stage` is no number"),
            ("firmware", "is no number"),
        ] {
            let refusal = Measure::read(text).unwrap_err();
            assert!(refusal.message.contains(words), "{text}: {}", refusal.message);
            assert_eq!(refusal.field, "of");
        }
    }
}
