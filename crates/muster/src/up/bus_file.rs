//! Where the services find the front door: an address and a secret in a file only the owner may read.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::{
    config::Config,
    folder::{read_secret, write_secret},
};

const FILE: &str = "bus.json";
const SECRET: &str = "bus.secret";

/// The front door's listener for services.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct BusFile {
    pub(super) address: SocketAddr,
    pub(super) secret: String,
}

impl BusFile {
    pub(super) fn read(config: &Config) -> Result<BusFile> {
        let bytes = read_secret(&config.path(&config.state).join(FILE))?;
        serde_json::from_slice(&bytes).context("bus.json does not parse")
    }

    pub(super) fn write(&self, config: &Config) -> Result<()> {
        write_secret(&config.path(&config.state).join(FILE), &serde_json::to_vec(self)?)
    }
}

/// The secret, made at the first start and kept, so that a service that runs by itself outlives a restart
/// of the front door.
pub(super) fn secret(config: &Config) -> Result<String> {
    let path = config.path(&config.state).join(SECRET);
    if !path.exists() {
        let secret: String = rand::random::<[u8; 24]>()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        write_secret(&path, secret.as_bytes())?;
    }
    String::from_utf8(read_secret(&path)?).context("bus.secret is no text")
}
