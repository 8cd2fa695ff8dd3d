//! `muster ca root list`

use anyhow::Result;
use pki::{IssuingCertificate, RootCertificate};

use super::{
    super::super::{Global, print},
    show::{document, linked_from},
};
use crate::{
    authorities::{Register, Roots, chain},
    folder::Folder,
};

#[derive(clap::Args)]
pub(in crate::cli) struct List {}

impl List {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let folder = global.config()?.folder;
        let mut rows = Vec::new();
        for root in Roots::read(&folder)?.all() {
            if global.json {
                print::json(&document(&folder, root)?)?;
                continue;
            }
            rows.push(vec![
                root.fingerprint_sha256.clone(),
                print::time(root.validity.not_before_ms),
                print::time(root.validity.not_after_ms),
                below(&folder, root)?.join(", "),
                linked_from(&folder, root)?
                    .iter()
                    .map(|from| from.get(..8).unwrap_or(from))
                    .collect::<Vec<_>>()
                    .join(", "),
            ]);
        }
        if global.json {
            return Ok(());
        }
        print::table(
            &["fingerprint", "begins", "ends", "issuing CAs", "linked from"],
            rows,
        )
    }
}

/// The marks of the issuing CAs under a root.
pub(super) fn below(folder: &Folder, root: &RootCertificate) -> Result<Vec<String>> {
    let mut below = Vec::new();
    for listed in Register::read(folder)?.all() {
        if IssuingCertificate::read(&chain(folder, &listed.id)?, &root.pem).is_ok() {
            below.push(listed.id.clone());
        }
    }
    Ok(below)
}
