//! `muster device export`

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufWriter},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use contract::{
    id::ServiceName,
    v1::{Device, DevicesListed, GroupsListed, ListDevices, ListGroups, Stage},
};

use super::{
    super::{Global, list::Limit, matching::Matching, print},
    rows::{self, Format},
};

#[derive(clap::Args)]
pub(crate) struct Export {
    /// The file; `-` writes to standard output
    file: PathBuf,
    /// Its form [default: csv if it is named so, else ndjson]
    #[arg(long, value_enum)]
    format: Option<Format>,
    #[command(flatten)]
    matching: Matching,
}

impl Export {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let (devices, dynamic) = global.block_on(read(global, &self.matching.query))?;
        let (retired, living): (Vec<_>, Vec<_>) = devices.iter().partition(|d| d.stage() == Stage::Retired);
        let mut devices: Vec<_> = living
            .into_iter()
            .map(|d| rows::of(d, |group| dynamic.contains(group)))
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

async fn read(global: &Global, query: &str) -> Result<(Vec<Device>, BTreeSet<String>)> {
    let (client, _inbox) = global.connect().await?;
    let limit = Limit::all();
    let groups = limit.read(
        &client,
        (ServiceName::Registry, "groups"),
        |page| ListGroups {
            page_size: page.size,
            page: page.token,
            ..ListGroups::default()
        },
        |reply: GroupsListed| (reply.groups, reply.next_page),
    );
    let dynamic = groups
        .await?
        .items
        .into_iter()
        .filter(|group| !group.query.is_empty());
    let dynamic = dynamic.map(|group| group.group_id).collect();
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
    client.disconnect().await;
    Ok((devices, dynamic))
}
