//! `muster init`

use std::path::PathBuf;

use anyhow::Result;

use super::{Global, ca::CaKey, print};
use crate::init::{self, Plans};

/// Make an installation: certificate authorities, first operator, configuration.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  muster init --host muster.example.com --passphrase-file pass.txt\n  muster --dir ./try init --unencrypted"
)]
pub(super) struct Init {
    /// The installation's name: part of every certificate and event
    #[arg(long, default_value = "muster")]
    site: contract::Id,
    /// A name or address under which devices reach the server; may be given several times. This machine is
    /// always among them: localhost, 127.0.0.1, ::1
    #[arg(long = "host", value_name = "HOST", value_parser = host)]
    hosts: Vec<String>,
    /// The first operator's id
    #[arg(long, default_value = "admin")]
    operator: contract::Id,
    /// Read the passphrase of the CA keys from the first line of this file
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Keep the CA keys unencrypted
    #[arg(long, conflicts_with = "passphrase_file")]
    unencrypted: bool,
    /// The kind of the CAs' keys; devices choose their own
    #[arg(long, value_name = "KIND", value_enum, default_value_t)]
    ca_key: CaKey,
}

/// Names of this machine, so that the command line reaches the server from here.
const HERE: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

fn host(text: &str) -> Result<String, String> {
    let host = pki::Host::parse(text).map(|_| text.to_owned());
    host.ok_or_else(|| "neither a DNS name nor an IP address".to_owned())
}

/// What the server's certificate names, each once.
fn all_hosts(mut hosts: Vec<String>) -> Vec<String> {
    for here in HERE {
        if !hosts.iter().any(|host| host.eq_ignore_ascii_case(here)) {
            hosts.push(here.to_owned());
        }
    }
    hosts
}

impl Init {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let passphrase = match &self.passphrase_file {
            _ if self.unencrypted => None,
            Some(file) => Some(init::read_passphrase(file)?),
            None => Some(init::ask_passphrase()?),
        };
        let mut settings = String::new();
        if let Some(file) = &self.passphrase_file {
            let file = std::path::absolute(file)?;
            settings = format!("\n[pki]\npassphrase_file = {:?}\n", file.display().to_string());
        }
        let plans = Plans {
            site: self.site.to_string(),
            hosts: all_hosts(self.hosts),
            operator: self.operator.to_string(),
            passphrase,
            ca_key: self.ca_key.into(),
            settings,
        };
        let folder = global.folder();
        init::init(&folder, &plans)?;
        if global.json {
            return print::json(&serde_json::json!({ "folder": folder.path(), "operator": plans.operator }));
        }
        let path = folder.path().display();
        print::line(format!("made an installation in {path}"))?;
        print::fields(&[
            ("configuration", folder.config().display().to_string()),
            ("root CA", folder.pki("root.pem").display().to_string()),
            (
                "operator",
                folder.person(&plans.operator, "").display().to_string(),
            ),
            ("release key", folder.release("release.key").display().to_string()),
        ])?;
        print::line("keep pki/root.key and release/release.key somewhere safe; the server needs neither")?;
        print::line(format!("next: muster --dir {path} up"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_can_always_be_reached_from_here() {
        let hosts = all_hosts(vec!["muster.example.com".into(), "LOCALHOST".into()]);
        assert_eq!(hosts, ["muster.example.com", "LOCALHOST", "127.0.0.1", "::1"]);
        assert!(host("a b").is_err() && host("10.0.0.7").is_ok());
    }
}
