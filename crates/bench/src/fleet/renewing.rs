//! A device that renews when it is told to: it waits for the order, asks for its next certificate, and comes back
//! with it.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use contract::{
    Id, Kind, Principal, Root, ServiceName,
    v1::{Sign, Signed},
    wire::{self, Encoding},
};

use super::claim::Newcomer;
use crate::{
    load::Meter,
    wire::{Connection, Login, mqtt},
};

/// A device with the key that it will have next.
pub(crate) struct Renewer {
    who: Principal,
    next: Newcomer,
    connection: Connection,
    asked: u32,
}

impl Renewer {
    /// Over a connection that is open; it hears from now on what the server has for it.
    pub(crate) async fn listening(id: &str, mut connection: Connection) -> Result<Renewer> {
        let id: Id = id.parse()?;
        let who = Principal::new(Kind::Device, id.clone());
        connection
            .subscribe(&Root::default().down_filter(&who), 0)
            .await?;
        Ok(Renewer {
            who,
            next: Newcomer::new(id)?,
            connection,
            asked: 0,
        })
    }

    /// Waits for the order and obeys; measured from the order to the first session over the next certificate, whose
    /// login `login` makes of chain and key.
    pub(crate) async fn obey(
        mut self,
        login: impl Fn(&str, &str) -> Login,
        meter: &Meter,
    ) -> Result<Connection> {
        self.heard("/down/provisioning/renew").await?;
        let begun = Instant::now();
        let signed = self.ask().await?;
        self.connection.leave().await;
        let next = Connection::open(&login(&signed.certificate, &self.next.key_pem)).await?;
        meter.acknowledged(begun.elapsed());
        Ok(next)
    }

    /// Asks for its next certificate.
    pub(crate) async fn ask(&mut self) -> Result<Signed> {
        self.asked += 1;
        let topic = Root::default().up(&self.who, ServiceName::Provisioning, "renew");
        let request = Sign {
            request_id: format!("next-{}", self.asked),
            csr: self.next.csr_pem.clone(),
            ..Sign::default()
        };
        let payload = wire::encode(&request, Encoding::Json);
        self.connection.send(&mqtt::publish(2, &topic, &payload)).await?;
        let answer = self.heard("/renew/accepted").await;
        let answer = answer.with_context(|| format!("the renewal of {}", self.who))?;
        Ok(wire::decode(&answer, "")?)
    }

    /// The payload of the next message whose topic ends so; a refusal is an error.
    async fn heard(&mut self, end: &str) -> Result<Vec<u8>> {
        loop {
            let owned = |packet: mqtt::Packet<'_>| {
                packet
                    .published()
                    .map(|(topic, _, payload)| (topic.to_owned(), payload.to_vec()))
            };
            let heard = self.connection.await_kind(mqtt::PUBLISH, owned).await?;
            let (topic, payload) = heard.context("a publish without a topic")?;
            if topic.ends_with("/rejected") {
                bail!("{topic}: {}", String::from_utf8_lossy(&payload));
            }
            if topic.ends_with(end) && !payload.is_empty() {
                return Ok(payload);
            }
        }
    }
}
