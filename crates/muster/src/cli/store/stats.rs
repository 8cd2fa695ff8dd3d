//! `muster store stats`

use anyhow::Result;

use super::{
    super::{Global, print},
    place::{Place, Services, kind, told},
};

#[derive(clap::Args)]
pub(in crate::cli) struct Stats {
    #[command(flatten)]
    services: Services,
}

impl Stats {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        for place in self.services.find(global)? {
            let class = |key: &[u8]| kind(place.name, key);
            let stats = place
                .store
                .stats(&class)
                .map_err(|error| told(place.name, error))?;
            if global.json {
                print::json(&document(&place, &stats))?;
            } else {
                say(&place, &stats)?;
            }
        }
        Ok(())
    }
}

fn document(place: &Place, stats: &store::Stats) -> serde_json::Value {
    let classes: serde_json::Map<_, _> = stats
        .classes
        .iter()
        .map(|(class, count)| {
            (
                class.clone(),
                serde_json::json!({ "records": count.rows, "bytes": count.bytes }),
            )
        })
        .collect();
    serde_json::json!({
        "service": place.name.word(), "engine": place.store.engine().word(),
        // As text: the number has more digits than JSON's readers keep.
        "epoch": stats.identity.epoch.to_string(), "schema": stats.identity.schema,
        "created_s": stats.identity.created, "records": stats.live().rows, "bytes": stats.live().bytes,
        "disk_bytes": stats.disk_bytes, "amplification": stats.amplification(), "log_bytes": stats.log_bytes,
        "files": stats.files, "kinds": classes,
    })
}

fn say(place: &Place, stats: &store::Stats) -> Result<()> {
    let live = stats.live();
    print::fields(&[
        ("service", place.name.to_string()),
        ("engine", place.store.engine().to_string()),
        ("epoch", stats.identity.epoch.to_string()),
        ("schema", stats.identity.schema.to_string()),
        ("made", print::time(stats.identity.created as i64 * 1_000)),
        ("records", format!("{} of {} bytes", live.rows, live.bytes)),
        (
            "on disk",
            format!(
                "{} bytes, {:.1} for each of the records'",
                stats.disk_bytes,
                stats.amplification()
            ),
        ),
        (
            "in the logs",
            format!("{} bytes had not reached the database", stats.log_bytes),
        ),
    ])?;
    let classes = stats
        .classes
        .iter()
        .map(|(class, count)| (class, Some(count.rows), count.bytes));
    let files = stats.files.iter().map(|(file, bytes)| (file, None, *bytes));
    let row = |(name, rows, bytes): (&String, Option<u64>, u64)| {
        vec![
            name.clone(),
            rows.map_or(String::new(), |rows| rows.to_string()),
            bytes.to_string(),
        ]
    };
    print::table(
        &["records of a kind", "records", "bytes"],
        classes.map(row).collect(),
    )?;
    print::table(&["file", "", "bytes"], files.map(row).collect())
}
