//! `muster firmware keygen`

use std::path::PathBuf;

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
        let (private, public) = (self.out.join("release.key"), self.out.join("release.pub"));
        if private.exists() || public.exists() {
            let message = format!(
                "{} holds a release key already; give another --out",
                self.out.display()
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
        print::line(
            "keep the key off the server; name the public half in rollout.release_keys of muster.toml",
        )
    }
}
