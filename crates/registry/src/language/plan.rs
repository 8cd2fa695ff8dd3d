//! Where the devices that fit a query can be found.

use super::{Expr, Operand, Query, Test, grammar::Comparison};
use crate::{field::Field, index, state};

/// Keys that end in folded device ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range {
    /// What the keys begin with.
    pub(crate) prefix: Vec<u8>,
    /// Where the device's id begins.
    pub(crate) id_at: usize,
}

impl Range {
    /// An index of devices: all that follows the prefix is the id.
    pub(crate) fn index(prefix: Vec<u8>) -> Range {
        let id_at = prefix.len();
        Range { prefix, id_at }
    }

    /// The devices whose ids begin so.
    pub(crate) fn ids(beginning: &str) -> Range {
        Range {
            prefix: state::device_key(beginning).into_bytes(),
            id_at: state::DEVICES.len(),
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
        Expr::Not(_) | Expr::Near(..) => Vec::new(),
    }
}

fn by_test(field: &Field, test: &Test) -> Option<Ranges> {
    let name = field.name();
    match test {
        Test::Compare(Comparison::Equal, operand) => Some(vec![range(&name, operand)?]),
        Test::In(operands) => operands.iter().map(|operand| range(&name, operand)).collect(),
        Test::Like(pattern) if name == "id" && !pattern.beginning().is_empty() => {
            Some(vec![Range::ids(&pattern.beginning())])
        }
        _ => None,
    }
}

fn range(name: &str, operand: &Operand) -> Option<Range> {
    let index = |value: &str| index::of(name, value).map(Range::index);
    match (name, operand) {
        ("id", Operand::Text(id)) => Some(Range::ids(id)),
        ("group", Operand::Text(group)) => Some(Range::index(state::members(group).into_bytes())),
        (_, Operand::Text(text) | Operand::Version(text, _)) => index(text),
        (_, Operand::Name(word, _)) => index(word),
        _ => None,
    }
}
