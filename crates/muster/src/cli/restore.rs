//! `muster restore`

use std::path::PathBuf;

use anyhow::Result;

use super::{
    Global, backup,
    confirm::{Confirm, Consent},
    print, progress,
};
use crate::backup::{Order, Report, restore};

/// Bring an installation back from a backup, while Muster is stopped.
///
/// All of it is made aside and read back first; until then nothing that is there is touched. An installation that
/// is there must be given up with --replace: it is moved below replaced-SECONDS, in its folder and in its state
/// folder. The databases begin new histories, so that integrators notice.
///
/// What was revoked after the backup is not in it. Give the last revocation list that was published with --crl;
/// that of an installation that is replaced is taken by itself.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  muster --dir /var/lib/muster restore /backup/muster-monday --crl trust/crl.pem
  muster restore /backup/muster-monday --replace --yes
  muster restore /backup/muster-monday --replace --dry-run")]
pub(super) struct Restore {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Move the installation that is there aside
    #[arg(long)]
    replace: bool,
    /// A revocation list of this installation, PEM: what is in it stays revoked; may be given several times
    #[arg(long = "crl", value_name = "FILE")]
    lists: Vec<PathBuf>,
    #[command(flatten)]
    confirm: Confirm,
}

impl Restore {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        store::quiet_engine_panics();
        let place = global.dir.display();
        if self.replace || self.confirm.only_says() {
            let verb = if self.replace {
                "replace the installation"
            } else {
                "make an installation"
            };
            let what = format!("{verb} in {place} from {}", self.file.display());
            let Consent::Given = self.confirm.ask(global, &what)? else {
                return Ok(());
            };
        }
        let spinner = progress::steps();
        let order = Order {
            file: &self.file,
            folder: &global.dir,
            replace: self.replace,
            lists: &self.lists,
        };
        let restored = restore(&order, &|what| spinner.set_message(what));
        spinner.finish_and_clear();
        let report = restored?;
        for why in &report.taken.unused {
            print::note(format!("a revocation list was not taken over: {why}"));
        }
        match global.json {
            true => print::json(&document(&report)),
            false => tell(global, &report),
        }
    }
}

fn document(report: &Report) -> serde_json::Value {
    let mut document = backup::document(&report.manifest);
    let rows = report.rows.iter().map(|(name, rows)| (name.to_string(), *rows));
    document["restored"] = rows
        .collect::<std::collections::BTreeMap<_, _>>()
        .into_iter()
        .collect();
    document["revocations"] = serde_json::json!({
        "files": report.taken.files, "lines": report.taken.lines, "known_until_ms": report.taken.until_ms,
        "not_taken": report.taken.unused,
    });
    document["former"] = serde_json::json!(report.kept);
    document
}

fn tell(global: &Global, report: &Report) -> Result<()> {
    let shows = print::time(report.manifest.shows_ms());
    print::line(format!("{} is as it was at {shows}", global.dir.display()))?;
    for (name, rows) in &report.rows {
        print::line(format!("  {name}: {rows} records"))?;
    }
    for kept in &report.kept {
        print::line(format!(
            "the former one lies in {}, with its keys",
            kept.display()
        ))?;
    }
    print::line(format!(
        "certificates issued after {shows} are not known here and are refused: their holders need new ones"
    ))?;
    match report.taken.until_ms {
        Some(until) => print::line(format!(
            "revoked certificates are taken over from {} lines of revocation lists, as of {}. What was revoked later is not known:",
            report.taken.lines,
            print::time(until)
        ))?,
        None => print::line(format!(
            "NO REVOCATION LIST WAS GIVEN: certificates revoked after {shows} count again. Restore once more with --crl, or:"
        ))?,
    }
    print::line(format!(
        "devices suspended, quarantined, released or retired after {shows} are as they were then: order it once more"
    ))?;
    print::line(
        "  start with MUSTER_LISTEN__PRINCIPALS=127.0.0.1:8883, `muster cert revoke` them, start as usual",
    )
}
