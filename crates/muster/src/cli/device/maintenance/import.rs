//! `muster device maintenance import`

use std::path::PathBuf;

use anyhow::Result;
use contract::v1::{MaintainMany, RecordMaintenance};

use super::{
    super::{
        super::Global,
        import::{Report, send},
        rows::{Format, Good},
    },
    rows,
};

#[derive(clap::Args)]
pub(crate) struct Import {
    /// The file; `-` reads standard input
    file: PathBuf,
    /// Its form [default: csv if it is named so, else ndjson]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Say what would come of each row, and write nothing down
    #[arg(long)]
    dry_run: bool,
    /// Write the good rows down, even if others make no sense
    #[arg(long)]
    keep_going: bool,
    /// Name every refused row [default: ten of each reason]
    #[arg(long)]
    all_rows: bool,
}

impl Import {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let sheet = Format::of(self.format, &self.file).read(&self.file)?;
        let mut report = Report::of_records(self.all_rows);
        let good: Good<'_, RecordMaintenance> = report.without(&sheet);
        let is_refused = report.refuses(self.dry_run, self.keep_going);
        let good = Good {
            count: good.count,
            rows: Box::new(rows::counted(good.rows)),
        };
        let dry_run = self.dry_run || is_refused;
        let sent = global.block_on(send(global, &mut report, good, "maintain-many", |records| {
            MaintainMany {
                records,
                dry_run,
                ..MaintainMany::default()
            }
        }));
        report.end(global, sent, is_refused)
    }
}
