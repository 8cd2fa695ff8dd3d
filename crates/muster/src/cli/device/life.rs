//! `muster device history`, `why`, `replace`, `readmit`, `attest`

use anyhow::Result;
use contract::{
    Id,
    id::ServiceName,
    names,
    v1::{
        AskWhy, Attest as Word, Changed, Evidence, HistoryShown, ReadmitDevice, ReplaceDevice, ShowHistory,
        Stage, WayStep, Why as Answer,
    },
};

use super::{
    super::{
        Global, global,
        list::Limit,
        print,
        words::{self, say},
    },
    change::last,
    many::{All, Deed, Devices},
};

#[derive(clap::Args)]
pub(crate) struct History {
    /// The device
    id: Id,
    #[command(flatten)]
    limit: Limit,
}

#[derive(clap::Args)]
pub(crate) struct Why {
    /// The device
    id: Id,
    /// Where it is to be [default: each stage in turn]
    #[arg(value_parser = words::parser::<Stage>())]
    stage: Option<Stage>,
}

#[derive(clap::Args)]
pub(crate) struct Replace {
    /// The device whose place is given on
    id: Id,
    /// The device that takes it
    successor: Id,
    /// Why; part of the record
    #[arg(long)]
    reason: String,
    /// Only if the replaced device has this version
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "VERSION")]
    expected_version: u64,
}

#[derive(clap::Args)]
pub(crate) struct Readmit {
    #[command(flatten)]
    devices: Devices,
    /// Why; part of the record
    #[arg(long)]
    reason: String,
    /// Only if the device, which is named, has this version
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "VERSION")]
    expected_version: u64,
}

#[derive(clap::Args)]
pub(crate) struct Attest {
    /// The devices unless --group or --where name them, and the check, as their type names it
    #[arg(required = true, value_names = ["DEVICE", "CHECK"], num_args = 1..)]
    words: Vec<Id>,
    #[command(flatten)]
    all: All,
    /// It did not pass
    #[arg(long)]
    failed: bool,
    /// What was seen; part of the record
    #[arg(long, default_value = "", hide_default_value = true)]
    note: String,
    /// Only if the device has this version
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "VERSION")]
    expected_version: u64,
}

impl History {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let listed = self.limit.collect(
            global,
            (ServiceName::Registry, "history"),
            |page| ShowHistory {
                device_id: self.id.to_string(),
                page_size: page.size,
                page: page.token,
                ..ShowHistory::default()
            },
            |reply: HistoryShown| (reply.entries, reply.next_page),
        )?;
        listed.print(global, &["time", "what", "from", "to", "why", "by", "cause"], row)
    }
}

fn row(entry: &Evidence) -> Vec<String> {
    vec![
        print::time(entry.at_ms),
        entry.what.clone(),
        names::typed(&entry.from),
        names::typed(&entry.to),
        reasons(entry),
        entry.actor.clone(),
        entry.cause.clone(),
    ]
}

/// What was given as the reason, and what it rested on; nothing twice.
fn reasons(entry: &Evidence) -> String {
    let grounds = entry.grounds.iter();
    let grounds = grounds.map(|(name, ground)| format!("{name}: {ground}"));
    let said = grounds.clone().any(|ground| ground.contains(&entry.reason));
    let reason = (!said).then(|| entry.reason.clone());
    let all = reason.into_iter().chain(grounds);
    all.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ")
}

impl Why {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let answers = global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let mut answers = Vec::new();
            for stage in words::all::<Stage>().filter(|stage| self.stage.is_none_or(|one| one == *stage)) {
                let request = AskWhy {
                    request_id: String::new(),
                    device_id: self.id.to_string(),
                    stage: stage.into(),
                };
                let answer: Answer = global::ask(&client, ServiceName::Registry, "why", &request).await?;
                answers.push(answer);
            }
            client.disconnect().await;
            Ok(answers)
        })?;
        match answers.as_slice() {
            answers if global.json => answers.iter().try_for_each(print::json),
            [one] => told(one),
            all => print::table(
                &["stage", "open", "by way of", "next, or in the way"],
                all.iter().map(stage).collect(),
            ),
        }
    }
}

fn told(answer: &Answer) -> Result<()> {
    print::line(&answer.summary)?;
    if answer.steps.is_empty() {
        return Ok(());
    }
    print::table(
        &["from", "to", "how", "in the way"],
        answer.steps.iter().map(step).collect(),
    )
}

/// A stage, and whether a device gets there.
fn stage(answer: &Answer) -> Vec<String> {
    let obstacles = answer
        .steps
        .iter()
        .flat_map(|step| step.obstacles.iter().cloned());
    let obstacles = obstacles.collect::<Vec<_>>().join("; ");
    let (open, next) = match answer.steps.first() {
        None if answer.present == answer.wanted => ("it is there", String::new()),
        None => ("no", "no way leads there".to_owned()),
        Some(first) if obstacles.is_empty() => ("yes", first.how.clone()),
        Some(_) => ("no", obstacles),
    };
    let between = answer.steps.iter().skip(1);
    let between: Vec<_> = between.map(|step| say(step.from())).collect();
    vec![say(answer.wanted()), open.to_owned(), between.join(", "), next]
}

fn step(step: &WayStep) -> Vec<String> {
    vec![
        say(step.from()),
        say(step.to()),
        step.how.clone(),
        step.obstacles.join("; "),
    ]
}

impl Replace {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let request = ReplaceDevice {
            request_id: String::new(),
            device_id: self.id.to_string(),
            successor_id: self.successor.to_string(),
            reason: self.reason,
            expected_version: self.expected_version,
        };
        let changed: Changed = global.ask(ServiceName::Registry, "replace", &request)?;
        super::changed(global, &changed)
    }
}

impl Readmit {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let request = |device_id| ReadmitDevice {
            request_id: String::new(),
            device_id,
            reason: self.reason.clone(),
            expected_version: self.expected_version,
        };
        let deed = Deed {
            verb: "readmit",
            before: "take",
            after: "back",
            grave: true,
        };
        self.devices.each(global, deed, self.expected_version, request)
    }
}

impl Attest {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let (ids, check) = last(self.words, |word| Ok(word.to_owned()))?;
        let request = |device_id| Word {
            request_id: String::new(),
            device_id,
            check: check.clone(),
            passed: !self.failed,
            note: self.note.clone(),
            expected_version: self.expected_version,
        };
        let deed = Deed {
            before: "attest a check of",
            ..Deed::plain("attest")
        };
        self.all.each(global, (deed, ids), self.expected_version, request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_that_the_grounds_say_is_told_once() {
        let entry = |reason: &str| Evidence {
            reason: reason.into(),
            grounds: [("check".to_owned(), "self-test passed".to_owned())].into(),
            ..Evidence::default()
        };
        assert_eq!(reasons(&entry("self-test passed")), "check: self-test passed");
        assert_eq!(
            reasons(&entry("new bearing")),
            "new bearing; check: self-test passed"
        );
        assert_eq!(reasons(&entry("")), "check: self-test passed");
        assert_eq!(reasons(&Evidence::default()), "");
    }
}
