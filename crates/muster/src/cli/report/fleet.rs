//! What other services know of the devices that a report is about.

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;
use client::Client;
use contract::{
    id::{Kind, ServiceName},
    v1::{
        Artifact, ArtifactsListed, CertificateStatus, CertificatesListed, Connectivity, DeviceStatus,
        ListArtifacts, ListCertificates, ListStatus, Manifest, StatusListed,
    },
};

use super::super::{cert::DAY_MS, list::Page, whole};

/// What monitoring, provisioning and the rollout service say.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    pub(crate) now_ms: i64,
    /// When each device was seen last, and its open alerts; whoever is not here was never seen.
    pub(crate) seen: HashMap<String, Seen>,
    /// The newest firmware of each model: its place in the order of releases, and its version.
    pub(crate) newest: BTreeMap<String, (u64, String)>,
    /// For how long the certificate of each device is good in all, days; the newest counts.
    pub(crate) certified_days: HashMap<String, i64>,
}

/// One device, as monitoring knows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) last_ms: i64,
    pub(crate) alerts: u32,
}

impl Beside {
    /// Asks monitoring.
    pub(crate) async fn ask_monitoring(&mut self, client: &Client) -> Result<()> {
        let request = |Page { size, token }| ListStatus {
            page_size: size,
            page: token,
            ..ListStatus::default()
        };
        let take = |reply: StatusListed| (reply.devices, reply.next_page);
        let all = whole::all(client, (ServiceName::Monitoring, "list"), request, take).await?;
        self.take_statuses(all);
        Ok(())
    }

    fn take_statuses(&mut self, all: Vec<DeviceStatus>) {
        for status in all {
            let last_ms = match status.connectivity() {
                Connectivity::Unspecified | Connectivity::Never => continue,
                Connectivity::Online => self.now_ms,
                Connectivity::Grace | Connectivity::Offline => status.since_ms.max(status.heartbeat_ms),
            };
            let alerts = status.open_alerts;
            self.seen.insert(status.device_id, Seen { last_ms, alerts });
        }
    }

    /// Asks the rollout service which firmware there is.
    pub(crate) async fn ask_rollout(&mut self, client: &Client) -> Result<()> {
        let request = |Page { size, token }| ListArtifacts {
            page_size: size,
            page: token,
            ..ListArtifacts::default()
        };
        let take = |reply: ArtifactsListed| (reply.artifacts, reply.next_page);
        let all = whole::all(client, (ServiceName::Rollout, "artifacts"), request, take).await?;
        self.take_releases(all);
        Ok(())
    }

    /// Whoever runs an older release than a recalled one lacks nothing.
    fn take_releases(&mut self, artifacts: Vec<Artifact>) {
        let good = |artifact: &Artifact| artifact.complete && artifact.recalled_at_ms == 0;
        for manifest in artifacts.into_iter().filter(good).filter_map(|one| one.manifest) {
            self.take_release(&manifest);
        }
    }

    fn take_release(&mut self, manifest: &Manifest) {
        for model in &manifest.models {
            let newest = self.newest.entry(model.clone()).or_default();
            if manifest.sequence >= newest.0 {
                *newest = (manifest.sequence, manifest.version.clone());
            }
        }
    }

    /// Asks provisioning for the certificates that devices use.
    pub(crate) async fn ask_provisioning(&mut self, client: &Client) -> Result<()> {
        let request = |Page { size, token }| ListCertificates {
            kind: Kind::Device.word().into(),
            status: CertificateStatus::Active.into(),
            page_size: size,
            page: token,
            ..ListCertificates::default()
        };
        let take = |reply: CertificatesListed| (reply.certificates, reply.next_page);
        let all = whole::all(client, (ServiceName::Provisioning, "list"), request, take).await?;
        for certificate in all {
            let days = (certificate.not_after_ms - certificate.not_before_ms) / DAY_MS;
            self.certified_days.insert(certificate.id, days);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_online_is_seen_now_and_whoever_never_came_is_not() {
        let mut beside = Beside {
            now_ms: 9_000,
            ..Beside::default()
        };
        let status = |id: &str, connectivity: Connectivity, since_ms, heartbeat_ms| DeviceStatus {
            device_id: id.into(),
            connectivity: connectivity.into(),
            since_ms,
            heartbeat_ms,
            ..DeviceStatus::default()
        };
        beside.take_statuses(vec![
            status("a", Connectivity::Online, 1, 2),
            status("b", Connectivity::Offline, 7, 3),
            status("c", Connectivity::Never, 1, 0),
        ]);
        let last = |id: &str| beside.seen.get(id).map(|seen| seen.last_ms);
        assert_eq!((last("a"), last("b"), last("c")), (Some(9_000), Some(7), None));
    }

    #[test]
    fn of_a_models_releases_the_last_counts() {
        let mut beside = Beside::default();
        let artifact = |sequence, version: &str, complete, recalled_at_ms| Artifact {
            manifest: Some(Manifest {
                sequence,
                version: version.into(),
                models: vec!["p200".into()],
                ..Manifest::default()
            }),
            complete,
            recalled_at_ms,
            ..Artifact::default()
        };
        beside.take_releases(vec![
            artifact(2, "1.1", true, 0),
            artifact(9, "2.0", true, 0),
            artifact(3, "1.2", true, 0),
            artifact(10, "2.1", true, 7),
            artifact(11, "2.2", false, 0),
        ]);
        assert_eq!(beside.newest["p200"].1, "2.0");
    }
}
