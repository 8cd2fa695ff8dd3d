//! `muster ca list`

use anyhow::Result;
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
                    "file": file,
                }))?;
                continue;
            }
            rows.push(vec![
                listed.id.clone(),
                listed.state.word().into(),
                print::time(read.validity.not_before_ms),
                print::time(read.validity.not_after_ms),
                file.display().to_string(),
            ]);
        }
        if global.json {
            return Ok(());
        }
        print::table(&["id", "state", "begins", "ends", "file"], rows)
    }
}
