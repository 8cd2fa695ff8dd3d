//! Somebody who has got hold of a device's key and tries what the device may not.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};
use client::{Client, Endpoint, Identity};
use contract::{Root, id::ServiceName, v1};

use crate::folder::{read_secret, read_text};

/// How often it tries.
const ATTEMPTS: usize = 30;

/// Connects with a device's own certificate and asks for what only operators may; says how often it was
/// refused.
pub(super) async fn try_everything(folder: &Path, roots: &Path, endpoint: &Endpoint) -> Result<usize> {
    let pem = String::from_utf8(read_secret(&folder.join("identity.pem"))?).context("no PEM")?;
    let at = pem
        .find("-----BEGIN CERTIFICATE-----")
        .context("no certificate")?;
    let (key, chain) = pem.split_at(at);
    let identity = Identity::from_pem(chain, key, &read_text(roots)?)?;
    let (client, _inbox) = Client::connect(endpoint, &identity, Root::default(), "intruder").await?;
    let client = client.with_patience(Duration::from_secs(5));
    let mut refused = 0;
    for _ in 0..ATTEMPTS {
        let request = v1::RetireDevice {
            device_id: "pump-0001".into(),
            ..v1::RetireDevice::default()
        };
        if client
            .ask::<v1::Changed>(ServiceName::Registry, "retire", &request)
            .await
            .is_err()
        {
            refused += 1;
        }
    }
    client.disconnect().await;
    Ok(refused)
}
