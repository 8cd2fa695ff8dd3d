//! What an operator does before devices can come: registers them, and has a claim certificate made.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use client::{Client, Endpoint, Identity, Inbox};
use contract::{
    Id, Kind, Root, ServiceName,
    v1::{
        Authorities, Changed, ClaimMade, GetAuthorities, Issue, ListRenewals, ManyRevoked, MassRenewal,
        PutClaim, PutPerson, RegisterDevice, RegisterDevices, RegisteredDevices, RenewMany, RenewalsListed,
        Revoke, RevokeMany, Revoked, Signed,
    },
};

use crate::{
    servers::{Place, muster},
    wire::tls::{Credentials, Trust},
};

/// The most that one `register-many` takes.
pub(crate) const BATCH: usize = 500;
/// The most devices that one mass renewal names.
const NAMED: usize = 3_000;
/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_millis(200);
const CLAIM: &str = "bench";
/// How long what the registry says takes to provisioning, and more.
const FACTS: Duration = Duration::from_secs(1);
const HOUR_MS: i64 = 3_600_000;

/// A connected operator.
pub(crate) struct Operator {
    pub(crate) client: Client,
    trust: Trust,
    _inbox: Inbox,
}

impl Operator {
    pub(crate) async fn connect(folder: &std::path::Path, place: Place) -> Result<Operator> {
        let [chain, key, roots] = muster::operator_files(folder)?;
        let identity = Identity::from_pem(&chain, &key, &roots)?;
        let endpoint = Endpoint {
            host: place.tls.ip().to_string(),
            port: place.tls.port(),
        };
        let (client, inbox) = Client::connect(&endpoint, &identity, Root::default(), "bench").await?;
        Ok(Operator {
            client,
            trust: Trust::new(&roots)?,
            _inbox: inbox,
        })
    }

    /// Registers devices, and waits until provisioning knows them.
    pub(crate) async fn register(&self, ids: &[Id]) -> Result<()> {
        for ids in ids.chunks(BATCH) {
            let device = |id: &Id| RegisterDevice {
                device_id: id.to_string(),
                model: "bench".into(),
                ..RegisterDevice::default()
            };
            let request = RegisterDevices {
                devices: ids.iter().map(device).collect(),
                ..RegisterDevices::default()
            };
            let reply: RegisteredDevices = self
                .client
                .ask(ServiceName::Registry, "register-many", &request)
                .await?;
            if let Some(refusal) = reply.refused.first() {
                bail!("a device is not registered: {refusal:?}");
            }
        }
        tokio::time::sleep(FACTS).await;
        Ok(())
    }

    /// A claim certificate that this many devices may use.
    pub(crate) async fn make_claim(&self, uses: usize) -> Result<Credentials> {
        let key = pki::generate_key(pki::KeyKind::P256)?;
        let request = PutClaim {
            batch: CLAIM.into(),
            csr: pki::csr_for(&key, CLAIM)?,
            uses: u32::try_from(uses)?,
            expires_ms: now_ms()? + HOUR_MS,
            // What is measured is the machine.
            per_minute: 1_000_000,
            ..PutClaim::default()
        };
        let made: ClaimMade = self
            .client
            .ask(ServiceName::Provisioning, "put-claim", &request)
            .await?;
        Ok(self.trust.with(&made.certificate, &key))
    }

    /// An integrator that may read all devices' data, with a certificate.
    pub(crate) async fn integrator(&self, id: &str) -> Result<Credentials> {
        let kind = Kind::Integrator.word().to_owned();
        let person = PutPerson {
            id: id.into(),
            kind: kind.clone(),
            data_devices: vec!["+".into()],
            ..PutPerson::default()
        };
        let _: Changed = self
            .client
            .ask(ServiceName::Registry, "put-person", &person)
            .await?;
        let key = pki::generate_key(pki::KeyKind::P256)?;
        let request = Issue {
            kind,
            id: id.into(),
            csr: pki::csr_for(&key, id)?,
            ..Issue::default()
        };
        let issued: Signed = self
            .client
            .ask(ServiceName::Provisioning, "issue", &request)
            .await?;
        Ok(self.trust.with(&issued.certificate, &key))
    }

    /// Has all of the batch revoked; how many certificates there were.
    pub(crate) async fn revoke_batch(&self) -> Result<u64> {
        let request = RevokeMany {
            batch: CLAIM.into(),
            ..RevokeMany::default()
        };
        let done: ManyRevoked = self
            .client
            .ask(ServiceName::Provisioning, "revoke-many", &request)
            .await?;
        Ok(done.revoked)
    }

    /// Has all certificates of a device revoked.
    pub(crate) async fn revoke(&self, device: &str) -> Result<()> {
        let request = Revoke {
            kind: Kind::Device.word().into(),
            id: device.into(),
            ..Revoke::default()
        };
        let _: Revoked = self
            .client
            .ask(ServiceName::Provisioning, "revoke", &request)
            .await?;
        Ok(())
    }

    /// The number of the last revocation list that was published.
    pub(crate) async fn list_number(&self) -> Result<u64> {
        let asked = GetAuthorities::default();
        let told: Authorities = self
            .client
            .ask(ServiceName::Provisioning, "authorities", &asked)
            .await?;
        Ok(told.crl_number)
    }

    /// Has devices renew, so many a minute in all: the mass renewals that were begun for them.
    pub(crate) async fn renew(&self, ids: &[String], per_minute: u32) -> Result<Vec<String>> {
        let mut begun = Vec::new();
        let parts = ids.chunks(NAMED);
        let share = per_minute / u32::try_from(parts.len())?.max(1);
        for part in parts {
            let request = RenewMany {
                device_ids: part.to_vec(),
                per_minute: share.max(1),
                ..RenewMany::default()
            };
            let changed: Changed = self
                .client
                .ask(ServiceName::Provisioning, "renew-many", &request)
                .await?;
            begun.push(changed.id);
        }
        Ok(begun)
    }

    /// Waits until mass renewals are over.
    pub(crate) async fn until_renewed(&self, ids: &[String]) -> Result<Vec<MassRenewal>> {
        loop {
            let listed: RenewalsListed = self
                .client
                .ask(ServiceName::Provisioning, "renewals", &ListRenewals::default())
                .await?;
            let mine = listed
                .renewals
                .into_iter()
                .filter(|one| ids.contains(&one.renewal_id));
            let mine: Vec<_> = mine.collect();
            if mine.iter().all(|one| one.ended_at_ms > 0) {
                return Ok(mine);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(crate) async fn leave(self) {
        self.client.disconnect().await;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "an operator's program, as any other, reads its clock"
)]
fn now_ms() -> Result<i64> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Ok(i64::try_from(
        since.context("the clock is before 1970")?.as_millis(),
    )?)
}
