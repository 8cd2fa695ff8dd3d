//! `muster cert renew`

use anyhow::Result;
use contract::{Id, v1::RenewMany};

use super::{
    super::{
        Global,
        confirm::{Confirm, Consent},
    },
    renew_all::begin,
};

#[derive(clap::Args)]
pub(in crate::cli) struct Renew {
    /// The devices
    #[arg(required = true, value_name = "DEVICE")]
    devices: Vec<Id>,
    /// Why; the events and the audit log tell it
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    /// Wait until all have renewed, and say how far it is
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    confirm: Confirm,
}

impl Renew {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let device_ids: Vec<_> = self.devices.iter().map(Id::to_string).collect();
        let what = format!("have {} renew", device_ids.join(", "));
        let Consent::Given = self.confirm.ask(global, &what)? else {
            return Ok(());
        };
        let request = RenewMany {
            device_ids,
            reason: self.reason,
            ..RenewMany::default()
        };
        begin(global, &request, self.watch)
    }
}
