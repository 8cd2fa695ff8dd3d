//! `muster recover`

use std::path::{Path, PathBuf};

use anyhow::Result;
use contract::Id;

use super::{
    Global,
    cert::home::Home,
    confirm::{Confirm, Consent},
    init::all_hosts,
    print,
};
use crate::config::Config;
use crate::recover::{self, Recovered};

/// Get back in when every admin's certificate is lost, or the server's own.
#[derive(clap::Subcommand)]
pub(super) enum Recover {
    /// Make an operator an admin, with a new certificate, while Muster is stopped
    ///
    /// Needs nobody's leave but the folder's: run it as the user whose the state folder is, who can also open
    /// the issuing CA's key. It stands in the event logs as done by services/recovery. The former certificates
    /// of this operator stay valid: revoke them afterwards if they may be in wrong hands.
    #[command(after_help = "Examples:
  systemctl stop muster
  sudo -u muster muster --dir /var/lib/muster recover operator
  muster recover operator ada --passphrase-file pass.txt --out /root/ada --yes")]
    Operator(Operator),
    /// Make the server another key and certificate, while Muster is stopped
    ///
    /// For when `pki/server.key` or `pki/server.pem` is lost or of no use. Nothing else is touched: devices trust the root, and
    /// the issuing CA signs the new one. It stands in provisioning's event log as done by services/recovery.
    #[command(after_help = "Examples:
  systemctl stop muster
  sudo -u muster muster --dir /var/lib/muster recover server
  muster recover server --host muster.example.com --yes")]
    Server(Server),
}

#[derive(clap::Args)]
pub(super) struct Server {
    /// A name or address under which devices reach the server [default: those of pki/server.pem]
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<String>,
    /// Read the passphrase of the CA keys from the first line of this file [default: pki.passphrase_file]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    confirm: Confirm,
}

#[derive(clap::Args)]
pub(super) struct Operator {
    /// The operator; made if there is none of this id
    #[arg(default_value = "admin")]
    id: Id,
    /// Read the passphrase of the CA keys from the first line of this file [default: pki.passphrase_file]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Where the identity is written [default: FOLDER/people/ID]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    #[command(flatten)]
    confirm: Confirm,
}

impl Recover {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Recover::Operator(command) => command.run(global),
            Recover::Server(command) => command.run(global),
        }
    }
}

/// The configuration, with the passphrase of a file that was given.
fn configured(global: &Global, passphrase_file: Option<&Path>) -> Result<Config> {
    let mut config = global.config()?;
    if let Some(file) = passphrase_file {
        let here = std::env::current_dir()?;
        config.passphrase_file = Some(crate::passphrase::resolved(&here, file));
    }
    Ok(config)
}

impl Server {
    fn run(self, global: &Global) -> Result<()> {
        let config = configured(global, self.passphrase_file.as_deref())?;
        let what = "give the server another key and certificate";
        let Consent::Given = self.confirm.ask(global, what)? else {
            return Ok(());
        };
        let named = match self.hosts.is_empty() {
            true => Vec::new(),
            false => all_hosts(self.hosts),
        };
        let recovered = recover::server(&config, &named)?;
        let (serial, hosts) = (&recovered.issued.serial_hex, &recovered.hosts);
        if global.json {
            return print::json(&serde_json::json!({ "serial": serial, "hosts": hosts }));
        }
        print::fields(&[("serial", serial.clone()), ("hosts", hosts.join(", "))])?;
        print::line("next: start Muster")
    }
}

impl Operator {
    fn run(self, global: &Global) -> Result<()> {
        let config = configured(global, self.passphrase_file.as_deref())?;
        let default = || global.folder().person(self.id.as_str(), "");
        let home = Home::at(self.out.clone().unwrap_or_else(default));
        let what = format!(
            "make the operator `{}` an admin, with a new identity in {}",
            self.id,
            home.path().display()
        );
        let Consent::Given = self.confirm.ask(global, &what)? else {
            return Ok(());
        };
        let key = home.stage_key()?;
        let recovered = match recover::operator(&config, &self.id, key.pem()) {
            Ok(recovered) => recovered,
            Err(error) => {
                home.discard(&key)?;
                return Err(error);
            }
        };
        home.fill(&key, &recovered.chain, &recovered.roots)?;
        self.say(global, &home, &recovered)
    }

    fn say(&self, global: &Global, home: &Home, recovered: &Recovered) -> Result<()> {
        let issued = &recovered.issued;
        if global.json {
            return print::json(&serde_json::json!({
                "operator": self.id.as_str(), "serial": issued.serial_hex, "folder": home.path(),
            }));
        }
        print::fields(&[
            ("operator", format!("{}, an admin", self.id)),
            ("serial", issued.serial_hex.clone()),
            ("folder", home.path().display().to_string()),
        ])?;
        print::line("next: start Muster, and revoke what may be in wrong hands:")?;
        print::line(format!("  muster cert list --kind operator --id {}", self.id))
    }
}
