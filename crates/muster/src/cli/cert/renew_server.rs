//! `muster cert renew-server`

use anyhow::Result;
use contract::{
    id::ServiceName,
    v1::{self, ServerRenewed},
};

use super::super::{
    Global,
    confirm::{Confirm, Consent},
    print,
};

#[derive(clap::Args)]
pub(in crate::cli) struct RenewServer {
    /// A name or an address under which the server is reached; may be given several times
    /// [default: those of its present certificate]. The machine's own (localhost, 127.0.0.1, ::1) are named along
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<String>,
    #[command(flatten)]
    confirm: Confirm,
}

impl RenewServer {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        if let Some(what) = self.what()
            && self.confirm.ask(global, &what)? == Consent::NotWanted
        {
            return Ok(());
        }
        let request = v1::RenewServer {
            request_id: String::new(),
            hosts: self.hosts,
        };
        let renewed: ServerRenewed = global.ask(ServiceName::Provisioning, "renew-server", &request)?;
        if global.json {
            return print::json(&renewed);
        }
        print::fields(&[
            ("serial", renewed.serial.clone()),
            ("ends", print::time(renewed.not_after_ms)),
            ("hosts", renewed.hosts.join(", ")),
            ("replaced", renewed.replaced.join(", ")),
        ])
    }

    /// What is to be agreed to: other names shut out whoever uses the former ones.
    fn what(&self) -> Option<String> {
        match (self.hosts.is_empty(), self.confirm.only_says()) {
            (true, false) => None,
            (true, true) => Some("renew the server's certificate".into()),
            (false, _) => Some(format!(
                "renew the server's certificate for {}, for this machine's own names ({}), and for no other",
                self.hosts.join(", "),
                pki::HERE.join(", ")
            )),
        }
    }
}
