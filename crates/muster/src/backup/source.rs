//! Where the databases' copies come from: the services that run, or their databases when they do not.

use std::{os::unix::net::UnixStream, path::Path, sync::Arc, thread};

use anyhow::{Context, Result};
use contract::id::ServiceName;
use service::store::StoreError;
use store::{
    Engine, OpenOptions,
    copy::{self, CopyError, Incoming, Tapped},
};

use crate::{
    config::Config,
    exit::{Exit, Failure},
    folder::demand_owner,
    up::{copies, services},
};

/// A copy that has begun.
pub(super) struct Source {
    pub(super) name: ServiceName,
    pub(super) incoming: Incoming<UnixStream>,
    pub(super) running: bool,
}

/// Begins a service's copy; `None` when it has no database.
pub(super) fn open(config: &Config, name: ServiceName) -> Result<Option<Source>> {
    let database = services::database(config, name);
    if !database.exists() {
        return Ok(None);
    }
    demand_owner(&database)?;
    let folder = services::folder(config, name);
    let running = copies::connect(&folder).ok();
    let is_running = running.is_some();
    let stream = match running {
        Some(stream) => stream,
        None => from_stopped(config, name, &folder)?,
    };
    let incoming = Incoming::begin(stream).map_err(|error| told(name, error))?;
    Ok(Some(Source {
        name,
        incoming,
        running: is_running,
    }))
}

/// Opens the database here, and copies it as its service would.
fn from_stopped(config: &Config, name: ServiceName, folder: &Path) -> Result<UnixStream> {
    let options = OpenOptions {
        compact_above: 0,
        ..services::options(config, name)
    };
    let engine = Engine::of(&options.path).unwrap_or(config.engine);
    let store = engine.open(options).map_err(|error| match error {
        StoreError::Locked { .. } => Failure::new(
            Exit::Unavailable,
            format!(
                "the {name} service runs and does not answer on {}; try again",
                copies::SOCKET
            ),
        ),
        error @ StoreError::Damaged { .. } => Failure::new(Exit::Damaged, format!("{name}: {error}")),
        error => Failure::new(Exit::Failed, format!("{name}: {error}")),
    })?;
    let (near, far) = UnixStream::pair().context("no pair of sockets")?;
    let store = Arc::new(Tapped::new(store));
    let folder = folder.to_owned();
    // It ends when the other side does; what went wrong it has told.
    thread::spawn(move || {
        let _ = copy::send(&Arc::downgrade(&store), &folder, &far, &far);
    });
    Ok(near)
}

/// What a copy's error means to whoever asked for a backup.
pub(super) fn told(name: ServiceName, error: CopyError) -> Failure {
    let exit = match &error {
        CopyError::Told { damaged: true, .. } => Exit::Damaged,
        CopyError::Store(StoreError::Damaged { .. }) => Exit::Damaged,
        CopyError::Nonsense | CopyError::Store(_) => Exit::Failed,
        _ => Exit::Unavailable,
    };
    Failure::new(exit, format!("{name}: {error}; there is no backup"))
}
