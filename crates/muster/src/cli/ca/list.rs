//! `muster ca list`

use anyhow::Result;
use pki::NameLimits;
use serde_json::json;

use super::super::{Global, print};
use crate::authorities::{Register, certificate, stem};

#[derive(clap::Args)]
pub(in crate::cli) struct List {}

impl List {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let folder = global.config()?.folder;
        let mut rows = Vec::new();
        for listed in Register::read(&folder)?.all() {
            let read = certificate(&folder, &listed.id)?;
            let file = folder.pki(&format!("{}.pem", stem(&folder, &listed.id)));
            if global.json {
                print::json(&json!({
                    "id": listed.id, "state": listed.state,
                    "not_before_ms": read.validity.not_before_ms.to_string(),
                    "not_after_ms": read.validity.not_after_ms.to_string(),
                    "may_name": read.names.words(), "file": file,
                }))?;
                continue;
            }
            rows.push(vec![
                listed.id.clone(),
                listed.state.word().into(),
                print::time(read.validity.not_before_ms),
                print::time(read.validity.not_after_ms),
                may_name(&read.names),
                file.display().to_string(),
            ]);
        }
        if global.json {
            return Ok(());
        }
        print::table(&["id", "state", "begins", "ends", "may name", "file"], rows)
    }
}

/// Which hosts an issuing CA may name, for people.
pub(super) fn may_name(names: &NameLimits) -> String {
    match names.words().join(", ") {
        none if none.is_empty() => "any host".into(),
        words => words,
    }
}
