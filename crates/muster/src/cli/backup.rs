//! `muster backup`

use std::path::PathBuf;

use anyhow::Result;

use super::{Global, print, progress};
use crate::{
    backup::{self, Created, Manifest},
    exit::Failure,
};

/// Put all of an installation into one file, whether Muster runs or not.
///
/// The file holds the databases of the four services as they are at one moment, firmware images, keys,
/// certificates and the configuration. Keep it as you keep the CA's key: keys that are not encrypted on the disk
/// are not encrypted in it. Run it as the user whose the folder is. A file that is there is not written over.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "Examples:
  muster backup /backup/muster-monday
  sudo -u muster muster --dir /var/lib/muster backup /backup/muster-monday
  muster backup verify /backup/muster-monday")]
pub(super) struct Backup {
    #[command(subcommand)]
    command: Option<Check>,
    /// The file to make
    #[arg(required = true, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// What else is done with a backup.
#[derive(clap::Subcommand)]
enum Check {
    /// Read a backup to its end, and say whether all of it is as it was written
    ///
    /// Ends with 7 if anything is damaged, and names it.
    #[command(after_help = "Examples:
  muster backup verify /backup/muster-monday")]
    Verify(Verify),
}

#[derive(clap::Args)]
struct Verify {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Backup {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        store::quiet_engine_panics();
        match (self.command, self.file) {
            (Some(Check::Verify(command)), _) => command.run(global),
            (None, Some(file)) => make(global, &file),
            (None, None) => Err(Failure::usage("name the file to make").into()),
        }
    }
}

fn make(global: &Global, file: &std::path::Path) -> Result<()> {
    let config = global.config()?;
    let spinner = progress::steps();
    let made = backup::create(&config, file, &|what| spinner.set_message(what));
    spinner.finish_and_clear();
    let Created { manifest, file_bytes } = made?;
    for what in &manifest.left_out {
        print::note(format!("not in the backup: {what}"));
    }
    if global.json {
        let mut document = document(&manifest);
        document["file"] = serde_json::json!(file);
        document["file_bytes"] = serde_json::json!(file_bytes);
        return print::json(&document);
    }
    tell(&manifest)?;
    print::line(format!(
        "{}: {} bytes, {file_bytes} compressed. Whoever can read it can be this server: keep it safe",
        file.display(),
        manifest.bytes()
    ))
}

impl Verify {
    fn run(self, global: &Global) -> Result<()> {
        let manifest = backup::verify(&self.file)?;
        if global.json {
            let mut document = document(&manifest);
            document["file"] = serde_json::json!(self.file);
            document["sound"] = true.into();
            return print::json(&document);
        }
        tell(&manifest)?;
        print::line(format!("{}: sound", self.file.display()))
    }
}

/// What is in a backup, for programs.
pub(super) fn document(manifest: &Manifest) -> serde_json::Value {
    serde_json::json!({
        "site": manifest.header.site, "muster": manifest.header.muster, "shows_ms": manifest.shows_ms(),
        "databases": manifest.databases, "parts": manifest.parts.len(), "bytes": manifest.bytes(),
        "left_out": manifest.left_out,
    })
}

/// The same for people.
fn tell(manifest: &Manifest) -> Result<()> {
    let rows = manifest.databases.iter().map(|one| {
        vec![
            one.service.clone(),
            one.rows.to_string(),
            one.writes.to_string(),
            one.said.schema.to_string(),
            print::time(one.cut_ms),
        ]
    });
    let headings = ["service", "records", "writes meanwhile", "schema", "as of"];
    print::table(&headings, rows.collect())
}
