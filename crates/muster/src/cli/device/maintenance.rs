//! `muster device maintenance`

mod export;
mod import;
mod rows;

use anyhow::Result;
use contract::{
    Id,
    id::ServiceName,
    v1::{ListMaintenance, MaintenanceKind, MaintenanceListed, MaintenanceRecord, Money, RecordMaintenance},
};

use super::{
    super::{
        Global,
        cert::day_ms,
        list::Limit,
        print,
        words::{self, say},
    },
    change::last,
    many::{All, Deed},
};
use crate::exit::Failure;

#[derive(clap::Subcommand)]
pub(crate) enum Maintenance {
    /// Write down what was done to devices
    #[command(override_usage = "muster device maintenance add [OPTIONS] <DEVICE>... <KIND>
       muster device maintenance add [OPTIONS] --group <GROUP> <KIND>")]
    #[command(after_help = "Examples:
  muster device maintenance add pump-7 inspection --next 2027-01-31
  muster device maintenance add pump-7 part-replaced --part 'bearing 6204' --cost '129.50 EUR'
  muster device maintenance add pump-7 pump-8 battery --on 2026-01-31 --by 'Pump Service Ltd'")]
    Add(Add),
    /// What was done to a device, the last first
    #[command(after_help = "Examples:
  muster device maintenance list pump-7
  muster device maintenance list pump-7 --kind calibration")]
    List(List),
    /// Write what was done to devices into a file that import reads
    ///
    /// Everything that the records hold is in it, with who wrote them down and when. Records of retired devices are
    /// left out.
    #[command(after_help = "Examples:
  muster device maintenance export work.csv
  muster device maintenance export work.ndjson --where 'site = berlin'
  muster device maintenance export - --group line-7 | jq .note")]
    Export(export::Export),
    /// Write down what a file says was done to devices
    ///
    /// The devices must be there. Either a table with the columns device_id, kind, at, by, part, cost, next_due, note,
    /// first_recorded_by and first_recorded_at, or one JSON object a line, with the fields of RecordMaintenance. What
    /// is there already changes nothing, so an import may be repeated. Who brings a record in stands in it, beside
    /// whoever wrote it down first.
    #[command(after_help = "Examples:
  muster device maintenance import work.csv --dry-run
  muster device maintenance import work.csv
  jq -c '.[]' work.json | muster device maintenance import -")]
    Import(import::Import),
}

#[derive(clap::Args)]
pub(crate) struct Add {
    /// The devices unless --group or --where name them, and what sort of work
    #[arg(required = true, value_names = ["DEVICE", "KIND"], num_args = 1..)]
    words: Vec<Id>,
    #[command(flatten)]
    all: All,
    /// When it was done, `2026-01-31` or `2026-01-31T12:00:00Z` [default: now]
    #[arg(long, value_name = "DATE", value_parser = date)]
    on: Option<i64>,
    /// Who did it [default: you]
    #[arg(long, default_value = "", hide_default_value = true)]
    by: String,
    /// What was seen and done
    #[arg(long, default_value = "", hide_default_value = true)]
    note: String,
    /// What was put in
    #[arg(long, default_value = "", hide_default_value = true)]
    part: String,
    /// What it cost, `129.50 EUR`
    #[arg(long, default_value = "", hide_default_value = true)]
    cost: String,
    /// When work of this sort is due again, `2027-01-31` [default: never]
    #[arg(
        long = "next",
        default_value = "",
        hide_default_value = true,
        value_name = "DATE"
    )]
    next_due: String,
    /// Only if the device, which is named, has this version
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "VERSION")]
    expected_version: u64,
}

#[derive(clap::Args)]
pub(crate) struct List {
    /// The device
    id: Id,
    /// Only of this sort
    #[arg(long, value_parser = words::parser::<MaintenanceKind>())]
    kind: Option<MaintenanceKind>,
    #[command(flatten)]
    limit: Limit,
}

impl Maintenance {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Maintenance::Add(command) => command.run(global),
            Maintenance::List(command) => command.run(global),
            Maintenance::Export(command) => command.run(global),
            Maintenance::Import(command) => command.run(global),
        }
    }
}

impl Add {
    fn run(self, global: &Global) -> Result<()> {
        let (ids, kind) = last(self.words, |word| {
            words::find::<MaintenanceKind>(word).ok_or_else(|| {
                let kinds = words::list::<MaintenanceKind>();
                Failure::usage(format!("`{word}` is no work; the last word is one of {kinds}")).into()
            })
        })?;
        let request = |device_id| RecordMaintenance {
            device_id,
            kind: kind.into(),
            at_ms: self.on.unwrap_or_default(),
            by: self.by.clone(),
            note: self.note.clone(),
            part: self.part.clone(),
            cost: self.cost.clone(),
            next_due: self.next_due.clone(),
            expected_version: self.expected_version,
            ..RecordMaintenance::default()
        };
        let deed = Deed {
            before: "write down work on",
            ..Deed::plain("maintain")
        };
        self.all.each(global, (deed, ids), self.expected_version, request)
    }
}

impl List {
    fn run(self, global: &Global) -> Result<()> {
        let listed = self.limit.collect(
            global,
            (ServiceName::Registry, "maintenance"),
            |page| ListMaintenance {
                device_id: self.id.to_string(),
                kind: self.kind.unwrap_or_default().into(),
                page_size: page.size,
                page: page.token,
                ..ListMaintenance::default()
            },
            |reply: MaintenanceListed| (reply.records, reply.next_page),
        )?;
        let headings = [
            "done",
            "kind",
            "by",
            "part",
            "cost",
            "next due",
            "note",
            "recorded by",
        ];
        listed.print(global, &headings, row)
    }
}

fn row(record: &MaintenanceRecord) -> Vec<String> {
    vec![
        print::time(record.at_ms),
        say(record.kind()),
        record.by.clone(),
        record.part.clone(),
        record.cost.as_ref().map(money).unwrap_or_default(),
        record.next_due.clone(),
        record.note.clone(),
        recorded_by(record),
    ]
}

/// `operators/bob, brought in by operators/ada`
fn recorded_by(record: &MaintenanceRecord) -> String {
    match record.first_recorded_by.as_str() {
        "" => record.recorded_by.clone(),
        first => format!("{first}, brought in by {}", record.recorded_by),
    }
}

fn money(money: &Money) -> String {
    let sign = if money.cents < 0 { "-" } else { "" };
    let cents = money.cents.unsigned_abs();
    format!("{sign}{}.{:02} {}", cents / 100, cents % 100, money.currency)
}

fn date(text: &str) -> Result<i64, String> {
    day_ms(text).ok_or_else(|| "write 2026-01-31, or 2026-01-31T12:00:00Z".into())
}
