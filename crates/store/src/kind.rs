//! Which engine keeps a store's rows.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use service::store::StoreError;

use crate::database::Database;
use crate::engine::SledStore;
use crate::fault::Fault;
use crate::opening::OpenOptions;
use crate::redb_store::{self, RedbStore};
use crate::stopped::{Rewritten, Stopped};
use crate::swap;

/// What a store may take whatever its rows have: the redo logs, segments begun, and pages half full.
const SMALL_BYTES: u64 = 64 << 20;
/// Rows of more bytes than this are not written anew while a start waits for it: it would take minutes, and a
/// supervisor that loses its patience would end each attempt.
const LARGE_BYTES: u64 = 256 << 20;

/// An engine behind the store trait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Engine {
    /// sled under a redo log: the default.
    #[default]
    Sled,
    /// redb, whose commits are durable by themselves.
    Redb,
}

impl Engine {
    /// Its word, in the configuration and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Engine::Sled => "sled",
            Engine::Redb => "redb",
        }
    }

    /// The engine whose files lie in `folder`; `None` when there are none.
    pub fn of(folder: &Path) -> Option<Engine> {
        let has = |name: &str| folder.join(name).exists();
        if has(redb_store::FILE) {
            return Some(Engine::Redb);
        }
        (has("db") || has("redo") || has("redo-2")).then_some(Engine::Sled)
    }

    /// Opens the store, or makes it. A folder of another engine is refused.
    pub fn open(self, options: OpenOptions) -> Result<Arc<dyn Database>, StoreError> {
        let path = options.path.as_path();
        swap::demand_whole(path)?;
        match Engine::of(path) {
            Some(found) if found != self => Err(Fault::Other(format!(
                "this store is kept by {found}, and {self} is configured; bring it over with `muster store migrate --to {self}`"
            ))
            .told(path)),
            _ => self.open_slim(options),
        }
    }

    /// Opens the store, written anew first if its engine keeps too much of former rows. That it cannot be,
    /// on a disk that has no room for it twice, is no reason not to serve from it.
    fn open_slim(self, options: OpenOptions) -> Result<Arc<dyn Database>, StoreError> {
        let store = self.open_as_it_is(options.clone())?;
        let (live, size) = (store.live_bytes(), store.size_on_disk()?);
        let path = options.path.display();
        match space(live, size, options.compact_above) {
            Space::Fits => return Ok(store),
            Space::TooLarge => {
                tracing::warn!(
                    %path, live, size,
                    "the database takes much more room than its records and is too large to be written anew at a start; run `muster store compact` while the service is down"
                );
                return Ok(store);
            }
            Space::Bloated => tracing::info!(%path, live, size, "the database is written anew first"),
        }
        drop(store);
        match (Stopped {
            options: options.clone(),
            engine: self,
        })
        .compact()
        {
            Ok(Rewritten { before, after, .. }) => {
                tracing::info!(%path, before, after, "the database was written anew")
            }
            Err(error) => tracing::warn!(%path, %error, "the database should be written anew, and cannot be"),
        }
        self.open_as_it_is(options)
    }

    /// Opens the store of this engine.
    pub(crate) fn open_as_it_is(self, options: OpenOptions) -> Result<Arc<dyn Database>, StoreError> {
        Ok(match self {
            Engine::Sled => Arc::new(SledStore::open(options)?),
            Engine::Redb => Arc::new(RedbStore::open(options)?),
        })
    }
}

/// What is to be said of the room that a store takes.
#[derive(Debug, PartialEq, Eq)]
enum Space {
    Fits,
    /// Worth to be written anew.
    Bloated,
    /// It would be, and would take too long.
    TooLarge,
}

/// Judges a store of `size` bytes on disk with `live` bytes of rows; `above` for each of them is too much, 0 never.
fn space(live: u64, size: u64, above: u32) -> Space {
    if above == 0 || size <= SMALL_BYTES + live.saturating_mul(u64::from(above)) {
        Space::Fits
    } else if live > LARGE_BYTES {
        Space::TooLarge
    } else {
        Space::Bloated
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Engine {
    type Err = String;

    fn from_str(word: &str) -> Result<Engine, String> {
        match word {
            "sled" => Ok(Engine::Sled),
            "redb" => Ok(Engine::Redb),
            _ => Err(format!("`{word}` is no engine; there are `sled` and `redb`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_waits_for_a_small_store_to_be_written_anew_and_for_no_large_one() {
        let mib = |n: u64| n << 20;
        assert_eq!(space(0, mib(64), 4), Space::Fits);
        assert_eq!(space(0, mib(65), 4), Space::Bloated);
        assert_eq!(space(mib(100), mib(464), 4), Space::Fits);
        assert_eq!(space(mib(100), mib(465), 4), Space::Bloated);
        assert_eq!(space(mib(257), mib(4_000), 4), Space::TooLarge);
        assert_eq!(space(mib(257), u64::MAX, 0), Space::Fits);
    }
}
