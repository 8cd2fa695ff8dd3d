//! `muster device maintenance export`

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use client::Client;
use contract::{
    Id,
    id::ServiceName,
    v1::{Device, ListMaintenance, MaintenanceListed, MaintenanceRecord, Stage},
};

use super::{
    super::{
        super::{Global, list::Page, matching::Matching, print, progress, whole},
        rows::Format,
    },
    rows::{self, Writer},
};

/// Devices whose records are read at once.
const UNDER_WAY: usize = 16;

#[derive(clap::Args)]
pub(crate) struct Export {
    /// The file; `-` writes to standard output
    file: PathBuf,
    /// Its form [default: csv if it is named so, else ndjson]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Only of devices that this group has now, those of groups within it as well
    #[arg(long, value_name = "GROUP")]
    group: Option<Id>,
    #[command(flatten)]
    matching: Matching,
}

/// A device that something was done to.
struct Maintained {
    device_id: String,
    is_retired: bool,
}

impl Export {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let format = Format::of(self.format, &self.file);
        let shown = self.file.display().to_string();
        let (found, written) = global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let found = self.found(&client).await?;
            let to: Box<dyn Write> = match self.file == Path::new("-") {
                true => Box::new(io::stdout()),
                false => Box::new(File::create(&self.file).with_context(|| format!("cannot write {shown}"))?),
            };
            let writer = Writer::begun(format, BufWriter::new(to))?;
            let written = write(&client, &found, writer).await;
            client.disconnect().await;
            let written = written.with_context(|| format!("{shown} is not whole"))?;
            Ok((found, written))
        })?;
        let retired = found.iter().filter(|device| device.is_retired).count();
        if retired > 0 {
            print::note(format!(
                "the records of {retired} retired devices are left out: those are not registered again"
            ));
        }
        if self.file == Path::new("-") {
            return Ok(());
        }
        let devices = found.len() - retired;
        print::line(format!("{written} records of {devices} devices in {shown}"))
    }

    async fn found(&self, client: &Client) -> Result<Vec<Maintained>> {
        let maintained = |device: Device| {
            (device.maintenance_records > 0).then(|| Maintained {
                is_retired: device.stage() == Stage::Retired,
                device_id: device.device_id,
            })
        };
        whole::fitting(client, self.group.as_ref(), &self.matching.query, maintained).await
    }
}

/// Writes the records of the devices that are not retired, device after device; how many.
async fn write<W: Write>(client: &Client, found: &[Maintained], mut writer: Writer<W>) -> Result<u64> {
    let mut devices = found.iter().filter(|device| !device.is_retired);
    let bar = progress::bar(devices.clone().count() as u64, "devices");
    let (mut under_way, mut written) = (VecDeque::new(), 0);
    loop {
        while under_way.len() < UNDER_WAY
            && let Some(device) = devices.next()
        {
            let (client, id) = (client.clone(), device.device_id.clone());
            under_way.push_back((device, tokio::spawn(async move { of(&client, id).await })));
        }
        let Some((device, asked)) = under_way.pop_front() else {
            break;
        };
        // What was done first comes first, and of one moment what was written down first: so it is written down again.
        for record in asked.await??.iter().rev() {
            writer.put(&rows::of(&device.device_id, record))?;
            written += 1;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    writer.end()?;
    Ok(written)
}

async fn of(client: &Client, device_id: String) -> Result<Vec<MaintenanceRecord>> {
    whole::all(
        client,
        (ServiceName::Registry, "maintenance"),
        |page: Page| ListMaintenance {
            device_id: device_id.clone(),
            page_size: page.size,
            page: page.token,
            ..ListMaintenance::default()
        },
        |reply: MaintenanceListed| (reply.records, reply.next_page),
    )
    .await
}
