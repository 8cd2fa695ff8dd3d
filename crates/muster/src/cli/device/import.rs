//! `muster device import`

use std::{
    collections::{BTreeSet, VecDeque},
    path::PathBuf,
};

use anyhow::{Context, Result};
use client::Client;
use contract::{id::ServiceName, limits, v1::RegisterDevices, wire::Wire};
use serde::Serialize;

use super::{
    super::{Global, global, print, progress},
    faults::{self, Refused},
    rows::{Entry, Format, Good, Row, Sheet, Taken},
    update::{self, Change},
};
use crate::exit::{Exit, Failure};

/// Devices in one request.
const BATCH_DEVICES: usize = limits::PAGE_MAX;
/// Requests under way: while one is decided, the next is on its way.
const UNDER_WAY: usize = 2;
/// Bytes in one request: the packet's limit, with room for what surrounds the devices.
const BATCH_BYTES: usize = limits::PAYLOAD_BYTES - 16 * 1024;

#[derive(clap::Args)]
pub(crate) struct Import {
    /// The file; `-` reads standard input
    file: PathBuf,
    /// Its form [default: csv if it is named so, else ndjson]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Say what would come of each row, and register nothing
    #[arg(long)]
    dry_run: bool,
    /// Register the good rows, even if others make no sense
    #[arg(long)]
    keep_going: bool,
    /// Change what a row says otherwise of a device that is there, instead of refusing it
    #[arg(long)]
    update: bool,
    /// With --update: an empty cell removes what stands there [default: it says nothing]
    #[arg(long, requires = "update")]
    empty_removes: bool,
    /// Name every refused row, and in a dry run every change [default: ten of each reason, ten changes]
    #[arg(long)]
    all_rows: bool,
}

/// How many rows the registry took, and as what.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Made {
    Registered(u64),
    Recorded(u64),
}

/// What came of the rows.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    #[serde(flatten)]
    made: Made,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) changed: Option<u64>,
    pub(super) unchanged: u64,
    dry_run: bool,
    /// A row may be refused for several reasons.
    refused_rows: usize,
    pub(super) refused: Vec<Refused>,
    /// Of a dry run: what would become another.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) changes: Vec<Change>,
    #[serde(skip)]
    all_rows: bool,
}

impl Import {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let sheet = Format::of(self.format, &self.file).read(&self.file)?;
        let mut report = Report {
            all_rows: self.all_rows,
            ..Report::default()
        };
        let good = report.without(&sheet);
        let is_refused = report.refuses(self.dry_run, self.keep_going);
        let dry_run = report.dry_run;
        let sent = match self.update {
            true => {
                let empty = if self.empty_removes { sheet.columns() } else { &[] };
                global.block_on(update::run(global, &mut report, good, (dry_run, empty)))
            }
            false => global.block_on(register(global, &mut report, good, dry_run)),
        };
        report.end(global, sent, is_refused)
    }
}

/// Registers rows, or says what would come of that.
pub(super) async fn register(
    global: &Global,
    report: &mut Report,
    good: Good<'_>,
    dry_run: bool,
) -> Result<()> {
    send(global, report, good, "register-many", |devices| RegisterDevices {
        devices,
        dry_run,
        ..RegisterDevices::default()
    })
    .await
}

impl Default for Made {
    fn default() -> Made {
        Made::Registered(0)
    }
}

impl Made {
    fn count(&mut self) -> &mut u64 {
        match self {
            Made::Registered(count) | Made::Recorded(count) => count,
        }
    }

    /// What is done to a row, in the two forms in which it is said.
    fn words(&self) -> (&'static str, &'static str) {
        match self {
            Made::Registered(_) => ("registered", "registers"),
            Made::Recorded(_) => ("recorded", "records"),
        }
    }
}

impl Report {
    /// Of rows that are written down, and register nothing.
    pub(super) fn of_records(all_rows: bool) -> Report {
        Report {
            made: Made::Recorded(0),
            all_rows,
            ..Report::default()
        }
    }

    /// Whether rows were refused, and nothing is to be written for that.
    pub(super) fn refuses(&mut self, dry_run: bool, keep_going: bool) -> bool {
        // Whoever mends the file wants to know the rest as well.
        let is_refused = !self.refused.is_empty() && !keep_going && !dry_run;
        self.dry_run = dry_run || is_refused;
        is_refused
    }

    /// Prints what came of rows that were sent; of a file with a bad row, that nothing did.
    pub(super) fn end(self, global: &Global, sent: Result<()>, is_refused: bool) -> Result<()> {
        match sent {
            Err(error) if is_refused => print::note(format!("the other rows were not looked at: {error:#}")),
            sent => sent?,
        }
        let (done, does) = self.made.words();
        match self.say(global) {
            Err(error) if is_refused => {
                let message = format!("nothing was {done} (--keep-going {does} the good rows): {error}");
                Err(Failure::usage(message).into())
            }
            said => said,
        }
    }

    /// The good rows; the bad ones are reported.
    pub(crate) fn without<'a, T: Entry>(&mut self, sheet: &'a Sheet) -> Good<'a, T> {
        let (good, bad) = sheet.sorted();
        let refused = bad.into_iter().map(|mistake| Refused {
            line: mistake.line,
            code: "malformed".into(),
            message: mistake.what,
            field: mistake.field,
            value: mistake.value,
            ..Refused::default()
        });
        self.refused.extend(refused);
        good
    }

    fn take<T: Entry>(&mut self, batch: &[Row<T>], taken: Taken) {
        *self.made.count() += u64::from(taken.made);
        self.unchanged += u64::from(taken.unchanged);
        self.refused.extend(
            taken
                .refused
                .into_iter()
                .map(|refusal| Refused::of(batch, refusal)),
        );
    }

    /// Prints it; refused rows are a failure, known ones are none.
    pub(crate) fn say(mut self, global: &Global) -> Result<()> {
        self.refused.sort_by_key(|refused| refused.line);
        let rows: BTreeSet<_> = self.refused.iter().map(Refused::row).collect();
        self.refused_rows = rows.len();
        if global.json {
            print::json(&self)?;
        } else {
            for line in faults::told(&self.refused, self.all_rows) {
                print::line(print::clean(&line))?;
            }
            for line in update::told(&self.changes, self.all_rows) {
                print::line(print::clean(&line))?;
            }
            let would = if self.dry_run { "would be " } else { "" };
            let changed = match self.changed {
                None => String::new(),
                Some(changed) => format!(" {changed} {would}changed,"),
            };
            let (done, _) = self.made.words();
            print::line(format!(
                "{} {would}{done},{changed} {} unchanged, {} refused",
                self.made.count(),
                self.unchanged,
                self.refused_rows
            ))?;
        }
        if self.refused.is_empty() {
            return Ok(());
        }
        let message = match self.refused_rows {
            1 => "1 row was refused".to_owned(),
            n => format!("{n} rows were refused"),
        };
        Err(Failure::new(Exit::Conflict, message).into())
    }
}

/// As many devices in a request as may be, in the file's order.
fn batches<T: Entry>(rows: impl Iterator<Item = Row<T>>) -> impl Iterator<Item = Vec<Row<T>>> {
    // The device's own length and key come before it; an order adds a few words.
    let size = |row: &Row<T>| row.device.encoded_len() + 8;
    let mut rows = rows.peekable();
    std::iter::from_fn(move || {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let fits = |batch: &Vec<Row<T>>, bytes: usize| {
            batch.is_empty() || (batch.len() < BATCH_DEVICES && bytes <= BATCH_BYTES)
        };
        while let Some(row) = rows.next_if(|row| fits(&batch, bytes + size(row))) {
            bytes += size(&row);
            batch.push(row);
        }
        (!batch.is_empty()).then_some(batch)
    })
}

/// Sends rows, as many at a time as fit. They are decided in their order: a parent may stand in the request before.
pub(crate) async fn send<T: Entry, Request: Wire + Sync + 'static>(
    global: &Global,
    report: &mut Report,
    good: Good<'_, T>,
    verb: &str,
    request: impl Fn(Vec<T>) -> Request,
) -> Result<()> {
    let (client, _inbox) = global.connect().await?;
    let count = good.count;
    let bar = progress::bar(count as u64, T::THINGS);
    let (mut batches, mut under_way) = (batches(good.rows), VecDeque::new());
    loop {
        while under_way.len() < UNDER_WAY
            && let Some(batch) = batches.next()
        {
            let request = request(batch.iter().map(|row| row.device.clone()).collect());
            let (client, verb) = (client.clone(), verb.to_owned());
            // Tasks of one thread begin in their order.
            let asked = tokio::spawn(async move { ask::<T::Reply>(&client, &verb, &request).await });
            under_way.push_back((batch, asked));
        }
        let Some((batch, asked)) = under_way.pop_front() else {
            break;
        };
        let reply = asked.await?.with_context(|| {
            let done = bar.position();
            format!(
                "after {done} of {count} {}; the import may be repeated",
                T::THINGS
            )
        })?;
        report.take(&batch, reply.into());
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    client.disconnect().await;
    Ok(())
}

async fn ask<Reply: Wire>(client: &Client, verb: &str, request: &impl Wire) -> Result<Reply> {
    global::ask(client, ServiceName::Registry, verb, request).await
}

#[cfg(test)]
mod tests {
    use contract::v1::RegisterDevice;
    use prost::Message;

    use super::*;

    fn row(id: usize, name: &str) -> Row {
        let device = RegisterDevice {
            device_id: format!("d-{id}"),
            name: name.into(),
            ..RegisterDevice::default()
        };
        Row {
            line: id as u64 + 2,
            device,
        }
    }

    #[test]
    fn batches_hold_500_devices_and_fit_a_packet() {
        let small = batches((0..1_201).map(|n| row(n, "")));
        assert_eq!(
            small.map(|batch| batch.len()).collect::<Vec<_>>(),
            [500, 500, 201]
        );
        let large: Vec<_> = batches((0..1_000).map(|n| row(n, &"n".repeat(2_000)))).collect();
        assert_eq!(large.iter().map(Vec::len).sum::<usize>(), 1_000);
        for batch in large {
            let request = RegisterDevices {
                devices: batch.into_iter().map(|row| row.device).collect(),
                ..RegisterDevices::default()
            };
            assert!(request.encoded_len() < limits::PAYLOAD_BYTES);
        }
        assert_eq!(batches(std::iter::empty::<Row>()).count(), 0);
    }
}
