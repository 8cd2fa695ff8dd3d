//! `muster ca new`

use std::path::PathBuf;

use anyhow::{Context, Result};
use host::clock::wall_ms;
use pki::{Authority, Charter, NewAuthority, PublicKey, Serial};
use serde_json::json;

use super::{
    super::{Global, print},
    CaKey, FOLLOWS, Permit,
    root_files::RootFiles,
};
use crate::{
    authorities::{Lock, Register},
    config::Config,
    exit::Failure,
    folder::{demand_owner, write_public, write_secret},
    init::{self, ISSUING_LIFETIME_MS},
    up::keys,
    waiting::{self, Asked},
};

#[derive(clap::Args)]
pub(in crate::cli) struct New {
    /// The root's key [default: pki/root.key in the installation's folder; without it, a request is written]
    #[arg(long, value_name = "FILE")]
    root_key: Option<PathBuf>,
    /// Read the root key's passphrase from the first line of this file [default: ask for it]
    #[arg(long, value_name = "FILE")]
    root_passphrase_file: Option<PathBuf>,
    /// The kind of the new CA's key [default: p256]
    #[arg(long, value_name = "KIND", value_enum)]
    key: Option<CaKey>,
    #[command(flatten)]
    permit: Permit,
}

impl New {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let config = global.config()?;
        demand_owner(&config.folder.pki(""))?;
        let _lock = Lock::take(&config.folder)?;
        let mut register = Register::read(&config.folder)?;
        let key = self.root_key.clone();
        let root = RootFiles {
            key: key.unwrap_or_else(|| config.folder.pki("root.key")),
            certificate: config.folder.pki("root.pem"),
        };
        if self.root_key.is_none() && !root.key.exists() {
            return self.ask(global, &config);
        }
        let root = root
            .open(self.root_passphrase_file.as_deref())
            .context("the root's key signs the new CA: give --root-key FILE")?
            .authority;
        let kind = self.key.unwrap_or_default().into();
        let key_pem = pki::generate_key(kind)?;
        let chain_pem = pki::certify_issuing(
            &root,
            &PublicKey::of_private(&key_pem)?,
            &Charter {
                site: &config.site,
                key: kind,
                serial: Serial::from_random(rand::random()),
                now_ms: wall_ms(),
                lifetime_ms: ISSUING_LIFETIME_MS,
            },
            &self.permit.subtrees(),
        )?;
        let made = NewAuthority { chain_pem, key_pem };
        let authority = Authority::open(&made.chain_pem, &made.key_pem, wall_ms())?;
        let id = authority.id();
        register.publish(&id)?;
        write(&config, &id, &made)?;
        register.write(&config.folder)?;
        if global.json {
            return print::json(&json!({ "id": id, "state": "published" }));
        }
        print::line(format!(
            "made the issuing CA {id}: trusted, and signing nothing yet; {FOLLOWS}"
        ))?;
        print::line(format!("then let it sign: muster ca activate {id}"))
    }

    /// Writes the request for the next one, for whoever holds the root.
    fn ask(&self, global: &Global, config: &Config) -> Result<()> {
        if !self.permit.subtrees().is_empty() {
            let message = "the root's holder says what may be named: give this to `muster ca root sign`";
            return Err(Failure::usage(message).into());
        }
        let passphrase = keys::issuing_passphrase(config)?;
        let kind = self.key.map(Into::into);
        let asked = waiting::ask(&config.folder, &config.site, kind, passphrase.as_ref())?;
        say_asked(global, &asked)
    }
}

/// What is said of a request that was written, here and by `muster init`.
pub(in crate::cli) fn say_asked(global: &Global, asked: &Asked) -> Result<()> {
    if global.json {
        return print::json(&json!({ "request": asked.request, "key": asked.fingerprint }));
    }
    print::line("the root's key is not here: a request for it is written")?;
    print::fields(&[
        ("request", asked.request.display().to_string()),
        ("key's fingerprint", asked.fingerprint.clone()),
    ])?;
    print::line(
        "next, where the root is: muster ca root sign --offline --root-folder FOLDER REQUEST ANSWER",
    )?;
    print::line("then here: muster ca import ANSWER")
}

/// The key is sealed as the one that signs now is: one passphrase opens all that the server needs.
fn write(config: &Config, id: &str, made: &NewAuthority) -> Result<()> {
    let passphrase = keys::issuing_passphrase(config)?;
    let sealed = pki::seal_key(&made.key_pem, &init::protection(passphrase.as_ref()))?;
    write_secret(&config.folder.pki(&format!("issuing-{id}.key")), &sealed)?;
    write_public(
        &config.folder.pki(&format!("issuing-{id}.pem")),
        made.chain_pem.as_bytes(),
    )
}
