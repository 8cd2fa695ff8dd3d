//! `muster device export`

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, BufWriter},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use contract::{
    id::ServiceName,
    v1::{Device, DevicesListed, ListDevices, Stage},
};

use super::{
    super::{Global, list::Limit, matching::Matching, print, whole},
    rows::{self, Format},
    update,
};

#[derive(clap::Args)]
pub(crate) struct Export {
    /// The file; `-` writes to standard output
    file: PathBuf,
    /// Its form [default: csv if it is named so, else ndjson]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write each device's version too, so that `import --update` changes none that has another by then
    #[arg(long)]
    versions: bool,
    #[command(flatten)]
    matching: Matching,
}

impl Export {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let Read {
            devices,
            mut settings,
            dynamic,
        } = global.block_on(read(global, &self.matching.query))?;
        let (retired, living): (Vec<_>, Vec<_>) = devices.iter().partition(|d| d.stage() == Stage::Retired);
        let mut devices: Vec<_> = living
            .into_iter()
            .map(|d| {
                let own = settings.remove(&d.device_id);
                let mut row = rows::of(d, own, |group| dynamic.contains(group));
                if self.versions {
                    row.fields
                        .insert(update::VERSION.to_owned(), d.version.to_string());
                }
                row
            })
            .collect();
        rows::parents_first(&mut devices);
        let format = Format::of(self.format, &self.file);
        if self.file == Path::new("-") {
            return format.write(&devices, io::stdout().lock());
        }
        let shown = self.file.display().to_string();
        let file = File::create(&self.file).with_context(|| format!("cannot write {shown}"))?;
        format
            .write(&devices, BufWriter::new(file))
            .with_context(|| format!("cannot write {shown}"))?;
        if !retired.is_empty() {
            print::note(format!(
                "{} retired devices are left out: they are not registered again",
                retired.len()
            ));
        }
        print::line(format!("{} devices in {shown}", devices.len()))
    }
}

/// What is there to be written.
struct Read {
    devices: Vec<Device>,
    /// What is set for devices alone, by their ids.
    settings: BTreeMap<String, String>,
    dynamic: BTreeSet<String>,
}

async fn read(global: &Global, query: &str) -> Result<Read> {
    let (client, _inbox) = global.connect().await?;
    let dynamic = whole::dynamic_groups(&client).await?;
    let limit = Limit::all();
    let devices = limit.read(
        &client,
        (ServiceName::Registry, "list"),
        |page| ListDevices {
            r#where: query.to_owned(),
            page_size: page.size,
            page: page.token,
            ..ListDevices::default()
        },
        |reply: DevicesListed| (reply.devices, reply.next_page),
    );
    let devices = devices.await?.items;
    let settings = whole::settings(&client, query).await?.into_iter();
    client.disconnect().await;
    Ok(Read {
        devices,
        settings: settings.map(|own| (own.device_id, own.document)).collect(),
        dynamic,
    })
}
