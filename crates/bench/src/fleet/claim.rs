//! How a device gets its first certificate: it connects with its batch's claim certificate, has its key
//! signed, and leaves.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use contract::{
    Id, Kind, Principal, Root, ServiceName,
    v1::{Sign, Signed},
    wire::{self, Encoding},
};

use crate::{
    load::Meter,
    wire::{Connection, Login, mqtt},
};

/// A device before it has a certificate.
#[derive(Clone)]
pub(crate) struct Newcomer {
    pub(crate) id: Id,
    pub(crate) key_pem: String,
    pub(crate) csr_pem: String,
}

impl Newcomer {
    pub(crate) fn new(id: Id) -> Result<Newcomer> {
        let key_pem = pki::generate_key(pki::KeyKind::P256)?.to_string();
        let csr_pem = pki::csr_for(&key_pem, id.as_str())?;
        Ok(Newcomer { id, key_pem, csr_pem })
    }

    /// The whole conversation, timed from before the connection to the certificate.
    pub(crate) async fn claim(&self, login: &Login, meter: &Meter) -> Result<Signed> {
        let begun = Instant::now();
        let who = Principal::new(Kind::Claim, self.id.clone());
        let mut connection = Connection::open(login).await?;
        connection
            .subscribe(&Root::default().down_filter(&who), 0)
            .await?;
        let topic = Root::default().up(&who, ServiceName::Provisioning, "sign");
        let request = Sign {
            request_id: "first".into(),
            csr: self.csr_pem.clone(),
            ..Sign::default()
        };
        let payload = wire::encode(&request, Encoding::Json);
        connection.send(&mqtt::publish(2, &topic, &payload)).await?;
        let answer = answer(&mut connection)
            .await
            .with_context(|| format!("the claim of {}", self.id))?;
        meter.acknowledged(begun.elapsed());
        connection.leave().await;
        Ok(answer)
    }
}

async fn answer(connection: &mut Connection) -> Result<Signed> {
    let owned = |packet: mqtt::Packet<'_>| {
        packet
            .published()
            .map(|(topic, _, payload)| (topic.to_owned(), payload.to_vec()))
    };
    let (topic, payload) = connection
        .await_kind(mqtt::PUBLISH, owned)
        .await?
        .context("a publish without a topic")?;
    if !topic.ends_with("/sign/accepted") {
        bail!("{topic}: {}", String::from_utf8_lossy(&payload));
    }
    Ok(wire::decode(&payload, "")?)
}
