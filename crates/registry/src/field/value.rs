//! What a field says of a device.

use contract::{names::said, v1::Money};
use serde_json::json;

/// A field's value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    /// It says nothing.
    Absent,
    Text(&'a str),
    /// A value of an enum, by its name in the contract.
    Name(&'static str),
    Number(f64),
    /// Milliseconds since 1970.
    Time(i64),
    /// A day, as `2026-01-31`.
    Day(&'a str),
    Money(&'a Money),
    Yes,
    List(Vec<&'a str>),
}

impl<'a> Value<'a> {
    pub(super) fn of_text(text: &'a str) -> Value<'a> {
        if text.is_empty() {
            Value::Absent
        } else {
            Value::Text(text)
        }
    }

    pub(super) fn of_day(text: &'a str) -> Value<'a> {
        if text.is_empty() {
            Value::Absent
        } else {
            Value::Day(text)
        }
    }

    pub(super) fn of_time(ms: i64) -> Value<'a> {
        if ms == 0 { Value::Absent } else { Value::Time(ms) }
    }

    pub(super) fn of_list(list: &'a [String]) -> Value<'a> {
        Value::of_texts(list.iter().map(String::as_str).collect())
    }

    pub(super) fn of_texts(list: Vec<&'a str>) -> Value<'a> {
        if list.is_empty() {
            return Value::Absent;
        }
        Value::List(list)
    }

    pub(crate) fn is_absent(&self) -> bool {
        *self == Value::Absent
    }

    /// As people write it; what can be written reads it back.
    pub(crate) fn text(&self) -> String {
        match self {
            Value::Absent => String::new(),
            Value::Text(text) | Value::Day(text) => (*text).to_owned(),
            Value::Name(name) => said(name),
            Value::Number(number) => number.to_string(),
            Value::Time(ms) => contract::event::rfc3339(*ms),
            Value::Money(money) => money_text(money),
            Value::Yes => "yes".to_owned(),
            Value::List(list) => list.join(" "),
        }
    }

    /// As events tell it.
    pub(super) fn json(&self) -> serde_json::Value {
        match self {
            // A text that is gone is an empty one: so events have told it from the beginning.
            Value::Absent => json!(""),
            Value::Name(name) => json!(name),
            Value::Number(number) => json!(number),
            Value::List(list) => json!(list),
            other => json!(other.text()),
        }
    }
}

fn money_text(money: &Money) -> String {
    let sign = if money.cents < 0 { "-" } else { "" };
    let cents = money.cents.unsigned_abs();
    format!("{sign}{}.{:02} {}", cents / 100, cents % 100, money.currency)
}
