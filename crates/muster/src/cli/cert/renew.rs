//! `muster cert renew`

use anyhow::Result;
use contract::{Id, v1::RenewMany};

use super::{
    super::{Global, confirm::Consent},
    renew_all::{Order, begin},
};

#[derive(clap::Args)]
pub(in crate::cli) struct Renew {
    /// The devices
    #[arg(required = true, value_name = "DEVICE")]
    devices: Vec<Id>,
    #[command(flatten)]
    order: Order,
}

impl Renew {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let device_ids: Vec<_> = self.devices.iter().map(Id::to_string).collect();
        let what = format!("have {} renew", device_ids.join(", "));
        let Consent::Given = self.order.confirm.ask(global, &what)? else {
            return Ok(());
        };
        let request = RenewMany {
            device_ids,
            reason: self.order.reason,
            ..RenewMany::default()
        };
        begin(global, &request, self.order.watch)
    }
}
