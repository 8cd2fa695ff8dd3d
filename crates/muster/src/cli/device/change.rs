//! `muster device change`, `move`, `suspend`, `quarantine`, `release`, `retire`

use std::time::Duration;

use anyhow::Result;
use contract::{
    Id,
    id::ServiceName,
    v1::{ChangeDevice, Changed, Criticality, MoveDevice, RestrictDevice, RetireDevice, Stage},
};

use super::super::{
    Global,
    confirm::{Confirm, Consent},
    words,
};
use crate::exit::Failure;

#[derive(clap::Args)]
pub(crate) struct Change {
    /// The device
    id: Id,
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
    /// Only if the device has this version
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "VERSION")]
    expected_version: u64,
}

#[derive(clap::Args)]
pub(crate) struct Move {
    /// The device
    id: Id,
    /// The stage to enter
    #[arg(value_parser = words::parser::<Stage>())]
    stage: Stage,
    #[command(flatten)]
    why: Why,
}

#[derive(clap::Args)]
pub(crate) struct Restrict {
    /// The device
    id: Id,
    #[command(flatten)]
    why: Why,
}

#[derive(clap::Args)]
pub(crate) struct Retire {
    /// The device
    id: Id,
    #[command(flatten)]
    why: Why,
    /// How long to wait for the device's receipt [default: the installation's]
    #[arg(long, value_parser = humantime::parse_duration, value_name = "TIME")]
    wait: Option<Duration>,
    #[command(flatten)]
    confirm: Confirm,
}

#[derive(clap::Args)]
struct Why {
    /// Why; part of the record
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    /// Only if the device has this version
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
        let request = ChangeDevice {
            request_id: String::new(),
            device_id: self.id.to_string(),
            expected_version: self.expected_version,
            name: self.name,
            owner: self.owner,
            site: self.site,
            criticality: self.criticality.unwrap_or_default().into(),
            set: self.fields.set.into_iter().collect(),
        };
        let changed: Changed = global.ask(ServiceName::Registry, "change", &request)?;
        super::changed(global, &changed)
    }
}

impl Move {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let request = MoveDevice {
            request_id: String::new(),
            device_id: self.id.to_string(),
            stage: self.stage.into(),
            reason: self.why.reason,
            expected_version: self.why.expected_version,
        };
        let changed: Changed = global.ask(ServiceName::Registry, "move", &request)?;
        super::changed(global, &changed)
    }
}

impl Restrict {
    pub(super) fn run(self, global: &Global, verb: &str) -> Result<()> {
        let request = RestrictDevice {
            request_id: String::new(),
            device_id: self.id.to_string(),
            reason: self.why.reason,
            expected_version: self.why.expected_version,
        };
        let changed: Changed = global.ask(ServiceName::Registry, verb, &request)?;
        super::changed(global, &changed)
    }
}

impl Retire {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let Consent::Given = self
            .confirm
            .ask(global, &format!("retire {} for good", self.id))?
        else {
            return Ok(());
        };
        let wait = self.wait.unwrap_or_default().as_millis();
        let request = RetireDevice {
            request_id: String::new(),
            device_id: self.id.to_string(),
            reason: self.why.reason,
            expected_version: self.why.expected_version,
            wait_ms: u64::try_from(wait).unwrap_or(u64::MAX),
        };
        let changed: Changed = global.ask(ServiceName::Registry, "retire", &request)?;
        super::changed(global, &changed)
    }
}
