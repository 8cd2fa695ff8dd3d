//! `muster ca root export`

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

use super::super::{
    super::{
        Global,
        confirm::{Confirm, Consent},
        print,
    },
    root_files::{OpenRoot, RootFiles},
};
use crate::{
    authorities::Lock,
    exit::{Exit, Failure},
    folder::{Folder, demand_owner, make_private, write_public, write_secret},
    init, passphrase, waiting,
};

#[derive(clap::Args)]
pub(in crate::cli) struct Export {
    /// Where to: a folder outside the installation, for example on a medium that is taken away
    folder: PathBuf,
    /// Read the root key's passphrase from the first line of this file [default: pki.passphrase_file]
    #[arg(long, value_name = "FILE")]
    root_passphrase_file: Option<PathBuf>,
    /// Encrypt it there under the passphrase in the first line of this file: another one than the server's
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    confirm: Confirm,
}

impl Export {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let config = global.config()?;
        let folder = &config.folder;
        demand_owner(&folder.pki(""))?;
        let _lock = Lock::take(folder)?;
        let here = RootFiles::of(&folder.pki(""));
        if !here.key.exists() {
            let message = format!("the root's key is not in {}", folder.pki("").display());
            return Err(Failure::new(Exit::NotFound, message).into());
        }
        let source = self.root_passphrase_file.clone().or(config.passphrase_source());
        let root = here.open(source.as_deref())?;
        let what = format!(
            "take the root's key to {}, and remove it from {}",
            self.folder.display(),
            folder.pki("").display()
        );
        let Consent::Given = self.confirm.ask(global, &what)? else {
            return Ok(());
        };
        demand_outside(folder, &self.folder)?;
        make_private(&self.folder).with_context(|| format!("cannot make {}", self.folder.display()))?;
        self.take(&root)?;
        waiting::remove(&here.key)?;
        if global.json {
            return print::json(&json!({
                "folder": self.folder, "fingerprint": root.authority.fingerprint_sha256(),
            }));
        }
        print::line(format!(
            "the root's key is in {}, was read back there, and is here no more",
            self.folder.display()
        ))?;
        print::line("backups that were made before still hold it")
    }

    /// Writes it there, or finds it there from a try that was cut off, and reads it back.
    fn take(&self, root: &OpenRoot) -> Result<()> {
        let there = RootFiles::of(&self.folder);
        let passphrase = match &self.passphrase_file {
            Some(file) => Some(passphrase::read(file)?),
            None => root.passphrase.clone(),
        };
        if !there.key.exists() {
            let sealed = pki::seal_key(&root.key_pem, &init::protection(passphrase.as_ref()))?;
            write_public(&there.certificate, root.authority.certificate_pem().as_bytes())?;
            write_secret(&there.key, &sealed)?;
        }
        let read = there
            .open_again(passphrase)
            .context("the root's key was not removed here, for it cannot be read back there")?;
        if read.key_pem == root.key_pem {
            return Ok(());
        }
        let message = format!(
            "{} holds another root's key; nothing was removed",
            self.folder.display()
        );
        Err(Failure::new(Exit::Conflict, message).into())
    }
}

/// Within the installation it would be no further away, and in every backup.
fn demand_outside(folder: &Folder, target: &Path) -> Result<()> {
    let real = |path: &Path| {
        path.canonicalize()
            .with_context(|| format!("cannot read {}", path.display()))
    };
    let target = std::path::absolute(target)?;
    let above = target.ancestors().find(|above| above.exists());
    if real(above.unwrap_or(&target))?.starts_with(real(folder.path())?) {
        let message = format!("{} is within the installation's folder", target.display());
        return Err(Failure::usage(message).into());
    }
    Ok(())
}
