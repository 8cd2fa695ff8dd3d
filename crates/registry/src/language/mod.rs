//! The query language over devices: `stage = active and (tags.line in (7, 8) or has restriction_reason)`.
//!
//! ```text
//! query     = all ( "or" all )*
//! all       = one ( "and" one )*
//! one       = "not" one | "(" query ")" | "has" field | "@" name
//!           | "near" "(" latitude "," longitude "," kilometres ")"
//!           | field comparison value
//!           | field [ "not" ] "in" "(" value ( "," value )* ")"
//!           | field [ "not" ] "like" value           * any characters, ? one, capitals alike
//!           | field [ "not" ] "between" value "and" value
//! comparison = "=" | "!=" | "<" | "<=" | ">" | ">="
//! value     = word | 'text' | "text"                 times also: now, now - 30d, now + 90d
//! ```
//!
//! A field that a device does not have fits no comparison, not even `!=`; `not (… = …)` does.

mod eval;
mod grammar;
mod like;
mod meaning;
pub(crate) mod plan;
mod turn;

use std::collections::BTreeSet;

use contract::{Code, Refusal, v1::Device};

pub(crate) use self::{
    eval::place_of,
    like::Pattern,
    meaning::{Expr, Operand, Test, version},
};

/// The longest query, characters.
pub(crate) const QUERY_CHARS: usize = 2048;
/// The most tests in one query, those of saved queries included.
const TESTS_MAX: usize = 128;
/// The deepest nesting of a query.
const DEPTH_MAX: usize = 16;

/// What a query may refer to beside the device.
pub(crate) struct Surroundings<'a> {
    /// The present time, milliseconds since 1970.
    pub(crate) now_ms: i64,
    /// The text of a saved query.
    pub(crate) saved: &'a dyn Fn(&str) -> Result<String, service::Fault>,
    /// A group and all that lie within it.
    pub(crate) below: &'a dyn Fn(&str) -> Result<BTreeSet<String>, service::Fault>,
}

/// A query that was understood.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    expr: Option<Expr>,
    /// The present time when it was read, milliseconds since 1970.
    read_at_ms: i64,
}

impl Query {
    /// Reads a query; an empty one fits every device.
    pub(crate) fn parse(text: &str, around: &Surroundings<'_>) -> Result<Query, service::Fault> {
        let mut reader = meaning::Reader::new(around);
        let expr = if text.trim().is_empty() {
            None
        } else {
            Some(reader.read(text)?)
        };
        Ok(Query {
            expr,
            read_at_ms: around.now_ms,
        })
    }

    /// Reads the query of a dynamic group: it must depend on the device and the time alone, so that it need be asked
    /// again only when the device's record changes, or what other services know of it, or at a moment that is known.
    pub(crate) fn parse_lasting(text: &str) -> Result<Query, Refusal> {
        if text.trim().is_empty() {
            let message = "the query of a dynamic group may not be empty; `has id` fits every device";
            return Err(Refusal::invalid("query", message));
        }
        let around = Surroundings {
            now_ms: 0,
            saved: &|_| Err(meaning::not_lasting("another query by its name").into()),
            below: &|_| Err(meaning::not_lasting("groups").into()),
        };
        let mut reader = meaning::Reader::lasting(&around);
        let expr = reader.read(text).map_err(|fault| match fault {
            service::Fault::Refused(refusal) => refusal,
            other => Refusal::new(Code::Internal, other.to_string()),
        })?;
        Ok(Query {
            expr: Some(expr),
            read_at_ms: around.now_ms,
        })
    }

    /// Whether a device fits, at the time that the query was read.
    pub(crate) fn matches(&self, device: &Device) -> bool {
        self.matches_at(device, self.read_at_ms)
    }

    /// Whether it fits at this time.
    pub(crate) fn matches_at(&self, device: &Device, now_ms: i64) -> bool {
        self.expr
            .as_ref()
            .is_none_or(|expr| eval::matches(expr, device, now_ms))
    }

    /// Whether time alone moves devices in and out.
    pub(crate) fn is_timed(&self) -> bool {
        self.expr.as_ref().is_some_and(turn::is_timed)
    }

    /// When it must be asked again of this device though nothing happens to it.
    pub(crate) fn turns(&self, device: &Device, now_ms: i64) -> Option<i64> {
        turn::next(self.expr.as_ref()?, device, now_ms)
    }

    /// Whether it asks what other services know.
    pub(crate) fn is_live(&self) -> bool {
        self.expr.as_ref().is_some_and(Expr::is_live)
    }

    /// What the query asks, if it asks anything.
    pub(crate) fn expr(&self) -> Option<&Expr> {
        self.expr.as_ref()
    }
}

/// The refusal of a query at a character of its text, counted from 1.
fn at(text: &str, offset: usize, what: &str) -> Refusal {
    let before = text.get(..offset).unwrap_or(text);
    let column = before.chars().count() + 1;
    let rest: String = text.get(offset..).unwrap_or_default().chars().take(20).collect();
    let found = if rest.is_empty() {
        "the query ends there".to_owned()
    } else {
        format!("there stands `{}`", rest.escape_debug())
    };
    Refusal::invalid(
        "where",
        format!("at character {column} of the query: {what}; {found}"),
    )
}

#[cfg(test)]
mod tests;
