//! The front door's TLS files, read again when they change.
//!
//! A renewed certificate of the server and a new issuing CA are files in the folder `pki`. Whoever writes them
//! does nothing else: within [`EVERY`] the next handshakes are made with them, and nobody is dropped.

use std::{collections::BTreeMap, ffi::OsString, time::Duration, time::SystemTime};

use anyhow::Result;
use broker::{TlsFiles, TlsMaterial};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::keys;
use crate::{config::Config, folder::Folder};

/// How often the folder is looked at.
const EVERY: Duration = Duration::from_secs(2);

/// What the front door shows and whom it trusts, as it lies on disk.
pub(super) fn read(config: &Config) -> Result<TlsMaterial> {
    Ok(TlsMaterial {
        server_chain_pem: keys::server_chain(config)?,
        server_key_pem: keys::server_key(config)?,
        client_roots_pem: keys::roots(config)?,
        issuing_pem: keys::issuing_pem(config)?,
    })
}

/// The files of the folder `pki` as they looked: when each was written, and how long it is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Look(BTreeMap<OsString, (Option<SystemTime>, u64)>);

impl Look {
    pub(super) fn at(folder: &Folder) -> Look {
        let files = std::fs::read_dir(folder.pki("")).into_iter().flatten().flatten();
        let look = files.filter_map(|file| {
            let about = file.metadata().ok()?;
            Some((file.file_name(), (about.modified().ok(), about.len())))
        });
        Look(look.collect())
    }
}

/// Changes the front door's files whenever those on disk have changed since they were `seen`.
pub(super) async fn follow(config: Config, seen: Look, files: TlsFiles, end: CancellationToken) {
    let mut follower = Follower {
        seen,
        is_new: false,
        is_told: false,
    };
    loop {
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        let (config, files) = (config.clone(), files.clone());
        let looked = tokio::task::spawn_blocking(move || {
            follower.look(&config, &files);
            follower
        });
        match looked.await {
            Ok(back) => follower = back,
            Err(_) => return,
        }
    }
}

struct Follower {
    seen: Look,
    /// What was seen is not in use yet.
    is_new: bool,
    /// That it does not fit was said.
    is_told: bool,
}

impl Follower {
    /// Files that still change are left alone: a certificate may have been written, and its key not.
    fn look(&mut self, config: &Config, files: &TlsFiles) {
        let now = Look::at(&config.folder);
        if now != self.seen {
            (self.seen, self.is_new, self.is_told) = (now, true, false);
            return;
        }
        if !self.is_new {
            return;
        }
        let taken = read(config).and_then(|material| Ok(files.change(&material)?));
        match taken {
            Ok(()) => {
                self.is_new = false;
                metrics::counter!("muster_tls_files_taken_total").increment(1);
                info!("the TLS files have changed; the handshakes to come are made with them");
            }
            // Tried at each look: it may be the disk.
            Err(error) if !self.is_told => {
                self.is_told = true;
                metrics::counter!("muster_tls_files_refused_total").increment(1);
                warn!("the TLS files have changed and do not fit; what was in use stays in use: {error:#}");
            }
            Err(_) => {}
        }
    }
}
