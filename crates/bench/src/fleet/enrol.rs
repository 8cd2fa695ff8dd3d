//! Certificates for a whole fleet through the claim path, several devices at a time.

use std::{rc::Rc, sync::Arc};

use anyhow::Result;
use contract::Id;
use tokio::{sync::Semaphore, task::spawn_local};

use super::{Device, claim::Newcomer};
use crate::{
    load::{Figures, Meter, crowd::all},
    servers::Place,
    wire::{Login, Proof, tls::Credentials},
};

/// The ids of a fleet of this size.
pub(crate) fn ids(count: usize) -> Result<Vec<Id>> {
    (0..count).map(|n| Ok(format!("d-{n:05}").parse()?)).collect()
}

/// Keys and requests, made beforehand: on a real fleet that is the devices' work.
pub(crate) fn newcomers(ids: &[Id]) -> Result<Vec<Newcomer>> {
    ids.iter().cloned().map(Newcomer::new).collect()
}

/// Has every newcomer certified, at most `parallel` at a time.
pub(crate) async fn certify(
    newcomers: Vec<Newcomer>,
    claim: &Credentials,
    place: Place,
    parallel: usize,
) -> Result<(Vec<Device>, Figures)> {
    let meter = Rc::new(Meter::new()?);
    let gate = Arc::new(Semaphore::new(parallel));
    meter.begin();
    let mut running = Vec::with_capacity(newcomers.len());
    for (number, newcomer) in newcomers.into_iter().enumerate() {
        // Taken in order and outside the task, so that waiting is no part of the time.
        let turn = gate.clone().acquire_owned().await?;
        let meter = meter.clone();
        let login = Login {
            address: place.tls,
            client_id: newcomer.id.to_string(),
            proof: Proof::Certificate(claim.clone()),
            number,
        };
        running.push(spawn_local(async move {
            let _turn = turn;
            let signed = newcomer.claim(&login, &meter).await?;
            Ok(Device {
                id: newcomer.id.to_string(),
                key_pem: newcomer.key_pem,
                chain_pem: signed.certificate,
            })
        }));
    }
    let devices = all(running).await?;
    meter.end();
    Ok((devices, meter.figures()?))
}
