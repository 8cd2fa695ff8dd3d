//! `muster report`: what an IT manager would print.

mod chart;
mod fleet;
mod page;
mod table;
mod tally;

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use clap::ValueEnum;
use client::Client;
use contract::{
    id::ServiceName,
    limits,
    v1::{DevicesListed, ListDevices},
};

use self::{fleet::Beside, table::Table, tally::Topic};
use super::{Global, global, matching::Matching, print, progress};

/// Reports on the fleet: as tables, JSON, tables with commas, or a page with charts.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  muster report
  muster report age spend --where 'site = \"berlin\"'
  muster report idle --idle 14d --csv .
  muster report --html fleet.html
  muster --json report protection

docs/reports.md says what each counts.")]
pub(super) struct Report {
    /// Which reports [default: all]
    #[arg(value_enum)]
    topics: Vec<Topic>,
    #[command(flatten)]
    matching: Matching,
    /// Idle is whoever was not seen for so long
    #[arg(long, default_value = "30d", value_parser = humantime::parse_duration, value_name = "TIME")]
    idle: Duration,
    /// Write a page with charts; `-` writes to standard output
    #[arg(long, value_name = "FILE", conflicts_with = "csv")]
    html: Option<PathBuf>,
    /// Write each report as a table with commas, REPORT.csv in this folder
    #[arg(long, value_name = "FOLDER")]
    csv: Option<PathBuf>,
}

impl Report {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let now_ms = host::clock::wall_ms();
        let tables = global.block_on(self.read(global, now_ms))?;
        if let Some(folder) = &self.csv {
            return write_tables(folder, &tables);
        }
        if let Some(file) = &self.html {
            let site = global
                .config()
                .map_or_else(|_| String::new(), |config| config.site.to_string());
            return write_page(file, &page::page(&site, &self.matching.query, now_ms, &tables)?);
        }
        if global.json {
            return tables.iter().try_for_each(print::json);
        }
        for table in tables {
            print::line(format!("{}: {}", table.report, table.about))?;
            if !table.rows.is_empty() {
                print::table(&table.columns, table.rows)?;
            }
            print::line("")?;
        }
        Ok(())
    }

    /// The reports that were asked for, each once, in their order.
    fn topics(&self) -> Vec<Topic> {
        let mut topics = match self.topics.is_empty() {
            true => Topic::value_variants().to_vec(),
            false => self.topics.clone(),
        };
        topics.sort();
        topics.dedup();
        topics
    }

    async fn read(&self, global: &Global, now_ms: i64) -> Result<Vec<Table>> {
        let (client, _inbox) = global.connect().await?;
        let (topics, progress) = (self.topics(), progress::steps());
        let mut beside = Beside {
            now_ms,
            ..Beside::default()
        };
        if topics.iter().any(|topic| topic.wants_monitoring()) {
            progress.set_message("when devices were seen");
            beside.ask_monitoring(&client).await?;
        }
        if topics.iter().any(|topic| topic.wants_all()) {
            progress.set_message("firmware and certificates");
            beside.ask_rollout(&client).await?;
            beside.ask_provisioning(&client).await?;
        }
        let idle_ms = i64::try_from(self.idle.as_millis()).unwrap_or(i64::MAX);
        let mut tallies: Vec<_> = topics.iter().map(|topic| topic.begin(idle_ms)).collect();
        let mut looked_at = 0;
        self.each_page(&client, |listed| {
            looked_at += listed.devices.len();
            progress.set_message(format!("{looked_at} devices"));
            for device in &listed.devices {
                tallies.iter_mut().for_each(|tally| tally.add(device, &beside));
            }
        })
        .await?;
        progress.finish_and_clear();
        client.disconnect().await;
        Ok(tallies.iter().map(|tally| tally.table()).collect())
    }

    /// A fleet may be larger than the memory here: page by page.
    async fn each_page(&self, client: &Client, mut look: impl FnMut(&DevicesListed)) -> Result<()> {
        let mut page = String::new();
        loop {
            let request = ListDevices {
                r#where: self.matching.query.clone(),
                page_size: limits::PAGE_MAX as u32,
                page,
                ..ListDevices::default()
            };
            let listed: DevicesListed = global::ask(client, ServiceName::Registry, "list", &request).await?;
            look(&listed);
            if listed.next_page.is_empty() {
                return Ok(());
            }
            page = listed.next_page;
        }
    }
}

fn write_tables(folder: &Path, tables: &[Table]) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for table in tables {
        let file = folder.join(table.report).with_extension("csv");
        let cannot = || format!("cannot write {}", file.display());
        let to = BufWriter::new(File::create(&file).with_context(cannot)?);
        table.write_csv(to).with_context(cannot)?;
        print::line(format!("{}: {} rows", file.display(), table.rows.len()))?;
    }
    Ok(())
}

fn write_page(file: &Path, page: &str) -> Result<()> {
    if file == Path::new("-") {
        return Ok(std::io::stdout().lock().write_all(page.as_bytes())?);
    }
    std::fs::write(file, page).with_context(|| format!("cannot write {}", file.display()))?;
    print::line(format!("{} is written", file.display()))
}
