//! Records of maintenance as rows of a file.

use std::{
    collections::HashMap,
    io::Write,
    time::{Duration, UNIX_EPOCH},
};

use anyhow::Result;
use contract::v1::{MaintenanceKind, MaintenanceRecord, ManyMaintained, RecordMaintenance};
use prost::Message;
use sha2::{Digest, Sha256};

use super::{
    super::{
        super::{
            cert::day_ms,
            words::{self, say},
        },
        rows::{Entry, Format, Mistake, Row, Taken, cells, guarded, shown},
    },
    money,
};

/// The columns of a table.
const COLUMNS: [&str; 10] = [
    "device_id",
    "kind",
    "at",
    "by",
    "part",
    "cost",
    "next_due",
    "note",
    "first_recorded_by",
    "first_recorded_at",
];

impl Entry for RecordMaintenance {
    type Reply = ManyMaintained;
    const THINGS: &'static str = "records";

    fn of_cells(headings: &[String], record: &csv::StringRecord) -> Result<RecordMaintenance, Mistake> {
        let mut read = RecordMaintenance::default();
        for (heading, cell) in cells(headings, record)? {
            match heading {
                _ if cell.is_empty() => {}
                "device_id" => read.device_id = cell,
                "kind" => read.set_kind(kind(cell)?),
                "at" => read.at_ms = time("at", cell)?,
                "by" => read.by = cell,
                "part" => read.part = cell,
                "cost" => read.cost = cell,
                "next_due" => read.next_due = cell,
                "note" => read.note = cell,
                "first_recorded_by" => read.first_recorded_by = cell,
                "first_recorded_at" => read.first_recorded_at_ms = time("first_recorded_at", cell)?,
                other => {
                    let columns = COLUMNS.join(", ");
                    let what = format!("there is no such column; they are {columns}");
                    return Err(Mistake::at(other, cell, what));
                }
            }
        }
        Ok(read)
    }

    fn device_id(&self) -> &str {
        &self.device_id
    }

    fn value(&self, field: &str) -> String {
        match field {
            "device_id" => shown(&self.device_id),
            "kind" => say(self.kind()),
            "at_ms" => written(self.at_ms),
            "by" => shown(&self.by),
            "part" => shown(&self.part),
            "cost" => shown(&self.cost),
            "next_due" => shown(&self.next_due),
            "note" => shown(&self.note),
            "first_recorded_by" => shown(&self.first_recorded_by),
            "first_recorded_at_ms" => written(self.first_recorded_at_ms),
            _ => String::new(),
        }
    }
}

impl From<ManyMaintained> for Taken {
    fn from(reply: ManyMaintained) -> Taken {
        Taken {
            made: reply.recorded,
            unchanged: reply.unchanged,
            refused: reply.refused,
        }
    }
}

fn kind(cell: String) -> Result<MaintenanceKind, Mistake> {
    words::find(&cell).ok_or_else(|| {
        let what = format!(
            "this is no work; it is one of {}",
            words::list::<MaintenanceKind>()
        );
        Mistake::at("kind", cell, what)
    })
}

fn time(column: &str, cell: String) -> Result<i64, Mistake> {
    let what = "write 2026-01-31, or 2026-01-31T12:00:00Z";
    day_ms(&cell).ok_or_else(|| Mistake::at(column, cell, what))
}

/// To the millisecond, so that what is read back is the same; nothing where there is no time.
fn written(ms: i64) -> String {
    match u64::try_from(ms) {
        Ok(ms) if ms > 0 => {
            humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(ms)).to_string()
        }
        _ => String::new(),
    }
}

/// What was done to a device as a row that writes it down elsewhere. Who wrote it down here wrote it down first, unless it
/// came from elsewhere before.
pub(super) fn of(device_id: &str, record: &MaintenanceRecord) -> RecordMaintenance {
    let (by, at_ms) = match record.first_recorded_by.as_str() {
        "" => (&record.recorded_by, record.recorded_at_ms),
        _ => (&record.first_recorded_by, record.first_recorded_at_ms),
    };
    RecordMaintenance {
        device_id: device_id.to_owned(),
        kind: record.kind,
        at_ms: record.at_ms,
        by: record.by.clone(),
        note: record.note.clone(),
        part: record.part.clone(),
        cost: record.cost.as_ref().map(money).unwrap_or_default(),
        next_due: record.next_due.clone(),
        first_recorded_by: by.clone(),
        first_recorded_at_ms: at_ms,
        ..RecordMaintenance::default()
    }
}

/// Rows, each with how many stand before it that say the same: a repeat of the file is known by that, and two cleanings
/// of one day are two.
pub(super) fn counted<'a>(
    rows: impl Iterator<Item = Row<RecordMaintenance>> + 'a,
) -> impl Iterator<Item = Row<RecordMaintenance>> + 'a {
    let mut seen: HashMap<[u8; 32], u32> = HashMap::new();
    rows.map(move |mut row| {
        let says = RecordMaintenance {
            first_recorded_by: String::new(),
            first_recorded_at_ms: 0,
            alike_before: 0,
            expected_version: 0,
            request_id: String::new(),
            ..row.device.clone()
        };
        let before = seen
            .entry(Sha256::digest(says.encode_to_vec()).into())
            .or_default();
        row.device.alike_before = *before;
        *before += 1;
        row
    })
}

/// A file of records that is being written.
pub(super) enum Writer<W: Write> {
    Lines(W),
    Table(Box<csv::Writer<W>>),
}

impl<W: Write> Writer<W> {
    pub(super) fn begun(format: Format, to: W) -> Result<Writer<W>> {
        if format == Format::Ndjson {
            return Ok(Writer::Lines(to));
        }
        let mut table = csv::Writer::from_writer(to);
        table.write_record(COLUMNS)?;
        Ok(Writer::Table(Box::new(table)))
    }

    pub(super) fn put(&mut self, row: &RecordMaintenance) -> Result<()> {
        match self {
            Writer::Lines(to) => writeln!(to, "{}", serde_json::to_string(row)?)?,
            Writer::Table(table) => {
                let cells = [
                    row.device_id.clone(),
                    say(row.kind()),
                    written(row.at_ms),
                    row.by.clone(),
                    row.part.clone(),
                    row.cost.clone(),
                    row.next_due.clone(),
                    row.note.clone(),
                    row.first_recorded_by.clone(),
                    written(row.first_recorded_at_ms),
                ];
                table.write_record(cells.map(guarded))?;
            }
        }
        Ok(())
    }

    pub(super) fn end(self) -> Result<()> {
        match self {
            Writer::Lines(mut to) => to.flush()?,
            Writer::Table(mut table) => table.flush()?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use contract::v1::Money;

    use super::*;

    fn record(note: &str, first: &str) -> MaintenanceRecord {
        MaintenanceRecord {
            kind: MaintenanceKind::PartReplaced.into(),
            at_ms: 1_767_225_600_123,
            by: "-Pump, Service \"Ltd\"".into(),
            note: note.into(),
            part: "bearing 6204".into(),
            cost: Some(Money {
                cents: 12_950,
                currency: "EUR".into(),
            }),
            next_due: "2027-01-31".into(),
            recorded_by: "operators/ada".into(),
            recorded_at_ms: 1_767_225_700_456,
            version: 7,
            first_recorded_by: first.into(),
            first_recorded_at_ms: if first.is_empty() { 0 } else { 5 },
        }
    }

    fn read(format: Format, text: &[u8]) -> (Vec<Row<RecordMaintenance>>, Vec<Mistake>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let sheet = format.read(file.path()).unwrap();
        let (good, bad) = sheet.sorted();
        (good.rows.collect(), bad)
    }

    #[test]
    fn what_is_written_is_read_back_whole() {
        let rows = [
            of("pump-7", &record("=HYPERLINK(\"x\")", "")),
            of("pump-8", &record("", "operators/bob")),
            RecordMaintenance {
                device_id: "pump-9".into(),
                ..RecordMaintenance::default()
            },
        ];
        assert_eq!(rows[0].first_recorded_by, "operators/ada");
        assert_eq!(rows[0].first_recorded_at_ms, 1_767_225_700_456);
        assert_eq!(
            (rows[1].first_recorded_by.as_str(), rows[1].first_recorded_at_ms),
            ("operators/bob", 5)
        );
        for format in [Format::Csv, Format::Ndjson] {
            let mut text = Vec::new();
            let mut writer = Writer::begun(format, &mut text).unwrap();
            rows.iter().for_each(|row| writer.put(row).unwrap());
            writer.end().unwrap();
            let (back, bad) = read(format, &text);
            assert!(bad.is_empty(), "{bad:?}");
            let back: Vec<_> = back.into_iter().map(|row| row.device).collect();
            assert_eq!(back, rows, "{format:?}");
            let text = String::from_utf8(text).unwrap();
            assert!(
                format != Format::Csv || !text.contains(",=") && !text.contains(",\"="),
                "{text}"
            );
        }
    }

    #[test]
    fn what_makes_no_sense_is_told_by_its_column() {
        let table = b"id,kind,at,colour\npump-7,polish,2026-01-31,\npump-7,repair,soon,\npump-7,repair,,red\na/b,repair,,\n";
        let (rows, bad) = read(Format::Csv, table);
        assert!(rows.is_empty());
        let told: Vec<_> = bad
            .iter()
            .map(|mistake| (mistake.line, mistake.field.as_str(), mistake.value.as_str()))
            .collect();
        let expected = [
            (2, "kind", "polish"),
            (3, "at", "soon"),
            (4, "colour", "red"),
            (5, "device_id", "a/b"),
        ];
        assert_eq!(told, expected);
        assert!(bad[0].what.contains("part-replaced"), "{}", bad[0].what);
    }

    #[test]
    fn rows_that_say_the_same_are_counted_whoever_wrote_them_down() {
        let row = |note: &str, first: &str| Row {
            line: 2,
            device: of("pump-7", &record(note, first)),
        };
        let rows = [
            row("a", ""),
            row("b", ""),
            row("a", "operators/bob"),
            row("a", ""),
        ];
        let before: Vec<_> = counted(rows.into_iter())
            .map(|row| row.device.alike_before)
            .collect();
        assert_eq!(before, [0, 0, 1, 2]);
    }
}
