//! `muster ca root show`

use anyhow::Result;
use pki::RootCertificate;
use serde_json::{Value, json};

use super::{
    super::super::{Global, print},
    list::below,
};
use crate::{
    authorities::{Links, Roots},
    folder::Folder,
};

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
            let links = Links::read(&folder)?;
            document["links"] = links.of(root).map(|link| link.pem.as_str()).collect();
            return print::json(&document);
        }
        print::fields(&[
            ("fingerprint", root.fingerprint_sha256.clone()),
            ("begins", print::time(root.validity.not_before_ms)),
            ("ends", print::time(root.validity.not_after_ms)),
            ("issuing CAs", below(&folder, root)?.join(", ")),
            ("linked from", linked_from(&folder, root)?.join(", ")),
        ])?;
        print::line(root.pem.trim_end())
    }
}

/// What a list says of a root.
pub(super) fn document(folder: &Folder, root: &RootCertificate) -> Result<Value> {
    Ok(json!({
        "fingerprint": root.fingerprint_sha256, "issuing": below(folder, root)?,
        "linked_from": linked_from(folder, root)?,
        "not_before_ms": root.validity.not_before_ms.to_string(),
        "not_after_ms": root.validity.not_after_ms.to_string(),
    }))
}

/// The roots that vouch for a root; `removed` where that is not trusted any more.
pub(super) fn linked_from(folder: &Folder, root: &RootCertificate) -> Result<Vec<String>> {
    let (roots, links) = (Roots::read(folder)?, Links::read(folder)?);
    let from = links.of(root).map(|link| {
        let former = roots.all().iter().find(|former| link.is_signed_by(former));
        former.map_or("removed".to_owned(), |former| former.fingerprint_sha256.clone())
    });
    Ok(from.collect())
}
