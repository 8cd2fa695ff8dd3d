//! `muster ca root new`

use std::path::PathBuf;

use anyhow::Result;
use host::clock::wall_ms;
use pki::{Charter, Serial};
use serde_json::json;

use super::super::{
    super::{Global, print},
    CaKey,
    root_files::RootFiles,
};
use crate::{
    exit::{Exit, Failure},
    folder::{write_public, write_secret},
    init::{self, ROOT_LIFETIME_MS},
};

#[derive(clap::Args)]
pub(in crate::cli) struct New {
    /// Where it is made; nobody else may enter it
    folder: PathBuf,
    /// The installation that it is for: part of its name
    #[arg(long, default_value = "muster")]
    site: contract::Id,
    /// The kind of its key
    #[arg(long, value_name = "KIND", value_enum, default_value_t)]
    key: CaKey,
    /// Read the passphrase of its key from the first line of this file [default: ask for it]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Keep its key unencrypted
    #[arg(long, conflicts_with = "passphrase_file")]
    unencrypted: bool,
}

impl New {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let files = RootFiles::of(&self.folder);
        for path in [&files.key, &files.certificate] {
            if path.exists() {
                let message = format!("{} is there already; nothing was changed", path.display());
                return Err(Failure::new(Exit::Conflict, message).into());
            }
        }
        let passphrase = init::new_passphrase(self.passphrase_file.as_deref(), self.unencrypted)?;
        let made = pki::create_root(&Charter {
            site: self.site.as_str(),
            key: self.key.into(),
            serial: Serial::from_random(rand::random()),
            now_ms: wall_ms(),
            lifetime_ms: ROOT_LIFETIME_MS,
        })?;
        let sealed = pki::seal_key(&made.key_pem, &init::protection(passphrase.as_ref()))?;
        write_secret(&files.key, &sealed)?;
        write_public(&files.certificate, made.chain_pem.as_bytes())?;
        let root = files.open_again(passphrase)?.authority;
        if global.json {
            return print::json(&json!({
                "folder": self.folder, "fingerprint": root.fingerprint_sha256(),
                "not_after_ms": root.validity().not_after_ms.to_string(),
            }));
        }
        print::line(format!("made a root in {}", self.folder.display()))?;
        print::fields(&[
            ("certificate", files.certificate.display().to_string()),
            ("fingerprint", root.fingerprint_sha256()),
            ("ends", print::time(root.validity().not_after_ms)),
        ])?;
        print::line("next, on the server: muster init --root-offline")
    }
}
