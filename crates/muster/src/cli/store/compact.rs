//! `muster store compact`

use anyhow::Result;
use store::Rewritten;

use super::{
    super::{Global, print},
    place::{Place, Services, told},
};

#[derive(clap::Args)]
pub(in crate::cli) struct Compact {
    #[command(flatten)]
    services: Services,
}

impl Compact {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        for place in self.services.find(global)? {
            let done = place.store.compact().map_err(|error| told(place.name, error))?;
            say(global, &place, done, "written anew")?;
        }
        Ok(())
    }
}

/// Says what a database was and is.
pub(super) fn say(global: &Global, place: &Place, done: Rewritten, how: &str) -> Result<()> {
    let Rewritten { rows, before, after } = done;
    if global.json {
        return print::json(&serde_json::json!({
            "service": place.name.word(), "records": rows, "bytes_before": before, "bytes_after": after,
        }));
    }
    print::line(format!(
        "{}: {rows} records {how}; {before} bytes before, {after} after",
        place.name
    ))
}
