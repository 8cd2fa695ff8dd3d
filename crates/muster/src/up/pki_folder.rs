//! The folder `pki`, looked at again and again: who uses files in it follows them while it runs.
//!
//! Whoever writes them does nothing else: what fits is in use within seconds, and what does not fit changes nothing.

use std::{collections::BTreeMap, ffi::OsString, time::Duration, time::SystemTime};

use anyhow::Result;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::folder::Folder;

/// How often the folder is looked at.
const EVERY: Duration = Duration::from_secs(2);

/// The files of the folder as they looked: when each was written, and how long it is.
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

/// Who follows the folder.
pub(super) struct Following<T> {
    /// What is taken of it, for people.
    pub(super) what: &'static str,
    /// Looks that the files must stay as they are before they are taken: a certificate may have been written, and its
    /// key not.
    pub(super) settled: u32,
    /// Takes them; after an error what was in use stays in use.
    pub(super) take: T,
}

/// Takes the files whenever they have changed since they were `seen`.
pub(super) async fn follow<T>(folder: Folder, seen: Look, following: Following<T>, end: CancellationToken)
where
    T: FnMut() -> Result<()> + Send + 'static,
{
    let mut follower = Follower {
        folder,
        seen,
        following,
        unchanged: 0,
        is_new: false,
        is_told: false,
    };
    loop {
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        let looked = tokio::task::spawn_blocking(move || {
            follower.look();
            follower
        });
        match looked.await {
            Ok(back) => follower = back,
            Err(_) => return,
        }
    }
}

struct Follower<T> {
    folder: Folder,
    seen: Look,
    following: Following<T>,
    /// Looks since what was seen last changed.
    unchanged: u32,
    /// What was seen is not in use yet.
    is_new: bool,
    /// That it does not fit was said.
    is_told: bool,
}

impl<T: FnMut() -> Result<()>> Follower<T> {
    fn look(&mut self) {
        let now = Look::at(&self.folder);
        if now != self.seen {
            (self.seen, self.unchanged) = (now, 0);
            (self.is_new, self.is_told) = (true, false);
            return;
        }
        self.unchanged = self.unchanged.saturating_add(1);
        if !self.is_new || self.unchanged < self.following.settled {
            return;
        }
        let what = self.following.what;
        match (self.following.take)() {
            Ok(()) => {
                self.is_new = false;
                metrics::counter!("muster_pki_files_taken_total", "what" => what).increment(1);
                info!(what, "files in the folder pki have changed and are in use");
            }
            // Tried at each look: it may be the disk.
            Err(error) if !self.is_told => {
                self.is_told = true;
                metrics::counter!("muster_pki_files_refused_total", "what" => what).increment(1);
                warn!(
                    what,
                    "files in the folder pki have changed and do not fit; what was in use stays in use: {error:#}"
                );
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use super::*;
    use crate::folder::write_public;

    #[test]
    fn what_has_settled_is_taken_once_and_what_does_not_fit_is_tried_again() {
        let at = tempfile::tempdir().unwrap();
        let folder = Folder::at(at.path());
        let (taken, bad) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(1)));
        let (counted, fails) = (taken.clone(), bad.clone());
        let mut follower = Follower {
            seen: Look::at(&folder),
            folder: folder.clone(),
            following: Following {
                what: "tests",
                settled: 2,
                take: move || {
                    counted.fetch_add(1, Ordering::SeqCst);
                    anyhow::ensure!(fails.swap(0, Ordering::SeqCst) == 0, "not today");
                    Ok(())
                },
            },
            unchanged: 0,
            is_new: false,
            is_told: false,
        };
        let mut after = |looks: u32| {
            (0..looks).for_each(|_| follower.look());
            taken.load(Ordering::SeqCst)
        };
        assert_eq!(after(5), 0, "nothing has changed");
        write_public(&folder.pki("a.pem"), b"a").unwrap();
        assert_eq!(after(2), 0, "seen, and not settled");
        write_public(&folder.pki("b.pem"), b"bb").unwrap();
        assert_eq!(after(2), 0, "it goes on changing");
        assert_eq!(after(1), 1, "refused");
        assert_eq!(after(1), 2, "tried again");
        assert_eq!(after(5), 2, "in use");
    }
}
