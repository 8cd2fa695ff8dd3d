//! Devices with keys and certificates of their own, and the installation that knows them.

mod cache;
mod claim;
pub(crate) mod enrol;
pub(crate) mod operator;
pub(crate) mod renewing;

use std::{path::PathBuf, rc::Rc};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_local;

pub(crate) use self::cache::fleet;
use crate::{
    load::{Meter, crowd::all, report},
    servers::Place,
    wire::{Connection, Login, Proof, mqtt::Template, tls::Trust},
};

/// A device of a fleet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Device {
    pub(crate) id: String,
    pub(crate) key_pem: String,
    pub(crate) chain_pem: String,
}

/// An installation and its devices.
pub(crate) struct Fleet {
    pub(crate) folder: PathBuf,
    pub(crate) devices: Vec<Device>,
    trust: Trust,
}

/// How devices reach a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Transport {
    /// TCP and a user name.
    Plain,
    /// TLS with a client certificate for each device.
    Mtls,
}

impl Fleet {
    pub(crate) fn new(folder: PathBuf, devices: Vec<Device>, roots_pem: &str) -> Result<Fleet> {
        Ok(Fleet {
            folder,
            devices,
            trust: Trust::new(roots_pem)?,
        })
    }

    /// The logins and reports of the first devices.
    pub(crate) fn first(
        &self,
        count: usize,
        transport: Transport,
        place: Place,
    ) -> Result<Vec<(Login, Template)>> {
        let devices = self.devices.iter().take(count).enumerate();
        devices
            .map(|(number, device)| {
                let login = self.login(number, device, transport, place);
                Ok((login, report::template(&device.id.parse()?)))
            })
            .collect()
    }

    /// The logins and reports of the last devices.
    pub(crate) fn last(
        &self,
        count: usize,
        transport: Transport,
        place: Place,
    ) -> Result<Vec<(Login, Template)>> {
        let begin = self.devices.len().saturating_sub(count);
        let all = self.first(self.devices.len(), transport, place)?;
        Ok(all.into_iter().skip(begin).collect())
    }

    /// The ids of the first devices.
    pub(crate) fn ids(&self, count: usize) -> Vec<String> {
        let devices = self.devices.iter().take(count);
        devices.map(|device| device.id.clone()).collect()
    }

    /// Waits until each of the first devices has renewed as it is told; their connections.
    pub(crate) async fn renew(
        &self,
        renewers: Vec<renewing::Renewer>,
        place: Place,
        meter: &Rc<Meter>,
    ) -> Result<Vec<Connection>> {
        let running = renewers.into_iter().enumerate().map(|(number, renewer)| {
            let (trust, meter) = (self.trust.clone(), meter.clone());
            let id = self.devices[number].id.clone();
            spawn_local(async move {
                let login = |chain: &str, key: &str| Login {
                    address: place.tls,
                    client_id: id.clone(),
                    proof: Proof::Certificate(trust.with(chain, key)),
                    number,
                };
                renewer.obey(login, &meter).await
            })
        });
        all(running.collect()).await
    }

    /// The logins of the first devices.
    pub(crate) fn logins(&self, count: usize, transport: Transport, place: Place) -> Vec<Login> {
        let devices = self.devices.iter().take(count).enumerate();
        devices
            .map(|(number, device)| self.login(number, device, transport, place))
            .collect()
    }

    fn login(&self, number: usize, device: &Device, transport: Transport, place: Place) -> Login {
        let (address, proof) = match transport {
            Transport::Plain => (place.plain, Proof::UserName(format!("devices/{}", device.id))),
            Transport::Mtls => (
                place.tls,
                Proof::Certificate(self.trust.with(&device.chain_pem, &device.key_pem)),
            ),
        };
        Login {
            address,
            client_id: device.id.clone(),
            proof,
            number,
        }
    }
}

impl Transport {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Transport::Plain => "plain",
            Transport::Mtls => "mTLS",
        }
    }
}
