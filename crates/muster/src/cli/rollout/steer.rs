//! `muster rollout pause`, `resume` and `abort`

use anyhow::Result;
use contract::{
    Id,
    id::ServiceName,
    v1::{Changed, SteerRollout},
};

use super::super::{
    Global,
    confirm::{Confirm, Consent},
    print,
};

#[derive(clap::Args)]
pub(in crate::cli) struct Steer {
    /// The rollout
    id: Id,
    /// Why; part of the record
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    /// Only if the rollout has this version
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "VERSION")]
    expected_version: u64,
}

#[derive(clap::Args)]
pub(in crate::cli) struct Abort {
    #[command(flatten)]
    steer: Steer,
    #[command(flatten)]
    confirm: Confirm,
}

impl Steer {
    pub(super) fn run(self, global: &Global, verb: &str) -> Result<()> {
        let request = SteerRollout {
            request_id: String::new(),
            rollout_id: self.id.to_string(),
            reason: self.reason,
            expected_version: self.expected_version,
        };
        let changed: Changed = global.ask(ServiceName::Rollout, verb, &request)?;
        print::changed(global.json, &changed)
    }
}

impl Abort {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let Consent::Given = self
            .confirm
            .ask(global, &format!("abort the rollout {} for good", self.steer.id))?
        else {
            return Ok(());
        };
        self.steer.run(global, "abort")
    }
}
