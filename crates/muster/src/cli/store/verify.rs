//! `muster store verify`

use anyhow::Result;
use service::store::StoreError;
use store::{FilesVerified, Verified, verify_files};

use super::{
    super::{Global, print},
    place::{Place, Services, told},
};
use crate::exit::{Exit, Failure};

#[derive(clap::Args)]
pub(in crate::cli) struct Verify {
    #[command(flatten)]
    services: Services,
}

/// What was found of one service.
struct Outcome {
    rows: Verified,
    files: FilesVerified,
}

impl Verify {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let mut damaged = Vec::new();
        let mut table = Vec::new();
        for place in self.services.find(global)? {
            let outcome = look(&place)?;
            if global.json {
                print::json(&outcome.document(&place))?;
            } else {
                table.push(outcome.row(&place));
            }
            let named = outcome.named();
            damaged.extend(named.into_iter().map(|what| format!("{}: {what}", place.name)));
        }
        if !global.json {
            let headings = ["service", "engine", "records", "bytes", "files", "sound"];
            print::table(&headings, table)?;
        }
        if damaged.is_empty() {
            return Ok(());
        }
        let list = damaged.join("\n  ");
        Err(Failure::new(
            Exit::Damaged,
            format!("damaged:\n  {list}\nRestore a backup, or `muster store repair`"),
        )
        .into())
    }
}

/// A store that does not open since it is damaged is a finding, no failure.
fn look(place: &Place) -> Result<Outcome, Failure> {
    let rows = match place.store.verify() {
        Err(error @ (StoreError::Damaged { .. } | StoreError::Engine(_))) => Verified {
            damaged: 1,
            named: vec![error.to_string()],
            ..Verified::default()
        },
        outcome => outcome.map_err(|error| told(place.name, error))?,
    };
    let files = verify_files(&place.files).map_err(|error| told(place.name, error))?;
    Ok(Outcome { rows, files })
}

impl Outcome {
    fn named(&self) -> Vec<String> {
        self.rows
            .named
            .iter()
            .chain(&self.files.damaged)
            .cloned()
            .collect()
    }

    fn is_sound(&self) -> bool {
        self.rows.damaged == 0 && self.files.damaged.is_empty()
    }

    fn document(&self, place: &Place) -> serde_json::Value {
        serde_json::json!({
            "service": place.name.word(), "engine": place.store.engine().word(), "sound": self.is_sound(),
            "records": self.rows.rows, "bytes": self.rows.bytes, "files": self.files.files,
            "file_bytes": self.files.bytes, "damaged": self.named(),
        })
    }

    fn row(&self, place: &Place) -> Vec<String> {
        vec![
            place.name.to_string(),
            place.store.engine().to_string(),
            self.rows.rows.to_string(),
            self.rows.bytes.to_string(),
            self.files.files.to_string(),
            if self.is_sound() { "yes" } else { "NO" }.to_owned(),
        ]
    }
}
