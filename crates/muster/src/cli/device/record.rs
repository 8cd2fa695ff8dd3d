//! `muster device record`

use anyhow::Result;
use contract::{
    Id,
    id::ServiceName,
    v1::{
        Device, DeviceShown, Evidence, HistoryShown, Retirement, RetirementShown, ShowDevice, ShowHistory,
        ShowRetirement,
    },
};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::super::{Global, global, list::Limit, print};

#[derive(clap::Args)]
pub(crate) struct Record {
    /// The device
    id: Id,
}

/// A device's whole life in one document.
#[derive(Serialize)]
struct Document {
    device: Device,
    history: Vec<Evidence>,
    /// The record of its end, where it has come.
    retirement: Option<Retirement>,
}

/// The document and what identifies it.
#[derive(Serialize)]
struct Sealed<'a> {
    /// SHA-256 of the JSON of `record`, byte for byte as it stands here.
    sha256: String,
    record: &'a serde_json::value::RawValue,
}

impl Record {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let document = global.block_on(self.read(global))?;
        let record = serde_json::value::to_raw_value(&document)?;
        let digest = Sha256::digest(record.get());
        let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        print::json(&Sealed {
            sha256,
            record: &record,
        })
    }

    async fn read(&self, global: &Global) -> Result<Document> {
        let (client, _inbox) = global.connect().await?;
        let ask = ShowDevice {
            device_id: self.id.to_string(),
            ..ShowDevice::default()
        };
        let shown: DeviceShown = global::ask(&client, ServiceName::Registry, "show", &ask).await?;
        let limit = Limit::all();
        let history = limit.read(
            &client,
            (ServiceName::Registry, "history"),
            |page| ShowHistory {
                device_id: self.id.to_string(),
                page_size: page.size,
                page: page.token,
                ..ShowHistory::default()
            },
            |reply: HistoryShown| (reply.entries, reply.next_page),
        );
        let history = history.await?.items;
        let ask = ShowRetirement {
            device_id: self.id.to_string(),
            ..ShowRetirement::default()
        };
        let end: RetirementShown = global::ask(&client, ServiceName::Registry, "retirement", &ask).await?;
        client.disconnect().await;
        Ok(Document {
            device: shown.device.unwrap_or_default(),
            history,
            retirement: end.retirement,
        })
    }
}
