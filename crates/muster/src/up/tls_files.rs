//! The front door's TLS files, read again when they change.
//!
//! A renewed certificate of the server and a new issuing CA are files in the folder `pki`: the handshakes to come are
//! made with them, and nobody is dropped.

use anyhow::Result;
use broker::{TlsFiles, TlsMaterial};
use tokio_util::sync::CancellationToken;

use super::{
    keys,
    pki_folder::{self, Following, Look},
};
use crate::config::Config;

/// What is followed, for people.
pub(super) const WHAT: &str = "TLS files";

/// What the front door shows and whom it trusts, as it lies on disk.
pub(super) fn read(config: &Config) -> Result<TlsMaterial> {
    let chain = keys::server_chain(config)?;
    let links = keys::links_above(config, &chain)?;
    Ok(TlsMaterial {
        server_chain_pem: chain + &links,
        server_key_pem: keys::server_key(config)?,
        client_roots_pem: keys::roots(config)?,
        root_links_pem: keys::root_links(config)?,
        issuing_pem: keys::issuing_pem(config)?,
    })
}

/// Changes the front door's files whenever those on disk have changed since they were `seen`.
pub(super) async fn follow(config: Config, seen: Look, files: TlsFiles, end: CancellationToken) {
    let folder = config.folder.clone();
    let following = Following {
        what: WHAT,
        settled: 1,
        take: move || read(&config).and_then(|material| Ok(files.change(&material)?)),
    };
    pki_folder::follow(folder, seen, following, end).await;
}
