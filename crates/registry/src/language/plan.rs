//! Where the devices that fit a query can be found.

use super::{Expr, Operand, Query, Test, eval::place_of, grammar::Comparison};
use crate::{
    cell,
    field::{Field, Sort},
    index, state,
};

/// Keys that end in folded device ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Range {
    /// In the order of the ids.
    Keys {
        /// What the keys begin with.
        prefix: Vec<u8>,
        /// Where the device's id begins.
        id_at: usize,
    },
    /// In the order of a field's values: the keys of all values from one to another.
    Span {
        /// What the keys begin with: the field.
        prefix: Vec<u8>,
        /// The first value.
        low: Vec<u8>,
        /// The last one, or what it begins with.
        high: Vec<u8>,
    },
}

impl Range {
    /// An index of devices: all that follows the prefix is the id.
    pub(crate) fn index(prefix: Vec<u8>) -> Range {
        let id_at = prefix.len();
        Range::Keys { prefix, id_at }
    }

    /// The devices whose ids begin so.
    pub(crate) fn ids(beginning: &str) -> Range {
        Range::Keys {
            prefix: state::device_key(beginning).into_bytes(),
            id_at: state::DEVICES.len(),
        }
    }

    /// Every value of an index.
    fn all(prefix: Vec<u8>) -> Range {
        Range::Span {
            prefix,
            low: Vec::new(),
            // No text begins so.
            high: vec![u8::MAX],
        }
    }

    /// Values from one time to another.
    fn times(prefix: Vec<u8>, low: Option<i64>, high: Option<i64>) -> Range {
        Range::Span {
            prefix,
            low: low.map_or_else(Vec::new, index::time),
            high: high.map_or_else(|| vec![u8::MAX], index::time),
        }
    }
}

/// All devices that fit are in at least one of these.
pub(crate) type Ranges = Vec<Range>;

/// Every way to find the devices that fit, besides looking at all: each is complete.
pub(crate) fn ways(query: &Query) -> Vec<Ranges> {
    query.expr().map(of).unwrap_or_default()
}

fn of(expr: &Expr) -> Vec<Ranges> {
    match expr {
        // Whatever finds one part finds all that fits.
        Expr::And(all) => all.iter().flat_map(of).collect(),
        // Each part must be found.
        Expr::Or(any) => {
            let parts: Option<Vec<Ranges>> = any.iter().map(|part| of(part).into_iter().next()).collect();
            parts.map(|parts| vec![parts.concat()]).unwrap_or_default()
        }
        Expr::Test(field, test) => by_test(field, test).into_iter().collect(),
        Expr::Near(latitude, longitude, km) => vec![by_place(*latitude, *longitude, *km)],
        Expr::Not(_) => Vec::new(),
    }
}

/// By an index of places; what lies around the circle is sorted out by the query itself.
fn by_place(latitude: f64, longitude: f64, km: f64) -> Ranges {
    let span = |(low, high)| Range::Span {
        prefix: index::places(),
        low,
        high,
    };
    cell::around(latitude, longitude, km)
        .into_iter()
        .map(span)
        .collect()
}

fn by_test(field: &Field, test: &Test) -> Option<Ranges> {
    let name = field.name();
    if let Some(span) = by_time(&name, test) {
        return Some(vec![span]);
    }
    match test {
        Test::Has => Some(vec![Range::all(index::whole(&name)?)]),
        Test::Compare(comparison, Operand::Name(word)) if field.is_live() => {
            let fits = |other: &&str| comparison.holds(place_of(other).cmp(&place_of(word)));
            let Sort::Words(words) = field.sort() else {
                return None;
            };
            let words = words().into_iter().filter(fits);
            words
                .map(|word| index::of(&name, word).map(Range::index))
                .collect()
        }
        Test::Compare(Comparison::Equal, operand) => Some(vec![range(&name, operand)?]),
        Test::In(operands) => operands.iter().map(|operand| range(&name, operand)).collect(),
        Test::Like(pattern) if name == "id" && !pattern.beginning().is_empty() => {
            Some(vec![Range::ids(&pattern.beginning())])
        }
        _ => None,
    }
}

/// By an index in the order of time; what stands beyond the bounds is sorted out by the query itself.
fn by_time(name: &str, test: &Test) -> Option<Range> {
    use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
    let prefix = index::ordered(name)?;
    let (low, high) = match test {
        Test::Compare(Less | LessOrEqual, Operand::Time(ms)) => (None, Some(*ms)),
        Test::Compare(Greater | GreaterOrEqual, Operand::Time(ms)) => (Some(*ms), None),
        Test::Compare(Equal, Operand::Time(ms)) => (Some(*ms), Some(*ms)),
        Test::Between(Operand::Time(low), Operand::Time(high)) => (Some(*low), Some(*high)),
        _ => return None,
    };
    Some(Range::times(prefix, low, high))
}

fn range(name: &str, operand: &Operand) -> Option<Range> {
    let index = |value: &str| index::of(name, value).map(Range::index);
    match (name, operand) {
        ("id", Operand::Text(id)) => Some(Range::ids(id)),
        ("group", Operand::Text(group)) => Some(Range::index(state::members(group).into_bytes())),
        (_, Operand::Text(text) | Operand::Version(text, _)) => index(text),
        (_, Operand::Name(word)) => index(word),
        _ => None,
    }
}
