//! Tables: columns under their headings, no wider than what their reader sees at once.
//!
//! Columns stand in the order of their worth: where a glance has no room for all, the last ones are left out. A cell
//! wraps at blanks and behind `/`, never within a word: ids, serials and names can be copied. Only in the midst of a
//! sentence a glance cuts a word that has no room.

use unicode_width::UnicodeWidthStr;

/// Between two columns.
const GAP: usize = 2;
/// A text is not made narrower than this.
const TEXT: usize = 16;
/// Nor is a path.
const PATH: usize = 12;
/// Nor, at a glance, a sentence for a longer word in it than this: a time has room.
const WORD: usize = 20;
/// Lines of a cell at a glance.
const LINES_MAX: usize = 4;
/// Before what stands beneath a row.
const INDENT: &str = "    ";

/// How much room there is, and what becomes of that which has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Room {
    /// So many characters: columns are left out, empty ones and then the last ones, and long texts are cut.
    Glance(usize),
    /// So many characters, as far as texts can be wrapped; all is there.
    Whole(usize),
    /// As many as it takes: one line a row.
    Wide,
}

/// A row, and lines that belong to it but to no column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::cli) struct Row {
    pub(in crate::cli) cells: Vec<String>,
    pub(in crate::cli) beneath: Vec<String>,
}

/// A table as text, and the headings that found no room in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Drawn {
    pub(super) text: String,
    pub(super) left_out: Vec<String>,
}

struct Column {
    heading: String,
    /// Which cell of a row.
    place: usize,
    natural: usize,
    least: usize,
    is_empty: bool,
}

impl From<Vec<String>> for Row {
    fn from(cells: Vec<String>) -> Row {
        Row {
            cells,
            beneath: Vec::new(),
        }
    }
}

/// Draws rows whose texts are clean.
pub(super) fn draw(headings: &[&str], rows: &[Row], room: Room) -> Drawn {
    let columns = (0..)
        .zip(headings)
        .map(|(n, heading)| column(n, heading, rows, room));
    let (columns, left_out) = match room {
        Room::Glance(width) => fitting(columns.collect(), width),
        _ => (columns.collect(), Vec::new()),
    };
    let widths = widths(&columns, room);
    let mut lines = vec![side_by_side(
        &widths,
        columns.iter().map(|column| vec![column.heading.to_uppercase()]),
    )];
    for row in rows {
        let cells = columns.iter().zip(&widths).map(|(column, width)| {
            let cell = row.cells.get(column.place).map_or("", String::as_str);
            wrapped(cell, *width, room)
        });
        lines.push(side_by_side(&widths, cells));
        lines.extend(row.beneath.iter().map(|line| beneath(line, room)));
    }
    Drawn {
        text: lines.join("\n"),
        left_out,
    }
}

/// Names beside their values, as far as there are any: one that has no room goes on beneath itself.
pub(super) fn pairs(pairs: &[(&str, String)], room: Room) -> Vec<String> {
    let widest = pairs
        .iter()
        .map(|(name, _)| name.width())
        .max()
        .unwrap_or_default();
    let width = match room {
        Room::Glance(width) | Room::Whole(width) => width.saturating_sub(widest + GAP).max(TEXT),
        Room::Wide => usize::MAX,
    };
    let told = pairs.iter().filter(|(_, value)| !value.is_empty());
    let lines = told.flat_map(|(name, value)| {
        let names = std::iter::once(*name).chain(std::iter::repeat(""));
        let lines = names.zip(wrap(value, width));
        lines.map(|(name, line)| format!("{name:widest$}  {line}"))
    });
    lines.collect()
}

fn column(place: usize, heading: &str, rows: &[Row], room: Room) -> Column {
    let cells = || rows.iter().filter_map(|row| row.cells.get(place));
    let natural = cells().map(|cell| cell.width()).max();
    let least = cells().map(|cell| least(cell, room)).max();
    Column {
        heading: heading.to_owned(),
        place,
        natural: natural.unwrap_or_default().max(heading.width()),
        least: least.unwrap_or_default().max(heading.width()),
        is_empty: cells().all(String::is_empty),
    }
}

/// How narrow a cell may become.
fn least(cell: &str, room: Room) -> usize {
    let word = |piece: &&str| piece.trim_end().width();
    let longest = pieces(cell).iter().map(word).max().unwrap_or_default();
    let is_sentence = cell.contains(' ') && pieces(cell).len() > 1;
    let longest = match room {
        Room::Glance(_) if is_sentence => longest.min(WORD),
        _ => longest,
    };
    let readable = if cell.contains(' ') { TEXT } else { PATH };
    longest.max(readable.min(cell.width()))
}

fn fitting(mut columns: Vec<Column>, width: usize) -> (Vec<Column>, Vec<String>) {
    let mut left_out = Vec::new();
    while columns.len() > 1 && with_gaps(columns.iter().map(|column| column.least)) > width {
        // An empty column is no loss.
        let empty = columns.iter().rposition(|column| column.is_empty);
        let gone = columns.remove(empty.filter(|n| *n > 0).unwrap_or(columns.len() - 1));
        if !gone.is_empty {
            left_out.insert(0, gone.heading);
        }
    }
    (columns, left_out)
}

fn with_gaps(widths: impl ExactSizeIterator<Item = usize>) -> usize {
    let gaps = widths.len().saturating_sub(1) * GAP;
    widths.sum::<usize>() + gaps
}

/// What is to spare goes to the narrowest that want more.
fn widths(columns: &[Column], room: Room) -> Vec<usize> {
    let (Room::Glance(width) | Room::Whole(width)) = room else {
        return columns.iter().map(|column| column.natural).collect();
    };
    let mut widths: Vec<_> = columns.iter().map(|column| column.least).collect();
    let spare = width.saturating_sub(with_gaps(widths.iter().copied()));
    for _ in 0..spare {
        let wanting = widths.iter_mut().zip(columns);
        let wanting = wanting.filter(|(width, column)| **width < column.natural);
        match wanting.min_by_key(|(width, _)| **width) {
            Some((width, _)) => *width += 1,
            None => break,
        }
    }
    widths
}

/// Cells of several lines beside each other.
fn side_by_side(widths: &[usize], cells: impl Iterator<Item = Vec<String>>) -> String {
    let cells: Vec<_> = cells.collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or_default();
    let line = |n: usize| {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            let text = cell.get(n).map_or("", String::as_str);
            line.push_str(text);
            line.push_str(&" ".repeat(width.saturating_sub(text.width()) + GAP));
        }
        line.trim_end().to_owned()
    };
    (0..height).map(line).collect::<Vec<_>>().join("\n")
}

fn wrapped(cell: &str, width: usize, room: Room) -> Vec<String> {
    let mut lines = wrap(cell, width);
    if matches!(room, Room::Glance(_)) && lines.len() > LINES_MAX {
        lines.truncate(LINES_MAX);
        if let Some(last) = lines.last_mut() {
            cut(last, width);
        }
    }
    if matches!(room, Room::Glance(_)) {
        lines
            .iter_mut()
            .filter(|line| line.width() > width)
            .for_each(|line| cut(line, width));
    }
    lines
}

fn cut(line: &mut String, width: usize) {
    while line.width() >= width && line.pop().is_some() {}
    line.push('…');
}

fn beneath(line: &str, room: Room) -> String {
    let width = match room {
        Room::Glance(width) | Room::Whole(width) => width.saturating_sub(INDENT.len()),
        Room::Wide => usize::MAX,
    };
    let lines = wrap(line, width)
        .into_iter()
        .map(|line| format!("{INDENT}{line}"));
    lines.collect::<Vec<_>>().join("\n")
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for piece in pieces(text) {
        match lines.last_mut() {
            Some(line) if line.is_empty() || line.width() + piece.trim_end().width() <= width => {
                line.push_str(piece);
            }
            _ => lines.push(piece.to_owned()),
        }
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

/// A text where it may be broken.
fn pieces(text: &str) -> Vec<&str> {
    let (mut pieces, mut begin, mut before) = (Vec::new(), 0, ' ');
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        let after = letters.peek().map(|(_, after)| *after);
        if after.is_some_and(|after| may_break(before, letter, after)) {
            let end = at + letter.len_utf8();
            pieces.push(&text[begin..end]);
            begin = end;
        }
        before = letter;
    }
    pieces.push(&text[begin..]);
    pieces
}

/// A date and its time stay together.
fn may_break(before: char, letter: char, after: char) -> bool {
    match letter {
        ' ' => !(before.is_ascii_digit() && after.is_ascii_digit()),
        '/' => after != '/' && after != ' ',
        // Between two parts of a JSON document.
        ',' => after == '"' || after == '{',
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[&str]]) -> Vec<Row> {
        let row = |cells: &&[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        rows.iter().map(row).map(Row::from).collect()
    }

    #[test]
    fn what_has_room_stands_side_by_side_without_rules() {
        let rows = rows(&[&["pump-7", "active", ""], &["ventil-größe", "maintenance", "x"]]);
        let drawn = draw(&["id", "stage", "site"], &rows, Room::Glance(100));
        let expected = "ID            STAGE        SITE\n\
                        pump-7        active\n\
                        ventil-größe  maintenance  x";
        assert_eq!(drawn.text, expected);
        assert_eq!(drawn.left_out, <[&str; 0]>::default());
    }

    #[test]
    fn no_word_is_broken_and_a_time_stays_whole() {
        let id = "critical-hamburg-with-a-long-name";
        let rows = rows(&[&[
            id,
            "services/registry",
            "2026-11-26 14:00:00Z",
            "no longer wanted since the hall was closed for good",
        ]]);
        for width in [40, 60, 80, 100] {
            let drawn = draw(&["id", "by", "time", "reason"], &rows, Room::Whole(width));
            for word in [
                id,
                "services/",
                "registry",
                "2026-11-26 14:00:00Z",
                "longer",
                "closed",
            ] {
                assert!(drawn.text.contains(word), "{width}: {word}\n{}", drawn.text);
            }
        }
    }

    #[test]
    fn a_glance_is_bounded_and_says_what_it_leaves_out() {
        let long = "because of the leak in hall 3 that the night shift has found and told of, the third one this year";
        let cells: [&[&str]; 1] = [&[
            "press-0005",
            "registry/quarantine",
            "",
            long,
            "0f".repeat(16).leak(),
        ]];
        let headings = ["id", "verb", "cleared", "reason", "serial"];
        for width in [50, 60, 80, 100] {
            let drawn = draw(&headings, &rows(&cells), Room::Glance(width));
            let widest = drawn.text.lines().map(UnicodeWidthStr::width).max();
            assert!(widest.is_some_and(|widest| widest <= width), "{}", drawn.text);
            let left_out: &[&str] = if width < 80 { &["serial"] } else { &[] };
            assert_eq!(drawn.left_out, left_out, "{width}");
        }
        let narrow = draw(&headings, &rows(&cells), Room::Glance(50)).text;
        assert!(
            narrow.lines().count() <= 1 + LINES_MAX && narrow.contains('…'),
            "{narrow}"
        );
        let wide = draw(&headings, &rows(&cells), Room::Wide);
        assert_eq!(wide.text.lines().count(), 2);
        assert!(wide.text.contains(long) && wide.text.contains("0f0f") && wide.left_out.is_empty());
    }

    #[test]
    fn a_serial_in_a_sentence_does_not_cost_a_glance_its_column() {
        let serial = "0f".repeat(16);
        let why = format!("certificate: {serial}, issued by the line");
        let cells: [&[&str]; 1] = [&["2026-11-26 14:00:00Z", "moved", &serial, &why]];
        let headings = ["time", "what", "serial", "why"];
        let glance = draw(&headings, &rows(&cells), Room::Glance(84));
        assert_eq!(glance.left_out, <[&str; 0]>::default(), "{}", glance.text);
        assert_eq!(glance.text.matches(&serial).count(), 1, "{}", glance.text);
        assert!(glance.text.contains("0f0f0f…") && glance.text.contains("2026-11-26 14:00:00Z"));
        let widest = glance.text.lines().map(UnicodeWidthStr::width).max();
        assert!(widest.is_some_and(|widest| widest <= 84), "{}", glance.text);
        let whole = draw(&headings, &rows(&cells), Room::Whole(84));
        assert_eq!(whole.text.matches(&serial).count(), 2);
    }

    #[test]
    fn what_stands_beneath_a_row_has_the_whole_width() {
        let mut row = Row::from(vec!["a".to_owned(), "b".to_owned()]);
        row.beneath = vec!["devices/pump-7 owner: north → south".into()];
        let drawn = draw(&["x", "y"], &[row], Room::Glance(30));
        assert_eq!(
            drawn.text,
            "X  Y\na  b\n    devices/pump-7 owner:\n    north → south"
        );
    }

    #[test]
    fn a_value_that_has_no_room_goes_on_beneath_itself() {
        let all = [
            ("id", "pump-7".to_owned()),
            ("site", String::new()),
            ("reason", "because of the leak in hall 3".to_owned()),
        ];
        let narrow = [
            "id      pump-7",
            "reason  because of the",
            "        leak in hall 3",
        ];
        assert_eq!(pairs(&all, Room::Whole(26)), narrow);
        assert_eq!(pairs(&all, Room::Wide).len(), 2);
    }

    #[test]
    fn texts_break_where_a_reader_expects_it() {
        for (text, expected) in [
            ("a b", vec!["a ", "b"]),
            ("devices/pump-7", vec!["devices/", "pump-7"]),
            ("2026-11-26 14:00:00Z on", vec!["2026-11-26 14:00:00Z ", "on"]),
            (r#"{"a":1,"b":2}"#, vec![r#"{"a":1,"#, r#""b":2}"#]),
            ("https://x", vec!["https://", "x"]),
            ("", vec![""]),
        ] {
            assert_eq!(pieces(text), expected, "{text}");
        }
    }
}
