//! When time alone makes a device fit a query, or no longer: nobody need look at it before.

use contract::v1::Device;

use super::{Expr, Operand, Test, grammar::Comparison};
use crate::field::{Value, day};

/// The first moment after this one at which a part of the query turns; the whole may turn with it.
pub(super) fn next(expr: &Expr, device: &Device, now_ms: i64) -> Option<i64> {
    match expr {
        Expr::Or(parts) | Expr::And(parts) => {
            parts.iter().filter_map(|part| next(part, device, now_ms)).min()
        }
        Expr::Not(part) => next(part, device, now_ms),
        Expr::Near(..) => None,
        Expr::Test(field, test) => {
            let at_ms = match field.read(device) {
                Value::Time(ms) => ms,
                Value::Day(text) => day(text)?,
                _ => return None,
            };
            let turns = moments(test).into_iter();
            let turns = turns.map(|(offset_ms, when)| {
                let level = at_ms.saturating_sub(offset_ms);
                match when {
                    When::Level => level,
                    When::Past => level.saturating_add(1),
                }
            });
            turns.filter(|turn| *turn > now_ms).min()
        }
    }
}

/// Whether it turns when the present time has reached the field's, or has passed it.
#[derive(Clone, Copy)]
enum When {
    Level,
    Past,
}

/// The moments at which a test turns, from the field's time, less these offsets.
fn moments(test: &Test) -> Vec<(i64, When)> {
    let moment = |operand: &Operand, when: When| match operand {
        Operand::Now(offset_ms) => Some((*offset_ms, when)),
        _ => None,
    };
    let both = |operand| [When::Level, When::Past].map(|when| moment(operand, when));
    let found: Vec<Option<(i64, When)>> = match test {
        Test::Compare(Comparison::Less | Comparison::GreaterOrEqual, operand) => {
            vec![moment(operand, When::Past)]
        }
        Test::Compare(Comparison::LessOrEqual | Comparison::Greater, operand) => {
            vec![moment(operand, When::Level)]
        }
        Test::Compare(Comparison::Equal | Comparison::Unequal, operand) => both(operand).into(),
        Test::In(operands) => operands.iter().flat_map(both).collect(),
        Test::Between(low, high) => vec![moment(low, When::Past), moment(high, When::Level)],
        Test::Has | Test::Like(_) => Vec::new(),
    };
    found.into_iter().flatten().collect()
}

/// Whether it turns with time at all.
pub(super) fn is_timed(expr: &Expr) -> bool {
    match expr {
        Expr::Or(parts) | Expr::And(parts) => parts.iter().any(is_timed),
        Expr::Not(part) => is_timed(part),
        Expr::Near(..) => false,
        Expr::Test(_, test) => !moments(test).is_empty(),
    }
}
