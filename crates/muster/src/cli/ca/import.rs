//! `muster ca import`

use std::path::PathBuf;

use anyhow::{Context, Result};
use host::clock::wall_ms;
use serde_json::json;
use zeroize::Zeroizing;

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
    config::Config,
    folder::{Folder, demand_owner, read_text, write_public, write_secret},
    init, passphrase, waiting,
};

#[derive(clap::Args)]
pub(in crate::cli) struct Import {
    /// The answer to the request: the issuing CA's certificate followed by its root's, PEM
    answer: PathBuf,
    /// Read the passphrase of the CA keys from the first line of this file [default: pki.passphrase_file]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    confirm: Confirm,
}

impl Import {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let folder = global.folder();
        if init::waits(&folder) {
            return self.found(global, &folder);
        }
        let config = global.config()?;
        demand_owner(&config.folder.pki(""))?;
        let _lock = Lock::take(&config.folder)?;
        init::forget_wait(&config.folder)?;
        self.add(global, &config)
    }

    /// The first answer: the installation is made.
    fn found(&self, global: &Global, folder: &Folder) -> Result<()> {
        demand_owner(&folder.pki(""))?;
        let _lock = Lock::take(folder)?;
        let answer = read_text(&self.answer)?;
        let wait = init::Wait::read(folder)?;
        let passphrase = self.passphrase(folder, wait.passphrase_file.clone())?;
        let key = waiting::open(folder, passphrase.as_ref())?;
        let brought = waiting::answered(&self.answer, &answer, &key, wall_ms())?;
        let root = brought.root_fingerprint_sha256.clone();
        let what = format!("trust the root {root}, and make the installation under it");
        if self.confirm.ask(global, &what)? == Consent::NotWanted {
            return Ok(());
        }
        let id = brought.issuing.id();
        init::found_answered(folder, wait, passphrase, brought, &key)?;
        if global.json {
            return print::json(&json!({ "id": id, "state": "active", "root_fingerprint": root }));
        }
        let path = folder.path().display();
        print::line(format!("made an installation in {path} under the root {root}"))?;
        print::line(format!("next: muster --dir {path} up"))
    }

    /// A later one: another issuing CA is there.
    fn add(&self, global: &Global, config: &Config) -> Result<()> {
        let folder = &config.folder;
        let answer = read_text(&self.answer)?;
        let passphrase = self.passphrase(folder, config.passphrase_source())?;
        let sealed = waiting::sealed_key(folder)?;
        let key = waiting::open(folder, passphrase.as_ref())?;
        let brought = waiting::answered(&self.answer, &answer, &key, wall_ms())?;
        waiting::demand_same_root(folder, &self.answer, &answer)?;
        let id = brought.issuing.id();
        let mut register = Register::read(folder)?;
        if register.find(&id).is_err() {
            register.publish(&id)?;
            let what = format!("trust the issuing CA {id}");
            if self.confirm.ask(global, &what)? == Consent::NotWanted {
                return Ok(());
            }
            write_secret(&folder.pki(&format!("issuing-{id}.key")), &sealed)?;
            let chain = brought.issuing.chain_pem();
            write_public(&folder.pki(&format!("issuing-{id}.pem")), chain.as_bytes())?;
            register.write(folder)?;
        }
        waiting::done(folder)?;
        if global.json {
            return print::json(&json!({ "id": id, "state": "published" }));
        }
        print::line(format!(
            "the issuing CA {id} is trusted, and signs nothing yet; {FOLLOWS}"
        ))?;
        print::line(format!("then let it sign: muster ca activate {id}"))
    }

    fn passphrase(&self, folder: &Folder, configured: Option<PathBuf>) -> Result<Option<Zeroizing<String>>> {
        if !pki::is_sealed(&waiting::sealed_key(folder)?) {
            return Ok(None);
        }
        match self.passphrase_file.clone().or(configured) {
            Some(file) => passphrase::read(&file).map(Some),
            None => init::ask_passphrase_once().map(Some),
        }
        .context("the key that waits is encrypted")
    }
}
