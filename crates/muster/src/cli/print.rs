//! How results look: tables for people, JSON for programs.

mod table;

use std::{
    io::{self, Write},
    time::Duration,
};

use anyhow::Result;
use serde::Serialize;
use terminal_size::{Width, terminal_size_of};

pub(super) use self::table::{Room, Row};

/// How narrow a terminal is taken to be at most.
const COLUMNS_MIN: u16 = 40;

/// Prints a document as one line of JSON.
pub(super) fn json(document: &impl Serialize) -> Result<()> {
    // Whole before it is written: an error of the pipe then stays one.
    line(serde_json::to_string(document)?)
}

/// Prints a line.
pub(super) fn line(text: impl AsRef<str>) -> Result<()> {
    writeln!(io::stdout().lock(), "{}", text.as_ref())?;
    Ok(())
}

/// A time that something takes: `1 day 2 h`.
pub(super) fn duration(duration: Duration) -> String {
    let text = humantime::format_duration(duration).to_string();
    let mut spaced = String::with_capacity(text.len() + 4);
    let mut after_digit = false;
    for letter in text.chars() {
        if after_digit && letter.is_alphabetic() {
            spaced.push(' ');
        }
        after_digit = letter.is_ascii_digit();
        spaced.push(letter);
    }
    spaced
}

/// Prints rows under their headings, all of it; says so when there are none.
pub(super) fn table(headings: &[&str], rows: Vec<Vec<String>>) -> Result<()> {
    let room = columns().map_or(Room::Wide, Room::Whole);
    rows_in(room, headings, rows.into_iter().map(Row::from).collect())
}

/// Prints rows of which a glance is enough, unless all of it is asked for. What is left out is said.
pub(super) fn list(is_wide: bool, headings: &[&str], rows: Vec<Row>) -> Result<()> {
    let width = columns().filter(|_| !is_wide);
    rows_in(width.map_or(Room::Wide, Room::Glance), headings, rows)
}

fn rows_in(room: Room, headings: &[&str], mut rows: Vec<Row>) -> Result<()> {
    if rows.is_empty() {
        return line("(none)");
    }
    for row in &mut rows {
        let texts = row.cells.iter_mut().chain(&mut row.beneath);
        texts.for_each(|text| *text = clean(text));
    }
    let drawn = table::draw(headings, &rows, room);
    line(drawn.text)?;
    if !drawn.left_out.is_empty() {
        note(format!(
            "no room for {}: --wide, or --json",
            drawn.left_out.join(", ")
        ));
    }
    Ok(())
}

/// How wide the terminal is. In a pipe nothing is left out or wrapped: one line a row, which `grep` finds whole.
fn columns() -> Option<usize> {
    let (Width(columns), _) = terminal_size_of(io::stdout())?;
    Some(columns.max(COLUMNS_MIN).into())
}

/// Prints names and values, one below the other; empty values are left out.
pub(super) fn fields(fields: &[(&str, String)]) -> Result<()> {
    let cleaned = fields.iter().map(|(name, value)| (*name, clean(value)));
    let room = columns().map_or(Room::Wide, Room::Whole);
    let lines = table::pairs(&cleaned.collect::<Vec<_>>(), room);
    lines.iter().try_for_each(line)
}

/// Says what a change of one entity came to.
pub(super) fn changed(json: bool, changed: &contract::v1::Changed) -> Result<()> {
    if json {
        self::json(changed)
    } else {
        line(format!("{}: version {}", changed.id, changed.version))
    }
}

/// Says that something is done.
pub(super) fn done(json: bool, done: &contract::v1::Done, sentence: &str) -> Result<()> {
    if json { self::json(done) } else { line(sentence) }
}

/// A word to whoever looks on, beside the result. Nobody may be there to read it.
pub(super) fn note(text: impl AsRef<str>) {
    let _ = writeln!(io::stderr().lock(), "muster: {}", clean(text.as_ref()));
}

/// Below this a number of milliseconds is no date but a time that something takes.
pub(super) const YEAR_2000_MS: i64 = 946_684_800_000;

/// A time as people read it, to the second; empty for 0.
pub(super) fn time(ms: i64) -> String {
    if ms == 0 {
        String::new()
    } else {
        contract::event::rfc3339(ms - ms.rem_euclid(1_000))
            .replace('T', " ")
            .replace(".000Z", "Z")
    }
}

/// A flag in a table: a word where it is set, nothing where it is not.
pub(super) fn yes(flag: bool) -> String {
    if flag { "yes".to_owned() } else { String::new() }
}

/// What devices say of themselves must not steer the terminal.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| {
            if contract::text::misleads(c) {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_cleaning() {
        assert_eq!(clean("a\x1b[31mb\n"), "a\u{fffd}[31mb\u{fffd}");
        assert_eq!(clean("pump-\u{202e}7"), "pump-\u{fffd}7");
    }
}
