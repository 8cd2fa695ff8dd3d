//! What happened, as the services' kept events tell it.

use anyhow::Result;
use client::{Client, Inbox};
use contract::{
    Topic,
    id::ServiceName,
    v1::{Replay, ReplayMarker},
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{cert::day_ms, global};

/// What of an event is looked at.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Told {
    r#type: String,
    #[serde(default)]
    pub(super) subject: String,
    pub(super) time: String,
    #[serde(default)]
    pub(super) actor: String,
    #[serde(default)]
    pub(super) data: Map<String, Value>,
}

impl Told {
    /// `moved` of `muster.registry.device.moved.v1`.
    pub(super) fn name(&self) -> &str {
        self.r#type.rsplit('.').nth(1).unwrap_or_default()
    }

    pub(super) fn at_ms(&self) -> i64 {
        day_ms(&self.time).unwrap_or_default()
    }
}

/// The events of a page, and its marker.
pub(super) async fn page(
    client: &Client,
    inbox: &mut Inbox,
    service: ServiceName,
    (after, limit): (u64, u32),
    filter: &str,
) -> Result<(ReplayMarker, Vec<Told>)> {
    let request = Replay {
        after,
        limit,
        filter: filter.to_owned(),
        ..Replay::default()
    };
    let marker: ReplayMarker = global::ask(client, service, "replay", &request).await?;
    let mut told = Vec::new();
    // The page came before its marker.
    while let Ok(delivery) = inbox.try_recv() {
        let topic = client.root().parse_topic(&delivery.topic);
        if matches!(topic, Some(Topic::Down { name, .. }) if name == "replay/event") {
            told.push(serde_json::from_slice(&delivery.payload)?);
        }
    }
    Ok((marker, told))
}

/// All that match and are not older than this.
pub(super) async fn since(
    client: &Client,
    inbox: &mut Inbox,
    (service, filter): (ServiceName, &str),
    since_ms: i64,
) -> Result<Vec<Told>> {
    let mut after = before(client, inbox, service, since_ms).await?;
    let mut all = Vec::new();
    loop {
        let (marker, told) = page(client, inbox, service, (after, 0), filter).await?;
        all.extend(told.into_iter().filter(|event| event.at_ms() >= since_ms));
        if marker.complete || marker.last <= after {
            return Ok(all);
        }
        after = marker.last;
    }
}

/// After which number what happened since then begins: looked for by halves, since numbers grow with time. Whoever may
/// not see what lies between reads from the beginning.
async fn before(client: &Client, inbox: &mut Inbox, service: ServiceName, since_ms: i64) -> Result<u64> {
    let (marker, _) = page(client, inbox, service, (0, 1), "").await?;
    let (mut low, mut high) = (marker.first.max(1), marker.head + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let (_, told) = page(client, inbox, service, (middle - 1, 1), "").await?;
        match told.first() {
            Some(event) if event.at_ms() >= since_ms => high = middle,
            Some(_) => low = middle + 1,
            None => return Ok(marker.first.max(1) - 1),
        }
    }
    Ok(low - 1)
}
