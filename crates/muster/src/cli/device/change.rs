//! `muster device change`, `move`, `suspend`, `quarantine`, `release`, `retire`

use std::time::Duration;

use anyhow::Result;
use contract::{
    Id,
    v1::{ChangeDevice, Criticality, MoveDevice, RestrictDevice, RetireDevice, Stage},
};

use super::{
    super::{Global, words},
    many::{All, Deed, Devices},
};
use crate::exit::Failure;

#[derive(clap::Args)]
pub(crate) struct Change {
    #[command(flatten)]
    devices: Devices,
    /// A name for people; empty removes it
    #[arg(long)]
    name: Option<String>,
    /// Who answers for it; empty removes it
    #[arg(long)]
    owner: Option<String>,
    /// Where it is; empty removes it
    #[arg(long)]
    site: Option<String>,
    /// How much depends on it
    #[arg(long, value_parser = words::parser::<Criticality>())]
    criticality: Option<Criticality>,
    #[command(flatten)]
    fields: super::Fields,
    /// Only if the device, which is named, has this version
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "VERSION")]
    expected_version: u64,
}

#[derive(clap::Args)]
pub(crate) struct Move {
    /// The devices unless --group or --where name them, and the stage to enter
    #[arg(required = true, value_names = ["DEVICE", "STAGE"], num_args = 1..)]
    words: Vec<Id>,
    #[command(flatten)]
    all: All,
    #[command(flatten)]
    why: Why,
}

#[derive(clap::Args)]
pub(crate) struct Restrict {
    #[command(flatten)]
    devices: Devices,
    #[command(flatten)]
    why: Why,
}

#[derive(clap::Args)]
pub(crate) struct Retire {
    #[command(flatten)]
    devices: Devices,
    #[command(flatten)]
    why: Why,
    /// How long to wait for the device's receipt [default: the installation's]
    #[arg(long, value_parser = humantime::parse_duration, value_name = "TIME")]
    wait: Option<Duration>,
}

#[derive(clap::Args)]
struct Why {
    /// Why; part of the record
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    /// Only if the device, which is named, has this version
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "VERSION")]
    expected_version: u64,
}

impl Change {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let given = [&self.name, &self.owner, &self.site]
            .into_iter()
            .any(Option::is_some);
        if !given && self.criticality.is_none() && self.fields.set.is_empty() {
            return Err(Failure::usage("give --name, --owner, --site, --criticality or --set").into());
        }
        let set: std::collections::BTreeMap<_, _> = self.fields.set.into_iter().collect();
        let request = |device_id| ChangeDevice {
            request_id: String::new(),
            device_id,
            expected_version: self.expected_version,
            name: self.name.clone(),
            owner: self.owner.clone(),
            site: self.site.clone(),
            criticality: self.criticality.unwrap_or_default().into(),
            set: set.clone(),
            dry_run: false,
        };
        let deed = Deed::plain("change");
        self.devices.each(global, deed, self.expected_version, request)
    }
}

/// The last word of several is no device.
pub(super) fn last<T>(mut words: Vec<Id>, read: impl Fn(&str) -> Result<T>) -> Result<(Vec<Id>, T)> {
    let word = words.pop().map(|word| word.to_string()).unwrap_or_default();
    Ok((words, read(&word)?))
}

impl Move {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let (ids, stage) = last(self.words, |word| {
            words::find::<Stage>(word).ok_or_else(|| {
                let stages = words::list::<Stage>();
                Failure::usage(format!("`{word}` is no stage; the last word is one of {stages}")).into()
            })
        })?;
        let request = |device_id| MoveDevice {
            request_id: String::new(),
            device_id,
            stage: stage.into(),
            reason: self.why.reason.clone(),
            expected_version: self.why.expected_version,
        };
        let deed = Deed::plain("move");
        self.all
            .each(global, (deed, ids), self.why.expected_version, request)
    }
}

impl Restrict {
    pub(super) fn run(self, global: &Global, verb: &'static str) -> Result<()> {
        let request = |device_id| RestrictDevice {
            request_id: String::new(),
            device_id,
            reason: self.why.reason.clone(),
            expected_version: self.why.expected_version,
        };
        self.devices
            .each(global, Deed::plain(verb), self.why.expected_version, request)
    }
}

impl Retire {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let wait = self.wait.unwrap_or_default().as_millis();
        let request = |device_id| RetireDevice {
            request_id: String::new(),
            device_id,
            reason: self.why.reason.clone(),
            expected_version: self.why.expected_version,
            wait_ms: u64::try_from(wait).unwrap_or(u64::MAX),
        };
        let deed = Deed {
            verb: "retire",
            before: "retire",
            after: "for good",
            grave: true,
        };
        self.devices
            .each(global, deed, self.why.expected_version, request)
    }
}
