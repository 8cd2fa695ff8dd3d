//! The issuing CAs that provisioning signs with, and the roots above them, read again when `muster ca` has changed them.

use std::sync::Arc;

use anyhow::Result;
use contract::id::ServiceName;
use host::Waker;
use pki::Authority;
use provisioning::{ISSUERS_CHANGED, Issuers, LISTS_LOST};
use tokio_util::sync::CancellationToken;

use super::{
    keys::{self, Issuing},
    pki_folder::{self, Following, Look},
    services,
};
use crate::config::Config;

/// What is followed, for people.
pub(super) const WHAT: &str = "issuing CAs";
/// Two looks more than the front door waits for, which may see a change one look later than this: it trusts a new CA
/// before anything is signed by it.
const SETTLED: u32 = 3;

/// Opens those that are listed.
pub(super) fn open(config: &Config) -> Result<Issuers> {
    let (signing, others) = opened(config)?;
    Ok(Issuers::new(signing, others))
}

fn opened(config: &Config) -> Result<(Arc<Authority>, Vec<Arc<Authority>>)> {
    let Issuing { signing, others } = keys::all_issuing(config)?;
    Ok((Arc::new(signing), others.into_iter().map(Arc::new).collect()))
}

/// Changes them whenever the files on disk have changed since they were `seen`. The service is also told which it
/// began with: they may have changed while it did not run.
pub(super) async fn follow(
    config: Config,
    seen: Look,
    issuers: Issuers,
    waker: Waker,
    end: CancellationToken,
) {
    waker.wake(ISSUERS_CHANGED);
    let files = services::files(&config, ServiceName::Provisioning);
    if issuers.list_files().iter().any(|file| !files.join(file).exists()) {
        waker.wake(LISTS_LOST);
    }
    let folder = config.folder.clone();
    let following = Following {
        what: WHAT,
        settled: SETTLED,
        take: move || {
            let (roots, links) = (keys::roots(&config)?, keys::root_links(&config)?);
            let (signing, others) = opened(&config)?;
            issuers.link(links);
            issuers.trust(roots);
            issuers.change(signing, others);
            waker.wake(ISSUERS_CHANGED);
            Ok(())
        },
    };
    pki_folder::follow(folder, seen, following, end).await;
}
