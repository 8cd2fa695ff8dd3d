//! Devices, or what was done to them, as rows of a file: one JSON object a line, or a table with commas.

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use anyhow::{Context, Result};
use contract::{
    v1::{Device, RegisterDevice, RegisterRefusal, RegisteredDevices, Stage},
    wire::Wire,
};
use prost::Message;
use serde::de::DeserializeOwned;

use super::faults;
use crate::{exit::Failure, folder};

/// Mistakes of a file that are told at once.
const MISTAKES_MAX: usize = 20;
/// What stands between the columns of a table: as spreadsheets write it, by the language they speak.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];
/// Bytes of a row: a device's record has less (docs/registry.md), and a request for one must fit a packet.
const ROW_BYTES: usize = 60 * 1024;
/// Characters of a value that are said back.
const SHOWN_CHARS: usize = 200;
/// The one column that must be there.
const ID: &str = "device_id";
/// The column of what is set for the device alone.
pub(super) const SETTINGS: &str = "settings";
/// Columns that are said back.
const FOUND_MAX: usize = 12;
/// What a spreadsheet takes for a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\''];

/// The two forms of such a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// One JSON object a line
    Ndjson,
    /// A table with a line of headings, for spreadsheets
    Csv,
}

/// What a row says: a device, or what was done to one.
pub(crate) trait Entry: Message + Clone + DeserializeOwned + 'static {
    /// What the registry answers to many of them.
    type Reply: Wire + Into<Taken> + 'static;
    /// What many of them are called.
    const THINGS: &'static str;

    /// Of a row of a table.
    fn of_cells(headings: &[String], record: &csv::StringRecord) -> Result<Self, Mistake>;
    /// Which device it is about.
    fn device_id(&self) -> &str;
    /// What it says in a column, by the request's name for it.
    fn value(&self, field: &str) -> String;
}

/// What the registry answered to many rows.
pub(crate) struct Taken {
    pub(crate) made: u32,
    pub(crate) unchanged: u32,
    pub(crate) refused: Vec<RegisterRefusal>,
}

/// A row and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row<T = RegisterDevice> {
    pub(crate) line: u64,
    /// The device, or what was done to it.
    pub(crate) device: T,
}

/// A row that makes no sense.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) line: u64,
    /// The column at fault and what stands in it, where it is one.
    pub(crate) field: String,
    pub(crate) value: String,
    pub(crate) what: String,
}

/// A file's text. Its rows are read out of it when they are wanted, and once more when they are sent: a million of them,
/// taken apart, are many times as long as the text.
#[derive(Debug)]
pub(crate) struct Sheet {
    format: Format,
    text: Vec<u8>,
    /// What the columns of a table are called, and what stands between them.
    headings: Vec<String>,
    separator: u8,
}

/// The rows that make sense, and how many they are.
pub(crate) struct Good<'a, T = RegisterDevice> {
    pub(crate) count: usize,
    pub(crate) rows: Box<dyn Iterator<Item = Row<T>> + 'a>,
}

impl Format {
    /// The form that was asked for, or the one that the name tells of.
    pub(crate) fn of(asked: Option<Format>, path: &Path) -> Format {
        let named = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"));
        asked.unwrap_or(if named { Format::Csv } else { Format::Ndjson })
    }

    /// Reads a file; `-` is standard input.
    pub(crate) fn read(self, path: &Path) -> Result<Sheet> {
        if path == Path::new("-") {
            return self.parse(io::stdin().lock());
        }
        let unreadable = |error: io::Error| folder::unreadable(path, &error);
        let mut file = File::open(path).map_err(unreadable)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(unreadable)?;
        self.parse(text.as_slice())
    }

    fn parse(self, mut from: impl Read) -> Result<Sheet> {
        let mut text = Vec::new();
        from.read_to_end(&mut text).context("the file")?;
        let (headings, separator) = match self {
            Format::Ndjson => (Vec::new(), SEPARATORS[0]),
            Format::Csv => {
                plain_lines(&mut text);
                utf8(&text)?;
                headings(&text)?
            }
        };
        Ok(Sheet {
            format: self,
            text,
            headings,
            separator,
        })
    }

    /// Writes devices so that reading brings the same back.
    pub(crate) fn write(self, devices: &[RegisterDevice], to: impl Write) -> Result<()> {
        match self {
            Format::Ndjson => write_lines(devices, to),
            Format::Csv => write_table(devices, to),
        }
    }
}

impl Sheet {
    /// All rows, if none is bad.
    pub(crate) fn whole<T: Entry>(&self) -> Result<Good<'_, T>> {
        let (good, bad) = self.sorted();
        if bad.is_empty() {
            return Ok(good);
        }
        let told = bad.iter().take(MISTAKES_MAX);
        let list: Vec<_> = told
            .map(|mistake| format!("line {}: {mistake}", mistake.line))
            .collect();
        let more = bad.len().saturating_sub(list.len());
        let more = if more > 0 {
            format!("\n  and {more} more")
        } else {
            String::new()
        };
        let message = format!(
            "nothing was registered (--keep-going registers the good rows):\n  {}{more}",
            list.join("\n  ")
        );
        Err(Failure::usage(message).into())
    }

    /// The good rows, and the bad ones.
    pub(crate) fn sorted<T: Entry>(&self) -> (Good<'_, T>, Vec<Mistake>) {
        let (mut count, mut bad) = (0, Vec::new());
        for row in self.rows::<T>() {
            match row {
                Ok(_) => count += 1,
                Err(mistake) => bad.push(mistake),
            }
        }
        let rows = Box::new(self.rows().filter_map(Result::ok));
        (Good { count, rows }, bad)
    }

    /// What the columns of a table are called; of lines nothing.
    pub(super) fn columns(&self) -> &[String] {
        &self.headings
    }

    fn rows<T: Entry>(&self) -> Box<dyn Iterator<Item = Result<Row<T>, Mistake>> + '_> {
        match self.format {
            Format::Ndjson => Box::new(lines(&self.text)),
            Format::Csv => Box::new(records(&self.text, self.separator, &self.headings)),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.as_str() {
            "" => f.write_str(&self.what),
            field => write!(f, "{field} `{}`: {}", self.value, self.what),
        }
    }
}

impl From<String> for Mistake {
    fn from(what: String) -> Mistake {
        Mistake {
            what,
            ..Mistake::default()
        }
    }
}

impl Mistake {
    pub(super) fn at(field: &str, value: String, what: impl Into<String>) -> Mistake {
        Mistake {
            line: 0,
            field: field.to_owned(),
            value: shown(&value),
            what: what.into(),
        }
    }
}

/// A value as far as it is said back.
pub(super) fn shown(value: &str) -> String {
    match value.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

impl Entry for RegisterDevice {
    type Reply = RegisteredDevices;
    const THINGS: &'static str = "devices";

    fn of_cells(headings: &[String], record: &csv::StringRecord) -> Result<RegisterDevice, Mistake> {
        row_of(headings, record)
    }

    fn device_id(&self) -> &str {
        &self.device_id
    }

    fn value(&self, field: &str) -> String {
        faults::value(self, field)
    }
}

impl From<RegisteredDevices> for Taken {
    fn from(reply: RegisteredDevices) -> Taken {
        Taken {
            made: reply.registered,
            unchanged: reply.unchanged,
            refused: reply.refused,
        }
    }
}

fn row<T: Entry>(line: u64, read: Result<T, Mistake>) -> Result<Row<T>, Mistake> {
    match read.and_then(checked) {
        Ok(device) => Ok(Row { line, device }),
        Err(mistake) => Err(Mistake { line, ..mistake }),
    }
}

fn checked<T: Entry>(device: T) -> Result<T, Mistake> {
    let bytes = device.encoded_len();
    match device.device_id().parse::<contract::Id>() {
        Ok(_) if bytes > ROW_BYTES => {
            Err(format!("the row has {bytes} bytes, more than a device may have").into())
        }
        Ok(_) => Ok(device),
        Err(error) => Err(Mistake::at(ID, device.device_id().to_owned(), error.to_string())),
    }
}

/// Blank lines are passed over.
fn lines<T: Entry>(text: &[u8]) -> impl Iterator<Item = Result<Row<T>, Mistake>> {
    let lines = (1..).zip(text.split(|byte| *byte == b'\n'));
    let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    lines.map(|(number, line)| {
        // Of its own line each row is the first.
        let read = serde_json::from_slice(line)
            .map_err(|error| Mistake::from(error.to_string().replace(" at line 1 column ", " at column ")));
        row(number, read)
    })
}

fn records<'a, T: Entry>(
    text: &'a [u8],
    separator: u8,
    headings: &'a [String],
) -> impl Iterator<Item = Result<Row<T>, Mistake>> + 'a {
    reader(text, separator).into_records().map(|record| match record {
        Ok(record) => {
            let line = record.position().map_or(0, csv::Position::line);
            row(line, T::of_cells(headings, &record))
        }
        Err(error) => {
            let line = error.position().map_or(0, csv::Position::line);
            Err(Mistake {
                line,
                ..Mistake::from(error.to_string())
            })
        }
    })
}

fn reader(text: &[u8], separator: u8) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new()
        .flexible(true)
        .delimiter(separator)
        .from_reader(text)
}

/// A table's text is read to the end before anything comes of it: what an older code page wrote would be wrong in each
/// of its names.
fn utf8(text: &[u8]) -> Result<(), Failure> {
    let Err(error) = std::str::from_utf8(text) else {
        return Ok(());
    };
    let before = &text[..error.valid_up_to()];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let message =
        format!("line {line}: not UTF-8; save the file as UTF-8 (spreadsheets call it `CSV UTF-8`)");
    Err(Failure::usage(message))
}

/// The columns, and the first separator by which one of them is the id.
fn headings(text: &[u8]) -> Result<(Vec<String>, u8)> {
    let mut most: Vec<String> = Vec::new();
    for separator in SEPARATORS {
        let headings = headings_by(text, separator)?;
        if headings.iter().any(|heading| heading == ID) {
            return Ok((headings, separator));
        }
        if headings.len() > most.len() {
            most = headings;
        }
    }
    let found: Vec<_> = most
        .iter()
        .take(FOUND_MAX)
        .map(|name| format!("`{}`", name.escape_debug().take(64).collect::<String>()))
        .collect();
    let found = found.join(", ");
    let message = format!(
        "the first line of a table names its columns, `{ID}` among them; found {found}; docs/registry.md lists those of \
         devices, docs/life.md those of what was done to them"
    );
    Err(Failure::usage(message).into())
}

fn headings_by(text: &[u8], separator: u8) -> Result<Vec<String>> {
    let mut reader = reader(text, separator);
    let headings = reader.headers().context("the headings")?.iter();
    let mut headings: Vec<String> = headings
        .map(|heading| heading.trim_start_matches('\u{feff}').trim().to_owned())
        .collect();
    // The field is called so everywhere else.
    if !headings.iter().any(|heading| heading == ID) {
        let short = headings.iter_mut().find(|heading| *heading == "id");
        short.into_iter().for_each(|heading| ID.clone_into(heading));
    }
    Ok(headings)
}

/// Spreadsheets end lines with two characters, the second of which would count to the next line.
fn plain_lines(text: &mut Vec<u8>) {
    let mut at = 0;
    let mut kept = 0;
    while at < text.len() {
        if text[at] != b'\r' || text.get(at + 1) != Some(&b'\n') {
            text[kept] = text[at];
            kept += 1;
        }
        at += 1;
    }
    text.truncate(kept);
}

/// The cells of a row, each with what its column is called, as they were before they were guarded.
pub(super) fn cells<'a>(
    headings: &'a [String],
    record: &'a csv::StringRecord,
) -> Result<impl Iterator<Item = (&'a str, String)>, Mistake> {
    if record.len() != headings.len() {
        let (columns, cells) = (headings.len(), record.len());
        return Err(format!("{cells} cells where there are {columns} columns").into());
    }
    let headings = headings.iter().map(String::as_str);
    Ok(headings.zip(record.iter().map(unguarded)))
}

fn row_of(headings: &[String], record: &csv::StringRecord) -> Result<RegisterDevice, Mistake> {
    let mut device = RegisterDevice::default();
    for (heading, cell) in cells(headings, record)? {
        match heading {
            _ if cell.is_empty() => {}
            ID => device.device_id = cell,
            "planned" => {
                device.planned = match cell.to_ascii_lowercase().as_str() {
                    "yes" | "true" => true,
                    "no" | "false" => false,
                    _ => return Err(Mistake::at("planned", cell, "say `yes` or `no`")),
                }
            }
            "groups" => device.groups = cell.split(' ').map(str::to_owned).collect(),
            SETTINGS => device.settings = cell,
            name => {
                if device.fields.insert(name.to_owned(), cell).is_some() {
                    return Err(format!("the column `{name}` stands twice").into());
                }
            }
        }
    }
    Ok(device)
}

fn write_lines(devices: &[RegisterDevice], mut to: impl Write) -> Result<()> {
    for device in devices {
        writeln!(to, "{}", serde_json::to_string(device)?)?;
    }
    Ok(to.flush()?)
}

fn write_table(devices: &[RegisterDevice], to: impl Write) -> Result<()> {
    let names: std::collections::BTreeSet<&String> = devices.iter().flat_map(|d| d.fields.keys()).collect();
    let mut table = csv::Writer::from_writer(to);
    let fixed = [ID, "planned", "groups"];
    let settings = devices.iter().any(|device| !device.settings.is_empty());
    let last = settings.then_some(SETTINGS);
    let names = || names.iter().map(|name| name.as_str());
    table.write_record(fixed.into_iter().chain(names()).chain(last))?;
    for device in devices {
        let planned = if device.planned { "yes" } else { "" };
        let fixed = [
            device.device_id.clone(),
            planned.to_owned(),
            device.groups.join(" "),
        ];
        let fields = names().map(|name| device.fields.get(name).cloned().unwrap_or_default());
        let last = settings.then(|| device.settings.clone());
        table.write_record(fixed.into_iter().chain(fields).chain(last).map(guarded))?;
    }
    Ok(table.flush()?)
}

/// Spreadsheets run what looks like a formula: such a text gets an apostrophe before it, as they know it.
pub(crate) fn guarded(cell: String) -> String {
    if cell.starts_with(FORMULA) {
        format!("'{cell}")
    } else {
        cell
    }
}

fn unguarded(cell: &str) -> String {
    let bare = cell.strip_prefix('\'').filter(|rest| rest.starts_with(FORMULA));
    bare.unwrap_or(cell).to_owned()
}

/// A device as a row that registers it again; dynamic groups are left to their queries. `settings`: set for it alone.
pub(super) fn of(
    device: &Device,
    settings: Option<String>,
    is_dynamic: impl Fn(&str) -> bool,
) -> RegisterDevice {
    RegisterDevice {
        settings: settings.unwrap_or_default(),
        device_id: device.device_id.clone(),
        planned: device.stage() == Stage::Planned,
        groups: device
            .groups
            .iter()
            .filter(|group| !is_dynamic(group))
            .cloned()
            .collect(),
        fields: registry::written(device),
        ..RegisterDevice::default()
    }
}

/// Parents before those that are behind them, else in their order.
pub(super) fn parents_first(devices: &mut [RegisterDevice]) {
    let parents: BTreeMap<String, String> = devices
        .iter()
        .filter_map(|device| Some((device.device_id.clone(), device.fields.get("parent")?.clone())))
        .collect();
    let depth = |device: &RegisterDevice| {
        let above = std::iter::successors(parents.get(&device.device_id), |parent| parents.get(*parent));
        above.take(parents.len().min(64)).count()
    };
    devices.sort_by_cached_key(depth);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Sheet {
        Format::Ndjson.parse(text.as_bytes()).unwrap()
    }

    fn table(text: &str) -> Sheet {
        Format::Csv.parse(text.as_bytes()).unwrap()
    }

    fn whole(sheet: &Sheet) -> Vec<Row> {
        let good = sheet.whole().unwrap();
        let rows: Vec<Row> = good.rows.collect();
        assert_eq!(rows.len(), good.count);
        rows
    }

    fn error(sheet: &Sheet) -> String {
        sheet.whole::<RegisterDevice>().err().unwrap().to_string()
    }

    #[test]
    fn rows_are_read_in_order_and_blank_lines_passed_over() {
        let text = "{\"device_id\":\"a\",\"criticality\":\"CRITICALITY_HIGH\",\"groups\":[\"g\"]}\n\n{\"device_id\":\"b\"}";
        let rows = whole(&lines(text));
        let ids: Vec<_> = rows
            .iter()
            .map(|row| (row.line, row.device.device_id.as_str()))
            .collect();
        assert_eq!(ids, [(1, "a"), (3, "b")]);
        assert_eq!(rows[0].device.criticality(), contract::v1::Criticality::High);
    }

    #[test]
    fn all_mistakes_are_named_with_their_lines() {
        let text = "{\"device_id\":\"a\"}\n{\"device\":\"b\"}\nnot json\n{\"device_id\":\"a/b\"}\n{}\n";
        let sheet = lines(text);
        let (good, bad) = sheet.sorted::<RegisterDevice>();
        assert_eq!((good.count, bad.len()), (1, 4));
        let error = error(&sheet);
        for part in [
            "line 2: unknown field `device`",
            "line 3:",
            "line 4: device_id `a/b`",
            "line 5:",
        ] {
            assert!(error.contains(part), "{part} in {error}");
        }
        assert!(!error.contains("line 1:"));
    }

    #[test]
    fn a_row_that_no_request_could_carry_is_named_and_the_others_are_good() {
        let long = "x".repeat(300_000);
        let text = format!("device_id,name\na,{long}\nb,{}\n{long},c\n", &long[..50_000]);
        let sheet = table(&text);
        let (good, bad) = sheet.sorted::<RegisterDevice>();
        assert_eq!((good.count, bad.len(), bad[0].line, bad[1].line), (1, 2, 2, 4));
        assert!(bad[0].what.contains("the row has 3000"), "{}", bad[0].what);
        assert!(bad[1].value.chars().count() == SHOWN_CHARS + 1 && bad[1].value.ends_with('…'));
    }

    #[test]
    fn a_hopeless_file_is_told_of_in_part() {
        let error = error(&lines(&"x\n".repeat(1_000)));
        let named = error
            .lines()
            .filter(|line| line.trim_start().starts_with("line "));
        assert_eq!(named.count(), MISTAKES_MAX, "{error}");
        assert!(error.contains("and 980 more"), "{error}");
    }

    #[test]
    fn tables_are_read_by_their_headings() {
        let text =
            "\u{feff}device_id, site ,tags.line,planned,groups\r\na,\"ber,lin\",7,yes,g h\r\nb,,,,\r\n";
        let rows = whole(&table(text));
        let first = &rows[0].device;
        assert_eq!(
            (first.fields["site"].as_str(), first.fields["tags.line"].as_str()),
            ("ber,lin", "7")
        );
        assert!(first.planned && first.groups == ["g", "h"]);
        assert_eq!((rows[1].line, rows[1].device.fields.len()), (3, 0));
        let bad = |text: &str| table(text).sorted::<RegisterDevice>().1;
        let mistakes = bad("device_id,site\na,b,c\nb\nc,d\na/b,x\n");
        assert_eq!(
            mistakes.iter().map(|mistake| mistake.line).collect::<Vec<_>>(),
            [2, 3, 5]
        );
        let unnamed = Format::Csv.parse("device,site\na,b\n".as_bytes()).unwrap_err();
        assert!(
            unnamed.to_string().contains("found `device`, `site`;"),
            "{unnamed}"
        );
        assert_eq!(bad("device_id,site,site\na,b,c\n").len(), 1);
        assert_eq!(bad("device_id,planned\na,perhaps\n").len(), 1);
    }

    #[test]
    fn tables_of_other_languages_and_of_the_field_s_own_name_are_taken() {
        for text in [
            "device_id;site\na;x,y\n",
            "id\tsite\na\tx,y\n",
            "site;id\nx,y;a\n",
        ] {
            let rows = whole(&table(text));
            assert_eq!(rows[0].device.device_id, "a", "{text}");
            assert_eq!(rows[0].device.fields["site"], "x,y", "{text}");
        }
        // Where both are there, the other is a field, which the registry refuses.
        let both = whole(&table("device_id,id\na,b\n"));
        assert_eq!(both[0].device.fields["id"], "b");
    }

    #[test]
    fn another_code_page_is_told_by_its_line() {
        let latin_1 = b"device_id,site\na,K\xf6ln\n";
        let refused = Format::Csv.parse(latin_1.as_slice()).unwrap_err().to_string();
        assert!(
            refused.starts_with("line 2: not UTF-8; save the file as UTF-8"),
            "{refused}"
        );
    }

    #[test]
    fn what_is_written_comes_back_in_both_forms_and_is_no_formula() {
        let field = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let devices = vec![
            RegisterDevice {
                device_id: "a".into(),
                planned: true,
                groups: vec!["g".into(), "h".into()],
                fields: [
                    field("name", "=HYPERLINK(\"http://x\")"),
                    field("longitude", "-13.25"),
                    field("owner", "'=quoted"),
                    field("notes", "one\ntwo, \"three\""),
                    field("function", "'plain"),
                    field("tags.a,b", "\u{202e}x"),
                ]
                .into(),
                settings: r#"{"dns":["10.0.0.1"],"heartbeat":"30s"}"#.into(),
                ..RegisterDevice::default()
            },
            RegisterDevice {
                device_id: "b".into(),
                ..RegisterDevice::default()
            },
        ];
        for format in [Format::Csv, Format::Ndjson] {
            let mut text = Vec::new();
            format.write(&devices, &mut text).unwrap();
            let rows = whole(&format.parse(text.as_slice()).unwrap());
            let back: Vec<_> = rows.into_iter().map(|row| row.device).collect();
            assert_eq!(back, devices, "{format:?}");
            if format == Format::Csv {
                let text = String::from_utf8(text).unwrap();
                assert!(
                    !text.contains(",=") && !text.contains("\"=") && !text.contains(",-"),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn parents_come_before_their_children() {
        let device = |id: &str, parent: &str| RegisterDevice {
            device_id: id.into(),
            fields: [("parent".to_owned(), parent.to_owned())]
                .into_iter()
                .filter(|(_, p)| !p.is_empty())
                .collect(),
            ..RegisterDevice::default()
        };
        let mut devices = vec![
            device("c", "b"),
            device("b", "a"),
            device("a", ""),
            device("d", "elsewhere"),
        ];
        parents_first(&mut devices);
        let ids: Vec<_> = devices.iter().map(|d| d.device_id.as_str()).collect();
        assert_eq!(ids, ["a", "b", "d", "c"]);
        let mut circle = vec![device("a", "b"), device("b", "a")];
        parents_first(&mut circle);
        assert_eq!(circle.len(), 2);
    }
}
