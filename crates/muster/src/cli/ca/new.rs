//! `muster ca new`

use std::path::PathBuf;

use anyhow::{Context, Result};
use host::clock::wall_ms;
use pki::{Authority, Charter, NewAuthority, Serial};
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    super::{Global, print},
    CaKey, FOLLOWS,
};
use crate::{
    authorities::{Lock, Register},
    config::Config,
    exit::Failure,
    folder::{demand_owner, read_secret, read_text, write_public, write_secret},
    init::{self, ISSUING_LIFETIME_MS},
    up::keys,
};

#[derive(clap::Args)]
pub(in crate::cli) struct New {
    /// The root's key [default: pki/root.key in the installation's folder]
    #[arg(long, value_name = "FILE")]
    root_key: Option<PathBuf>,
    /// Read the root key's passphrase from the first line of this file [default: ask for it]
    #[arg(long, value_name = "FILE")]
    root_passphrase_file: Option<PathBuf>,
    /// The kind of the new CA's key
    #[arg(long, value_name = "KIND", value_enum, default_value_t)]
    key: CaKey,
}

impl New {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let config = global.config()?;
        demand_owner(&config.folder.pki(""))?;
        let _lock = Lock::take(&config.folder)?;
        let mut register = Register::read(&config.folder)?;
        let root = self.root(&config)?;
        let made = pki::create_issuing(
            &root,
            &Charter {
                site: &config.site,
                key: self.key.into(),
                serial: Serial::from_random(rand::random()),
                now_ms: wall_ms(),
                lifetime_ms: ISSUING_LIFETIME_MS,
            },
        )?;
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

    /// The root, which must be the one that is trusted.
    fn root(&self, config: &Config) -> Result<Authority> {
        let path = self
            .root_key
            .clone()
            .unwrap_or_else(|| config.folder.pki("root.key"));
        let file = read_secret(&path).context("the root's key signs the new CA: give --root-key FILE")?;
        let passphrase = match (&self.root_passphrase_file, pki::is_sealed(&file)) {
            (_, false) => None,
            (Some(source), true) => Some(init::read_passphrase(source)?),
            (None, true) => Some(ask(&path)?),
        };
        let key = pki::open_key(&file, passphrase.as_deref().map(String::as_str))
            .map_err(|error| Failure::usage(format!("cannot open {}: {error}", path.display())))?;
        let chain = read_text(&config.folder.pki("root.pem"))?;
        Authority::open(&chain, &key, wall_ms())
            .map_err(|error| Failure::usage(format!("{} cannot be used: {error}", path.display())).into())
    }
}

fn ask(path: &std::path::Path) -> Result<Zeroizing<String>> {
    if !std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        let message = format!(
            "{} is encrypted: give --root-passphrase-file FILE",
            path.display()
        );
        return Err(Failure::usage(message).into());
    }
    Ok(Zeroizing::new(rpassword::prompt_password(
        "Passphrase of the root's key: ",
    )?))
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
