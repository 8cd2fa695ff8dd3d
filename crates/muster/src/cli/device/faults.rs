//! What is wrong with the rows of a file, told by reason.

use std::collections::BTreeMap;

use contract::{
    Refusal,
    v1::{RegisterDevice, RegisterRefusal},
};
use serde::Serialize;

use super::rows::{Entry, Row, SETTINGS, shown};

/// Rows that are named of each reason.
const ROWS_MAX: usize = 10;
/// Values that are named in a reason, and what is allowed.
const NAMED_MAX: usize = 12;
/// Stands for what is quoted in a sentence.
const QUOTED: &str = "`…`";

/// One fault of a row.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Refused {
    pub(super) line: u64,
    pub(super) device_id: String,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) field: String,
    /// What the row says there.
    pub(super) value: String,
    pub(super) allowed: Vec<String>,
}

impl Refused {
    /// The refusal names the row's place in its request, unless it was cut short.
    pub(super) fn of<T: Entry>(batch: &[Row<T>], refusal: RegisterRefusal) -> Refused {
        let rejection = refusal.rejection.unwrap_or_default();
        let place = rejection
            .field
            .split_once('[')
            .and_then(|(_, rest)| rest.split_once(']'))
            .and_then(|(n, rest)| Some((n.parse::<usize>().ok()?, rest.trim_start_matches('.'))));
        let (row, field) = match place {
            Some((n, field)) => (batch.get(n), field.to_owned()),
            None => (
                batch
                    .iter()
                    .find(|row| row.device.device_id() == refusal.device_id),
                String::new(),
            ),
        };
        Refused {
            line: row.map_or(0, |row| row.line),
            value: row.map(|row| row.device.value(&field)).unwrap_or_default(),
            device_id: refusal.device_id,
            code: rejection.code,
            message: rejection.message,
            field,
            allowed: rejection.allowed,
        }
    }

    /// A row that was refused for this.
    pub(super) fn of_row((line, device_id): (u64, &str), value: String, refusal: Refusal) -> Refused {
        Refused {
            line,
            device_id: device_id.to_owned(),
            code: refusal.code.word().to_owned(),
            message: refusal.message,
            field: refusal.field,
            value,
            allowed: refusal.allowed,
        }
    }

    /// Which row it is of.
    pub(super) fn row(&self) -> (u64, &str) {
        (self.line, &self.device_id)
    }

    /// `line 18: press-0017 criticality `hihg``
    fn place(&self) -> String {
        let value = match self.value.as_str() {
            "" => String::new(),
            value => format!("`{value}`"),
        };
        let words = [&self.device_id, &self.field, &value];
        let words: Vec<_> = words
            .into_iter()
            .filter(|word| !word.is_empty())
            .map(String::as_str)
            .collect();
        match words.join(" ") {
            none if none.is_empty() => format!("line {}", self.line),
            words => format!("line {}: {words}", self.line),
        }
    }
}

/// What a row says in a column.
pub(super) fn value(device: &RegisterDevice, field: &str) -> String {
    let typed = match field {
        "device_id" => &device.device_id,
        "groups" => return shown(&device.groups.join(" ")),
        "name" => &device.name,
        "serial_number" => &device.serial_number,
        "model" => &device.model,
        "owner" => &device.owner,
        "site" => &device.site,
        SETTINGS => &device.settings,
        "hardware_revision" => &device.hardware_revision,
        _ => "",
    };
    shown(device.fields.get(field).map_or(typed, String::as_str))
}

/// Each reason, the most frequent first, and where it is met.
pub(super) fn told(refused: &[Refused], all_rows: bool) -> Vec<String> {
    let mut reasons: BTreeMap<_, Vec<&Refused>> = BTreeMap::new();
    for fault in refused {
        let reason = (&fault.field, &fault.code, pattern(&fault.message));
        reasons.entry(reason).or_default().push(fault);
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, faults)| std::cmp::Reverse(faults.len()));
    let most = if all_rows { usize::MAX } else { ROWS_MAX };
    let mut lines = Vec::new();
    for ((field, code, pattern), faults) in reasons {
        lines.push(reason(field, code, &pattern, &faults));
        lines.extend(
            faults
                .iter()
                .take(most)
                .map(|fault| format!("    {}", fault.place())),
        );
        if let Some(more) = faults.len().checked_sub(most).filter(|more| *more > 0) {
            lines.push(format!("    and {more} more: --all-rows names them"));
        }
    }
    lines
}

/// `196 rows: groups: there is no group `hall-1`, `hall-2`, `hall-3``
fn reason(field: &str, code: &str, pattern: &str, faults: &[&Refused]) -> String {
    let rows = match faults.len() {
        1 => "1 row".to_owned(),
        n => format!("{n} rows"),
    };
    let first = faults.first().map_or("", |fault| fault.message.as_str());
    let sentence = match (first, pattern.matches(QUOTED).count()) {
        ("", _) => format!("{code}; the reasons of so many rows do not fit an answer, mend the others first"),
        (_, 1) => pattern.replace(QUOTED, &quoted(faults)),
        (first, _) => first.to_owned(),
    };
    let allowed = faults.first().map_or(&[][..], |fault| &fault.allowed[..]);
    let allowed = match allowed {
        [] => String::new(),
        words => format!("; allowed: {}", some(words.iter().cloned(), words.len())),
    };
    let advice = match (field, code) {
        ("groups", "not-found") => "; `muster group put ID` makes one",
        _ => "",
    };
    let field = if field.is_empty() {
        String::new()
    } else {
        format!("{field}: ")
    };
    format!("{rows}: {field}{sentence}{allowed}{advice}")
}

/// What is quoted in these sentences, each once.
fn quoted(faults: &[&Refused]) -> String {
    let mut names: Vec<String> = Vec::new();
    for fault in faults {
        let name = fault.message.split('`').nth(1).unwrap_or_default();
        let name = format!("`{name}`");
        if !names.contains(&name) {
            names.push(name);
        }
        // Enough to say that there are more.
        if names.len() > NAMED_MAX {
            break;
        }
    }
    let count = names.len();
    some(names.into_iter(), count)
}

fn some(names: impl Iterator<Item = String>, count: usize) -> String {
    let more = if count > NAMED_MAX { ", …" } else { "" };
    let names: Vec<_> = names.take(NAMED_MAX).collect();
    format!("{}{more}", names.join(", "))
}

/// A sentence without what it quotes.
fn pattern(message: &str) -> String {
    let parts: Vec<_> = message.split('`').collect();
    if parts.len() % 2 == 0 {
        return message.to_owned();
    }
    parts.iter().step_by(2).copied().collect::<Vec<_>>().join(QUOTED)
}

#[cfg(test)]
mod tests {
    use contract::v1::Rejection;

    use super::*;

    fn row(id: &str, line: u64, field: (&str, &str)) -> Row {
        let device = RegisterDevice {
            device_id: id.into(),
            fields: [(field.0.to_owned(), field.1.to_owned())].into(),
            ..RegisterDevice::default()
        };
        Row { line, device }
    }

    #[test]
    fn refusals_are_told_by_their_lines_columns_and_values() {
        let batch = [
            row("d-0", 2, ("site", "x")),
            row("d-1", 3, ("serial_number", "SN-00049")),
        ];
        let refusal = |id: &str, field: &str| RegisterRefusal {
            device_id: id.into(),
            rejection: Some(Rejection {
                field: field.into(),
                allowed: vec!["a".into()],
                ..Rejection::default()
            }),
        };
        let told = Refused::of(&batch, refusal("d-1", "devices[1].serial_number"));
        assert_eq!(told.place(), "line 3: d-1 serial_number `SN-00049`");
        assert_eq!(told.allowed, ["a"]);
        assert_eq!(Refused::of(&batch, refusal("d-0", "")).line, 2);
    }

    fn fault(line: u64, field: &str, message: String) -> Refused {
        Refused {
            line,
            device_id: format!("d-{line}"),
            code: "not-found".into(),
            message,
            field: field.into(),
            value: "v".into(),
            ..Refused::default()
        }
    }

    #[test]
    fn many_rows_with_one_reason_are_a_few_lines() {
        let mut faults: Vec<_> = (2..198)
            .map(|line| fault(line, "groups", format!("there is no group `hall-{}`", line % 3)))
            .collect();
        faults.push(Refused {
            allowed: vec!["low".into(), "high".into()],
            ..fault(9, "criticality", "there is no such criticality".into())
        });
        let lines = told(&faults, false);
        assert_eq!(lines.len(), 1 + ROWS_MAX + 1 + 2, "{lines:#?}");
        let advice = "; `muster group put ID` makes one";
        assert_eq!(
            lines[0],
            format!("196 rows: groups: there is no group `hall-2`, `hall-0`, `hall-1`{advice}")
        );
        assert_eq!(lines[1], "    line 2: d-2 groups `v`");
        assert_eq!(lines[11], "    and 186 more: --all-rows names them");
        assert_eq!(
            lines[12..],
            [
                "1 row: criticality: there is no such criticality; allowed: low, high",
                "    line 9: d-9 criticality `v`"
            ]
        );
        assert_eq!(told(&faults, true).len(), 1 + 196 + 2);
    }

    #[test]
    fn what_differs_in_several_quotes_is_told_of_the_first() {
        let one = fault(2, "parent", "`a` is above `b`".into());
        let lines = told(&[one], false);
        assert_eq!(lines[0], "1 row: parent: `a` is above `b`");
        assert_eq!(pattern("no `quote"), "no `quote");
        assert!(told(&[fault(2, "", String::new())], false)[0].contains("do not fit an answer"));
    }
}
