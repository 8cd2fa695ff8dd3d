//! `muster ca root show`

use anyhow::Result;
use pki::RootCertificate;
use serde_json::{Value, json};

use super::{
    super::super::{Global, print},
    list::below,
};
use crate::{authorities::Roots, folder::Folder};

#[derive(clap::Args)]
pub(in crate::cli) struct Show {
    /// The root, by the first digits of its fingerprint, as `muster ca root list` names it
    fingerprint: String,
}

impl Show {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let folder = global.config()?.folder;
        let roots = Roots::read(&folder)?;
        let root = roots.find(&self.fingerprint)?;
        if global.json {
            let mut document = document(&folder, root)?;
            document["certificate"] = root.pem.as_str().into();
            return print::json(&document);
        }
        print::fields(&[
            ("fingerprint", root.fingerprint_sha256.clone()),
            ("begins", print::time(root.validity.not_before_ms)),
            ("ends", print::time(root.validity.not_after_ms)),
            ("issuing CAs", below(&folder, root)?.join(", ")),
        ])?;
        print::line(root.pem.trim_end())
    }
}

/// What a list says of a root.
pub(super) fn document(folder: &Folder, root: &RootCertificate) -> Result<Value> {
    Ok(json!({
        "fingerprint": root.fingerprint_sha256, "issuing": below(folder, root)?,
        "not_before_ms": root.validity.not_before_ms.to_string(),
        "not_after_ms": root.validity.not_after_ms.to_string(),
    }))
}
