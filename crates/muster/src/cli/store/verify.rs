//! `muster store verify`

use anyhow::Result;

use super::{
    super::{Global, print},
    look::Found,
    place::{Place, Services},
};
use crate::exit::{Exit, Failure};

/// What a lost image means, and the way back.
pub(super) const IMAGES: &str = "Devices cannot fetch these images. `muster store repair rollout --from FILE` puts them back: \
                                 FILE is the image that was added, or a backup";

#[derive(clap::Args)]
pub(in crate::cli) struct Verify {
    #[command(flatten)]
    services: Services,
}

impl Verify {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let mut damaged = Vec::new();
        let (mut rows, mut images) = (false, false);
        let mut table = Vec::new();
        for place in self.services.find(global)? {
            let found = Found::of(&place)?;
            if global.json {
                print::json(&found.document(&place))?;
            } else {
                table.push(found.row(&place));
            }
            rows |= found.rows.damaged > 0;
            images |= !found.files.lacking.is_empty();
            let named = found.named();
            damaged.extend(named.into_iter().map(|what| format!("{}: {what}", place.name)));
        }
        if !global.json {
            let headings = ["service", "engine", "records", "bytes", "files", "sound"];
            print::table(&headings, table)?;
        }
        if damaged.is_empty() {
            return Ok(());
        }
        let mut told = vec![format!("damaged:\n  {}", damaged.join("\n  "))];
        told.extend(rows.then(|| "Restore a backup, or `muster store repair`".to_owned()));
        told.extend(images.then(|| IMAGES.to_owned()));
        Err(Failure::new(Exit::Damaged, told.join("\n")).into())
    }
}

impl Found {
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
