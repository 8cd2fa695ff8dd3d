//! `muster ca activate`

use anyhow::{Context, Result};
use serde_json::json;

use super::{
    super::{
        Global,
        confirm::{Confirm, Consent},
        print,
    },
    FOLLOWS,
};
use crate::{
    authorities::{Lock, Register},
    folder::demand_owner,
    up::keys,
};

#[derive(clap::Args)]
pub(in crate::cli) struct Activate {
    /// The issuing CA, as `muster ca list` names it
    id: String,
    #[command(flatten)]
    confirm: Confirm,
}

impl Activate {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let config = global.config()?;
        demand_owner(&config.folder.pki(""))?;
        let _lock = Lock::take(&config.folder)?;
        let mut register = Register::read(&config.folder)?;
        let former = register.active()?.id.clone();
        register.activate(&self.id)?;
        // A server that could not open it would not start.
        keys::open(&config, &self.id).with_context(|| format!("{} cannot sign", self.id))?;
        let what = format!("let {} sign in place of {former}", self.id);
        if self.confirm.ask(global, &what)? == Consent::NotWanted {
            return Ok(());
        }
        register.write(&config.folder)?;
        if global.json {
            return print::json(&json!({ "active": self.id, "retiring": former }));
        }
        print::line(format!(
            "{} signs, and {former} stays trusted; {FOLLOWS}",
            self.id
        ))
    }
}
