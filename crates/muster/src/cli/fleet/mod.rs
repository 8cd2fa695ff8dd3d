//! `muster plan`, `muster apply` and `muster export-fleet`: a fleet that is declared in a file.
//!
//! ```text
//! file ── read ──► Fleet ─┐
//!                         ├─ diff ──► Plan ── steps ──► requests
//! services ─ live ► Present
//!                         └─ write ─► file
//! ```
//!
//! All of it but `live` and `apply` are functions of values.

mod apply;
mod calls;
mod diff;
mod entry;
mod file;
mod live;
mod local;
mod read;
mod references;
mod say;
mod steps;
#[cfg(test)]
mod tests;
mod write;

use std::{collections::BTreeSet, fs, path::PathBuf};

use anyhow::Result;
use client::Client;
use contract::id::Kind as Whose;

use self::{
    entry::{Kind, Present, Rest},
    file::Fault,
    read::Declared,
};
use super::{
    Global,
    confirm::{Confirm, Consent},
    print,
};
use crate::{
    exit::{Exit, Failure},
    folder::read_text,
};

/// Largest file that is read, bytes.
const FILE_BYTES: usize = 4 * 1024 * 1024;

/// Say what would make the fleet as a file declares it, and change nothing
///
/// Ends with 0 if there is nothing to do, with 9 if there are differences, with 2 if the file is wrong. docs/fleet.md
/// describes the file.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  muster plan fleet.toml
  muster --json plan fleet.toml --prune | jq '.changes[]'")]
pub(super) struct Plan {
    /// The file, TOML
    file: PathBuf,
    /// What the file does not name goes, in those sections that the file has
    #[arg(long)]
    prune: bool,
}

/// Make the fleet as a file declares it
///
/// Shows the plan and asks. What was interrupted is applied again: what is done already counts as done.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  muster apply fleet.toml
  muster apply fleet.toml --prune --yes
  muster apply fleet.toml --yes --only-plan 4f0c9e7d21b3a865")]
pub(super) struct Apply {
    /// The file, TOML
    file: PathBuf,
    /// What the file does not name goes, in those sections that the file has
    #[arg(long)]
    prune: bool,
    /// Only if the plan is this one, as `muster plan` names it
    #[arg(long, value_name = "DIGEST")]
    only_plan: Option<String>,
    #[command(flatten)]
    confirm: Confirm,
}

/// Write the fleet as it is into a file that declares it
#[derive(clap::Args)]
#[command(after_help = "Examples:
  muster export-fleet fleet.toml
  muster export-fleet | less")]
pub(super) struct Export {
    /// The file, which must not be there yet [default: standard output]
    file: Option<PathBuf>,
}

/// What was read from the file and from the services, and what follows.
#[derive(PartialEq)]
struct Comparison {
    plan: diff::Plan,
    present: Present,
    me: (Kind, String),
}

impl Plan {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let file = Source::open(self.file, self.prune)?;
        let found = file.compare(global)?;
        say::plan(global, &found.plan)?;
        if found.plan.changes.is_empty() {
            return Ok(());
        }
        Err(Failure::new(Exit::Differs, "there are differences").into())
    }
}

impl Apply {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let file = Source::open(self.file, self.prune)?;
        let shown = file.compare(global)?;
        say::plan(global, &shown.plan)?;
        let plan = &shown.plan;
        if let Some(only) = self.only_plan.filter(|only| *only != plan.digest()) {
            let message = format!("nothing was changed: the plan is {}, not {only}", plan.digest());
            return Err(Failure::new(Exit::Conflict, message).into());
        }
        if plan.changes.is_empty() {
            return Ok(());
        }
        if let Some(obstacle) = plan.obstacles.first() {
            return Err(Failure::new(Exit::Conflict, format!("nothing was changed: {obstacle}")).into());
        }
        apply::demand(plan, &shown.present, &shown.me)?;
        let what = format!("make these {} changes", plan.changes.len());
        let Consent::Given = self.confirm.ask(global, &what)? else {
            return Ok(());
        };
        global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            // Somebody may have been faster than whoever was asked.
            let now = file.read_with(&client).await?;
            if now.plan != shown.plan {
                let message =
                    "nothing was changed: the fleet is not as it was when the plan was made; look again";
                return Err(Failure::new(Exit::Conflict, message).into());
            }
            let applied = apply::apply(global, &client, &now.plan).await;
            client.disconnect().await;
            applied
        })
    }
}

impl Export {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let text = global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let present = live::present(&client, &Kind::ALL.into()).await?;
            client.disconnect().await;
            Ok(write::write(&present))
        })?;
        let Some(path) = self.file else {
            return print::line(text.trim_end());
        };
        let mut options = fs::OpenOptions::new();
        let made = options.write(true).create_new(true).open(&path);
        let written = made.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
        let failed = |error| Failure::usage(format!("cannot write {}: {error}", path.display()));
        written.map_err(failed)?;
        print::note(format!("{} is written", path.display()));
        Ok(())
    }
}

/// The file, and how far it goes.
struct Source {
    name: String,
    declared: Declared,
    rest: Rest,
}

impl Source {
    fn open(path: PathBuf, prune: bool) -> Result<Source> {
        let name = path.display().to_string();
        let text = read_text(&path).map_err(|error| Failure::usage(format!("{error:#}")))?;
        if text.len() > FILE_BYTES {
            let message = format!("{name} has {} bytes, the limit is {FILE_BYTES}", text.len());
            return Err(Failure::usage(message).into());
        }
        let declared = read::read(&text).map_err(|faults| wrong(&name, &faults))?;
        let rest = if prune { Rest::Goes } else { Rest::Stays };
        Ok(Source { name, declared, rest })
    }

    fn compare(&self, global: &Global) -> Result<Comparison> {
        global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let found = self.read_with(&client).await;
            client.disconnect().await;
            found
        })
    }

    async fn read_with(&self, client: &Client) -> Result<Comparison> {
        let who = client.who();
        let kind = match who.kind {
            Whose::Integrator => Kind::Integrator,
            _ => Kind::Operator,
        };
        let me = (kind, who.id.to_string());
        let needed: BTreeSet<Kind> = live::needed(&self.declared.fleet);
        let mut present = live::present(client, &needed).await?;
        if !needed.contains(&Kind::Operator) {
            // Only to know what whoever asks may do.
            if let Ok(people) = live::present(client, &BTreeSet::from([Kind::Operator])).await {
                present.sections.extend(people.sections);
            }
        }
        let faults = references::check(&present, &self.declared, self.rest);
        if !faults.is_empty() {
            return Err(wrong(&self.name, &faults).into());
        }
        let plan = diff::plan(&present, &self.declared.fleet, self.rest, &me);
        Ok(Comparison { plan, present, me })
    }
}

fn wrong(name: &str, faults: &[Fault]) -> Failure {
    let list = faults.iter().map(|fault| print::clean(&fault.to_string()));
    let list = list.collect::<Vec<_>>().join("\n  ");
    Failure::usage(format!("{name} has {} fault(s):\n  {list}", faults.len()))
}
