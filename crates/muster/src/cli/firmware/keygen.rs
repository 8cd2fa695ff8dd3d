//! `muster firmware keygen`, and other keys that are made in the same way.

use std::path::{Path, PathBuf};

use anyhow::Result;
use artifact::SigningKey;
use zeroize::Zeroizing;

use super::super::{Global, print};
use crate::{
    exit::{Exit, Failure},
    folder::{write_public, write_secret},
};

#[derive(clap::Args)]
pub(in crate::cli) struct Keygen {
    /// Where release.key and release.pub are written
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

impl Keygen {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let advice =
            "keep the key off the server; name the public half in rollout.release_keys of muster.toml";
        make_key(global, &self.out, "release", advice)
    }
}

/// Makes a key pair: `NAME.key` and `NAME.pub` in a folder that has neither.
pub(in crate::cli) fn make_key(global: &Global, folder: &Path, name: &str, advice: &str) -> Result<()> {
    let (private, public) = (
        folder.join(format!("{name}.key")),
        folder.join(format!("{name}.pub")),
    );
    if private.exists() || public.exists() {
        let message = format!(
            "{} holds a {name} key already; give another --out",
            folder.display()
        );
        return Err(Failure::new(Exit::Conflict, message).into());
    }
    let seed = Zeroizing::new(rand::random::<[u8; 32]>());
    let key = SigningKey::from_seed(&seed);
    write_secret(&private, key.to_pem()?.as_bytes())?;
    write_public(&public, key.public_key().to_pem()?.as_bytes())?;
    let id = key.public_key().key_id();
    if global.json {
        let document = serde_json::json!({ "key_id": id.as_str(), "key": private, "public": public });
        return print::json(&document);
    }
    print::fields(&[
        ("key id", id.to_string()),
        ("key", private.display().to_string()),
        ("public", public.display().to_string()),
    ])?;
    print::line(advice)
}
