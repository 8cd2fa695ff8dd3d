//! Devices with keys and certificates of their own, and the installation that knows them.

mod cache;
mod claim;
pub(crate) mod enrol;
pub(crate) mod operator;

use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};

pub(crate) use self::cache::fleet;
use crate::{
    load::report,
    servers::Place,
    wire::{Login, Proof, mqtt::Template, tls::Trust},
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
