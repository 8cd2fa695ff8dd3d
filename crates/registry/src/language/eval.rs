//! Whether a device fits a query.

use std::cmp::Ordering;

use contract::v1::Device;

use super::{Expr, Operand, Test, grammar::Comparison, meaning::version};
use crate::{
    cell::{self, EARTH_KM},
    field::{Value, day},
};

pub(super) fn matches(expr: &Expr, device: &Device, now_ms: i64) -> bool {
    match expr {
        Expr::Or(any) => any.iter().any(|expr| matches(expr, device, now_ms)),
        Expr::And(all) => all.iter().all(|expr| matches(expr, device, now_ms)),
        Expr::Not(expr) => !matches(expr, device, now_ms),
        Expr::Near(latitude, longitude, km) => near(device, *latitude, *longitude, *km),
        Expr::Test(field, test) => match field.read(device) {
            Value::List(list) => list.iter().any(|text| holds(&Value::Text(text), test, now_ms)),
            value => holds(&value, test, now_ms),
        },
    }
}

fn holds(value: &Value<'_>, test: &Test, now_ms: i64) -> bool {
    let order = |operand: &Operand| compare(value, operand, now_ms);
    let same = |operand: &Operand| same(value, operand, now_ms);
    match test {
        Test::Has => !value.is_absent(),
        Test::Compare(Comparison::Equal, operand) => same(operand) == Some(true),
        Test::Compare(Comparison::Unequal, operand) => same(operand) == Some(false),
        Test::Compare(comparison, operand) => {
            order(operand).is_some_and(|ordering| comparison.holds(ordering))
        }
        Test::In(operands) => operands.iter().any(|operand| same(operand) == Some(true)),
        Test::Between(low, high) => {
            order(low).is_some_and(Ordering::is_ge) && order(high).is_some_and(Ordering::is_le)
        }
        Test::Like(pattern) => !value.is_absent() && pattern.matches(&value.text()),
    }
}

/// Whether a device's value is a query's: texts and versions to the letter, so that an index finds them.
fn same(value: &Value<'_>, operand: &Operand, now_ms: i64) -> Option<bool> {
    match (value, operand) {
        (Value::Text(text), Operand::Text(other) | Operand::Version(other, _)) => Some(text == other),
        _ => compare(value, operand, now_ms).map(Ordering::is_eq),
    }
}

/// How a device's value stands to a query's. What cannot be compared fits nothing.
fn compare(value: &Value<'_>, operand: &Operand, now_ms: i64) -> Option<Ordering> {
    if let Operand::Now(offset_ms) = operand {
        return compare(value, &Operand::Time(now_ms.saturating_add(*offset_ms)), now_ms);
    }
    match (value, operand) {
        (Value::Absent, Operand::Flag(flag)) => Some(false.cmp(flag)),
        (Value::Absent, _) => None,
        (Value::Yes, Operand::Flag(flag)) => Some(true.cmp(flag)),
        (Value::Text(text), Operand::Text(other)) => Some(compare_texts(text, other)),
        (Value::Text(text), Operand::Version(other, known)) => Some(match (version(text), known) {
            (Some(mine), Some(other)) => mine.cmp(other),
            _ => text.cmp(&other.as_str()),
        }),
        (Value::Name(name), Operand::Name(other)) => Some(place_of(name).cmp(&place_of(other))),
        (Value::Number(number), Operand::Number(other)) => number.partial_cmp(other),
        (Value::Money(money), Operand::Number(other)) => (money.cents as f64 / 100.0).partial_cmp(other),
        (Value::Time(ms), Operand::Time(other)) => Some(ms.cmp(other)),
        (Value::Day(text), Operand::Time(other)) => Some(day(text)?.cmp(other)),
        _ => None,
    }
}

/// Texts that are numbers are compared as such: `9` comes before `21.5`.
fn compare_texts(one: &str, other: &str) -> Ordering {
    match (one.parse::<f64>(), other.parse::<f64>()) {
        (Ok(mine), Ok(theirs)) if mine.is_finite() && theirs.is_finite() => mine.total_cmp(&theirs),
        _ => one.cmp(other),
    }
}

/// The number on the wire, which begins with 1.
pub(crate) fn place_of(name: &str) -> usize {
    use contract::v1::{Connectivity, Criticality, Drift, Restriction, Severity, Stage};
    let number = Stage::from_str_name(name)
        .map(i32::from)
        .or_else(|| Criticality::from_str_name(name).map(i32::from))
        .or_else(|| Restriction::from_str_name(name).map(i32::from))
        .or_else(|| Connectivity::from_str_name(name).map(i32::from))
        .or_else(|| Drift::from_str_name(name).map(i32::from))
        .or_else(|| Severity::from_str_name(name).map(i32::from));
    number.and_then(|n| usize::try_from(n).ok()).unwrap_or(0)
}

/// By the haversine formula; where operators say it is, else where it says itself.
fn near(device: &Device, latitude: f64, longitude: f64, km: f64) -> bool {
    let Some((north, east)) = cell::place(device) else {
        return false;
    };
    let (here, there) = (north.to_radians(), latitude.to_radians());
    let half = |angle: f64| (angle / 2.0).sin().powi(2);
    let chord = half(there - here) + here.cos() * there.cos() * half((longitude - east).to_radians());
    2.0 * EARTH_KM * chord.sqrt().min(1.0).asin() <= km
}
