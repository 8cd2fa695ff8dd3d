//! Fleets that were made once: an installation with its state, and the devices' keys. Measurements run
//! on a copy, so that each begins with the same state.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{Device, Fleet, Transport, enrol, operator::Operator};
use crate::{
    load::crowd::open,
    programs::Programs,
    servers::{Muster, Place, muster},
};

/// Claims at a time while a fleet is made.
const PARALLEL: usize = 32;
/// Devices that are made between two words about how far it is.
const AT_ONCE: usize = 2_000;
/// Devices that are connected at a time when a fleet is put to use.
const TOGETHER: usize = 200;

/// A copy of the fleet of this size, which is made if there is none.
pub(crate) async fn fleet(programs: &Programs, size: usize) -> Result<Fleet> {
    let kept = programs.work.join(format!("fleet-{size}"));
    if !devices_file(&kept).exists() {
        eprintln!("making a fleet of {size} devices in {}", kept.display());
        make(programs, &kept, size).await?;
    }
    let run = programs.work.join("run");
    remove(&run)?;
    copy(&installation(&kept), &installation(&run))?;
    let devices: Vec<Device> = serde_json::from_slice(&fs::read(devices_file(&kept))?)?;
    whole(installation(&run), devices)
}

async fn make(programs: &Programs, kept: &Path, size: usize) -> Result<()> {
    remove(kept)?;
    fs::create_dir_all(kept)?;
    let folder = installation(kept);
    muster::init(&programs.muster, &folder)?;
    let muster = Muster::start(&programs.muster, &folder)?;
    let operator = Operator::connect(&folder, muster.place).await?;
    let ids = enrol::ids(size)?;
    operator.register(&ids).await.context("registering the fleet")?;
    let claim = operator.make_claim(size).await.context("making a claim")?;
    operator.leave().await;
    let mut devices = Vec::with_capacity(size);
    for ids in ids.chunks(AT_ONCE) {
        let newcomers = enrol::newcomers(ids)?;
        let (certified, _) = enrol::certify(newcomers, &claim, muster.place, PARALLEL).await?;
        devices.extend(certified);
        eprintln!("{} of {size} devices have their certificates", devices.len());
    }
    let fleet = whole(folder, devices)?;
    put_to_use(&fleet, muster.place).await?;
    muster.process.stop()?;
    // Last: its presence says that all of the rest is there.
    Ok(fs::write(
        devices_file(kept),
        serde_json::to_vec(&fleet.devices)?,
    )?)
}

/// Each device comes with its certificate once, as every fleet's devices have: the first time is written down.
async fn put_to_use(fleet: &Fleet, place: Place) -> Result<()> {
    let mut logins = fleet
        .logins(fleet.devices.len(), Transport::Mtls, place)
        .into_iter();
    loop {
        let some: Vec<_> = logins.by_ref().take(TOGETHER).collect();
        if some.is_empty() {
            return Ok(());
        }
        for connection in open(some).await? {
            connection.leave().await;
        }
    }
}

fn whole(folder: PathBuf, devices: Vec<Device>) -> Result<Fleet> {
    let [_, _, roots] = muster::operator_files(&folder)?;
    Fleet::new(folder, devices, &roots)
}

fn installation(of: &Path) -> PathBuf {
    of.join("installation")
}

fn devices_file(kept: &Path) -> PathBuf {
    kept.join("devices.json")
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}

/// Copies a folder with its permissions.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
