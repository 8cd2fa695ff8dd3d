//! `muster store repair`

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use contract::id::ServiceName;
use store::{Lost, Plan, Repaired};

use super::{
    super::{
        Global,
        confirm::{Confirm, Consent},
        print,
    },
    look::Found,
    place::{Place, Services, kind, told},
    put_back::Sources,
    verify::IMAGES,
};
use crate::exit::{Exit, Failure};

#[derive(clap::Args)]
pub(in crate::cli) struct Repair {
    #[command(flatten)]
    services: Services,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    confirm: Confirm,
}

impl Repair {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let mut damaged = Vec::new();
        for place in self.services.find(global)? {
            let mut found = Found::of(&place)?;
            if found.is_sound() {
                sound(global, place.name)?;
                continue;
            }
            if found.rows.damaged > 0 {
                if !self.records(global, &place)? {
                    continue;
                }
                found = Found::of(&place)?;
            }
            let stay = self.sources.put_back(global, &self.confirm, &place, &found)?;
            damaged.extend(stay.into_iter().map(|what| format!("{}: {what}", place.name)));
        }
        if damaged.is_empty() {
            return Ok(());
        }
        let list = damaged.join("\n  ");
        Err(Failure::new(Exit::Damaged, format!("still damaged:\n  {list}\n{IMAGES}")).into())
    }

    /// Whether the database was written anew.
    fn records(&self, global: &Global, place: &Place) -> Result<bool> {
        let class = |key: &[u8]| kind(place.name, key);
        let repair = |plan| {
            place
                .store
                .repair(plan, &class)
                .map_err(|error| told(place.name, error))
        };
        say(global, place, &repair(Plan::Try)?, Told::Before)?;
        let what = format!("put what can be read of the {} database in its place", place.name);
        let Consent::Given = self.confirm.ask(global, &what)? else {
            return Ok(false);
        };
        say(global, place, &repair(Plan::Replace(now()?))?, Told::After)?;
        Ok(true)
    }
}

/// Whether it is told what would come of it or what did.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Before,
    After,
}

#[allow(
    clippy::disallowed_methods,
    reason = "the name of what is kept; nothing is decided by it"
)]
fn now() -> Result<u64> {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock is before 1970")?;
    Ok(since.as_secs())
}

fn sound(global: &Global, name: ServiceName) -> Result<()> {
    if global.json {
        return print::json(&serde_json::json!({ "service": name.word(), "sound": true }));
    }
    print::line(format!("{name}: sound, nothing to repair"))
}

fn say(global: &Global, place: &Place, done: &Repaired, told: Told) -> Result<()> {
    let lost = losses(&done.lost);
    if global.json {
        return print::json(&serde_json::json!({
            "service": place.name.word(), "sound": false, "done": told == Told::After, "records": done.rows,
            "commits_from_logs": done.commits, "lost": lost, "lost_keys": done.lost.keys,
            "nothing_lost": done.lost.is_nothing(), "new_epoch": done.epoch.is_some(), "kept": done.kept,
        }));
    }
    let lead = match told {
        Told::Before => "can be read",
        Told::After => "are in the repaired database",
    };
    print::line(format!(
        "{}: {} records {lead}, {} commits of them from the redo logs",
        place.name, done.rows, done.commits
    ))?;
    if lost.is_empty() {
        print::line("  nothing is lost")?;
    }
    lost.iter()
        .try_for_each(|loss| print::line(format!("  lost: {}", print::clean(loss))))?;
    let keys = done.lost.keys.iter();
    keys.map(|key| format!("  lost: the record {}", print::clean(key)))
        .try_for_each(print::line)?;
    if done.epoch.is_some() {
        print::line("  it begins a new history: whoever follows it fetches everything anew")?;
    }
    if let Some(kept) = &done.kept {
        print::line(format!("  the damaged one is kept in {}", kept.display()))?;
    }
    Ok(())
}

/// What is lost, in words.
fn losses(lost: &Lost) -> Vec<String> {
    let classes = lost
        .classes
        .iter()
        .map(|(class, rows)| format!("{rows} damaged: {class}"));
    let mut all: Vec<_> = classes.chain(lost.gaps.iter().cloned()).collect();
    all.extend(
        lost.unreadable
            .iter()
            .map(|why| format!("all that was only in the database, which does not open: {why}")),
    );
    match lost.missing {
        Some(0) => {}
        Some(rows) => all.push(format!("{rows} records that were in the database")),
        None => all.push("it is not known how many records of the database".to_owned()),
    }
    if lost.commits > 0 {
        all.push(format!(
            "{} acknowledged commits that were only in the redo logs",
            lost.commits
        ));
    }
    all
}
