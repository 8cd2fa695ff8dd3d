//! `muster init`

use std::path::{Path, PathBuf};

use anyhow::Result;
use zeroize::Zeroizing;

use super::{
    Global,
    ca::{CaKey, Permit, say_asked},
    print,
};
use crate::{
    exit::Failure,
    folder::{read_secret, read_text},
    init::{self, Founding, Plans},
    passphrase,
};

/// Make an installation: certificate authorities, first operator, configuration.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  muster init --host muster.example.com --passphrase-file pass.txt\n  muster --dir ./try init --unencrypted\n  muster init --passphrase-file pass.txt --root-offline\n  muster init --passphrase-file pass.txt --ca chain.pem --ca-private-key issuing.key"
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
    /// Read the passphrase of the CA keys from the first line of this file, or from fd:N, credential:NAME, env:NAME
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Keep the CA keys unencrypted
    #[arg(long, conflicts_with = "passphrase_file")]
    unencrypted: bool,
    /// The kind of the CAs' keys; devices choose their own
    #[arg(long, value_name = "KIND", value_enum, default_value_t, conflicts_with = "ca")]
    ca_key: CaKey,
    #[command(flatten)]
    permit: Permit,
    /// The root stays elsewhere: make the request for an issuing CA; `muster ca import` of its answer ends the work
    #[arg(long, conflicts_with = "ca")]
    root_offline: bool,
    /// Use an issuing CA of your own: its certificate followed by its root's, PEM. The root's key is not needed
    #[arg(long, value_name = "FILE", requires = "ca_private_key")]
    ca: Option<PathBuf>,
    /// The private key of that CA, PKCS #8 in PEM, unencrypted; a file that nobody else may read
    #[arg(long, value_name = "FILE", requires = "ca")]
    ca_private_key: Option<PathBuf>,
}

fn host(text: &str) -> Result<String, String> {
    let host = pki::Host::parse(text).map(|_| text.to_owned());
    host.ok_or_else(|| "neither a DNS name nor an IP address".to_owned())
}

/// What the server's certificate names, each once.
pub(in crate::cli) fn all_hosts(mut hosts: Vec<String>) -> Vec<String> {
    for here in pki::HERE {
        if !hosts.iter().any(|host| host.eq_ignore_ascii_case(here)) {
            hosts.push(here.to_owned());
        }
    }
    hosts
}

/// The CA that was brought, or those that are to be made.
fn founding(brought: Option<(&Path, &Path)>, kind: CaKey) -> Result<Founding> {
    let Some((chain, key)) = brought else {
        return Ok(Founding::Made(kind.into()));
    };
    let key_pem = String::from_utf8(read_secret(key)?)
        .map_err(|_| Failure::usage(format!("the key in {} is no PEM", key.display())))?;
    Ok(Founding::Brought {
        chain_pem: read_text(chain)?,
        key_pem: Zeroizing::new(key_pem),
    })
}

impl Init {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let permitted = self.permit.subtrees();
        if !permitted.is_empty() && (self.root_offline || self.ca.is_some()) {
            let message =
                "the root's holder says what the issuing CA may name: give this to `muster ca root sign`";
            return Err(Failure::usage(message).into());
        }
        // Before anybody thinks of a passphrase.
        init::refuse_taken(&global.folder())?;
        let own = init::new_passphrase(self.passphrase_file.as_deref(), self.unencrypted)?;
        let source = self.passphrase_file.as_deref().map(passphrase::for_server);
        let plans = Plans {
            site: self.site.to_string(),
            hosts: all_hosts(self.hosts),
            operator: self.operator.to_string(),
            passphrase: own,
            authorities: match self.root_offline {
                true => Founding::Offline(self.ca_key.into()),
                false => founding(
                    self.ca.as_deref().zip(self.ca_private_key.as_deref()),
                    self.ca_key,
                )?,
            },
            passphrase_file: source.transpose()?.flatten(),
            permitted,
            settings: String::new(),
        };
        let folder = global.folder();
        if let Founding::Offline(key) = plans.authorities {
            return say_asked(global, &init::ask_root(&folder, &plans, key)?);
        }
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
        print::line(match plans.authorities {
            Founding::Made(_) => {
                "keep pki/root.key and release/release.key somewhere safe; the server needs neither"
            }
            Founding::Brought { .. } | Founding::Offline(_) => {
                "keep release/release.key somewhere safe; the server needs it as little as your root's key"
            }
        })?;
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
