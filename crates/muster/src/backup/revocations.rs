//! What was revoked after a backup must stay revoked.
//!
//! The backup cannot know it. What the last published revocation lists say is taken over: those that are given,
//! and those of the installations which make room, or have. The lists' numbers go on above all that were ever published:
//! above those lists, and above the time in milliseconds, which is above what any earlier restoring gave.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use contract::{
    Id,
    id::ServiceName,
    v1::{RevokedLine, TakeRevocations},
    wire::{self, Encoding},
};
use host::{Clock, Offline, SystemClock};
use pki::{IssuingCertificate, PublishedList, PublishedListError};
use provisioning::Issuers;

use super::manifest::Manifest;
use crate::{
    authorities::{self, Register, State},
    config::Config,
    exit::{Exit, Failure},
    up::services,
};

/// Who it was, in the events.
const ACTOR: &str = "restore";
/// Lines in one request.
const LINES: usize = 500;

/// What was taken over.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Where from.
    pub(crate) files: Vec<PathBuf>,
    /// Lines of the lists.
    pub(crate) lines: usize,
    /// When the newest of them was made; what was revoked later is not known.
    pub(crate) until_ms: Option<i64>,
    /// Lists that were there and could not be used, in words.
    pub(crate) unused: Vec<String>,
}

/// Tells the provisioning service that is brought back, below `config`, what was revoked since: by lists that were
/// given, which must be good, and by those that were found `published`.
pub(super) fn take_over(
    config: &Config,
    given: &[PathBuf],
    published: &[PathBuf],
    manifest: &Manifest,
) -> Result<Taken> {
    if manifest.database(ServiceName::Provisioning).is_none() {
        return Ok(Taken::default());
    }
    let issuing = issuing(config)?;
    let mut taken = Taken::default();
    let mut lists = Vec::new();
    for path in given {
        lists.extend(read(path, &issuing)?);
        taken.files.push(path.clone());
    }
    for path in published {
        match read(path, &issuing) {
            Ok(found) => {
                lists.extend(found);
                taken.files.push(path.clone());
            }
            Err(error) => taken.unused.push(error.to_string()),
        }
    }
    taken.until_ms = lists.iter().map(|list| list.this_update_ms).max();
    let lines = lines(&lists);
    taken.lines = lines.len();
    let number = lists.iter().map(|list| list.number).max().unwrap_or_default();
    tell(config, &issuing, number, &lines)?;
    Ok(taken)
}

/// The issuing CAs that the backup trusts, the one that signs first.
fn issuing(config: &Config) -> Result<Vec<IssuingCertificate>> {
    let register = Register::read(&config.folder)?;
    let mut listed = register.all();
    listed.sort_by_key(|one| one.state != State::Active);
    let read = |one: &crate::authorities::Listed| authorities::certificate(&config.folder, &one.id);
    listed.into_iter().map(read).collect()
}

fn read(path: &Path, issuing: &[IssuingCertificate]) -> Result<Vec<PublishedList>, Failure> {
    let pem =
        fs::read(path).map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    PublishedList::read_all(&pem, issuing).map_err(|error| {
        let exit = match error {
            PublishedListError::NotOurs => Exit::Denied,
            _ => Exit::Usage,
        };
        Failure::new(exit, format!("{}: {error}", path.display()))
    })
}

fn tell(config: &Config, issuing: &[IssuingCertificate], number: u64, lines: &[RevokedLine]) -> Result<()> {
    let (signing, others) = issuing.split_first().context("no issuing CA")?;
    let service = services::provisioning(config, Issuers::without_keys(signing, others))?;
    let store = services::opener(config, ServiceName::Provisioning)()?;
    let clock = SystemClock::default();
    let offline = Offline {
        service: Arc::new(service),
        store: &*store,
        root: config.root.clone(),
        site: config.site.clone(),
        clock: &clock,
    };
    let number = number.max(u64::try_from(clock.now().wall_ms).unwrap_or_default());
    let who: Id = ACTOR.parse().context("the restoring's own name")?;
    // One at least: the numbers go on above, whatever was revoked.
    let mut pages: Vec<&[RevokedLine]> = lines.chunks(LINES).collect();
    if pages.is_empty() {
        pages.push(&[]);
    }
    for page in pages {
        let request = TakeRevocations {
            request_id: String::new(),
            number,
            revoked: page.to_vec(),
        };
        let payload = wire::encode(&request, Encoding::Protobuf);
        offline.decide(who.clone(), "take-revocations", payload)?;
    }
    Ok(())
}

/// What the lists say, each certificate once: as the newest of them says it.
fn lines(lists: &[PublishedList]) -> Vec<RevokedLine> {
    let mut oldest_first: Vec<_> = lists.iter().collect();
    oldest_first.sort_by_key(|list| list.this_update_ms);
    let mut lines = BTreeMap::new();
    for list in oldest_first {
        for revoked in &list.revoked {
            let line = RevokedLine {
                serial: revoked.serial.to_hex(),
                at_ms: revoked.at_ms,
                reason: revoked.reason.word().to_owned(),
                issuer: list.issuer.clone(),
            };
            lines.insert(line.serial.clone(), line);
        }
    }
    lines.into_values().collect()
}
