//! The files of an update: its journal, the marker, what has been fetched, and the two slots.
//!
//! | file | holds |
//! |---|---|
//! | `update.json` | the journal |
//! | `active` | for the start script: `a`, `b`, or `b try` |
//! | `slot-a`, `slot-b` | images |
//! | `incoming-{artifact}` | an image on its way, and `….map`, which of its blocks are there |

use std::{io, path::PathBuf, sync::Arc};

use artifact::ImageCheck;

use super::journal::{Held, Job, Journal, Slot};
use crate::{
    error::Error,
    files::Folder,
    planted::{self, Mistake},
    platform::Image,
};

const JOURNAL: &str = "update.json";
const MARKER: &str = "active";
const INCOMING: &str = "incoming-";
const PIECE: usize = 64 * 1024;

/// The files of an update.
#[derive(Debug, Clone)]
pub(crate) struct Slots(Arc<Folder>);

impl Slots {
    pub(crate) fn new(folder: Arc<Folder>) -> Slots {
        Slots(folder)
    }

    /// File work, away from the threads that serve the network where it takes long.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Slots) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        if !self.0.disk().is_slow() {
            return work(self);
        }
        let slots = self.clone();
        match tokio::task::spawn_blocking(move || work(&slots)).await {
            Ok(done) => done,
            Err(gone) => Err(self.0.failure("", "file work", io::Error::other(gone))),
        }
    }

    /// Reads the journal; a device that never had one has the image it was delivered with.
    pub(crate) fn journal(&self) -> Result<Journal, Error> {
        match self.0.read(JOURNAL)? {
            None => Ok(Journal::default()),
            Some(bytes) => Journal::from_bytes(&bytes).map_err(|e| self.0.damaged(JOURNAL, e.to_string())),
        }
    }

    /// Keeps the journal, then the marker, which follows from it.
    pub(crate) fn save(&self, journal: &Journal) -> Result<(), Error> {
        self.0.write(JOURNAL, &journal.to_bytes())?;
        self.mark(journal)
    }

    /// Writes the marker anew: a cut may have come between the journal and it.
    pub(crate) fn mark(&self, journal: &Journal) -> Result<(), Error> {
        let marker = journal.marker();
        if self.0.read(MARKER)?.as_deref() == Some(marker.as_bytes()) {
            return Ok(());
        }
        self.0.write(MARKER, marker.as_bytes())
    }

    /// The map of an image on its way.
    pub(crate) fn map(&self, job: &Job) -> Result<Option<Vec<u8>>, Error> {
        // Without the image the map says nothing.
        let there = self.is_there(&incoming(job))?;
        if there { self.0.read(&map(job)) } else { Ok(None) }
    }

    /// Stores blocks of an image on its way, then the map that says so.
    pub(crate) fn store(&self, job: &Job, blocks: &[(u64, Vec<u8>)], bytes: &[u8]) -> Result<(), Error> {
        let name = incoming(job);
        let write = || -> io::Result<()> {
            let mut file = self.0.disk().create(&name, false)?;
            file.set_len(job.image.size)?;
            for (offset, data) in blocks {
                file.write_at(data, *offset)?;
            }
            if planted::is(Mistake::MarkedBeforeSynced) {
                return Ok(());
            }
            file.sync()
        };
        write().map_err(|source| self.0.failure(&name, "storing blocks", source))?;
        self.0.write(&map(job), bytes)
    }

    /// Whether the image that was fetched is the one that was signed.
    pub(crate) fn check_incoming(&self, job: &Job) -> Result<(), String> {
        self.check(&incoming(job), &job.image)
    }

    /// Whether the image in a slot is still the one that was signed.
    pub(crate) fn check_slot(&self, slot: Slot, held: &Held) -> Result<(), String> {
        self.check(&file(slot), held)
    }

    /// Puts the image into a slot. Where a cut came after it had been, it is there already.
    pub(crate) fn stage(&self, job: &Job, slot: Slot) -> Result<(), String> {
        if self.is_there(&incoming(job)).map_err(|e| e.to_string())? {
            self.check_incoming(job)?;
            let renamed = self.0.move_file(&incoming(job), &file(slot));
            renamed.map_err(|e| e.to_string())?;
        }
        self.check_slot(slot, &job.image)
    }

    /// Removes what is on its way, but for this.
    pub(crate) fn tidy(&self, keep: Option<&Job>) -> Result<(), Error> {
        for name in self.0.names(INCOMING)? {
            if keep.is_none_or(|job| !name.starts_with(&incoming(job))) {
                self.0.remove(&name)?;
            }
        }
        Ok(())
    }

    /// An image as the platform sees it.
    pub(crate) fn image(&self, slot: Slot, held: &Held) -> Image {
        Image {
            path: self.path(slot),
            name: held.name.clone(),
            version: held.version.clone(),
            sequence: held.sequence,
            size: held.size,
            sha256: hex::encode(held.sha256),
        }
    }

    fn is_there(&self, name: &str) -> Result<bool, Error> {
        Ok(self.0.names(name)?.iter().any(|there| there == name))
    }

    fn check(&self, name: &str, held: &Held) -> Result<(), String> {
        if planted::is(Mistake::Unverified) {
            return Ok(());
        }
        let unread = |e: io::Error| format!("the image cannot be read: {e}");
        let mut file = self.0.disk().reader(name).map_err(unread)?;
        let mut check = ImageCheck::new(held.size, held.sha256).map_err(|e| e.to_string())?;
        let mut piece = vec![0; PIECE];
        loop {
            let length = file.read(&mut piece).map_err(unread)?;
            if length == 0 {
                return check.finish().map_err(|e| e.to_string());
            }
            check.update(&piece[..length]).map_err(|e| e.to_string())?;
        }
    }

    /// Where a slot lies.
    pub(crate) fn path(&self, slot: Slot) -> PathBuf {
        self.0.path(&file(slot))
    }
}

fn file(slot: Slot) -> String {
    format!("slot-{}", slot.word())
}

fn incoming(job: &Job) -> String {
    format!("{INCOMING}{}", job.artifact_id)
}

fn map(job: &Job) -> String {
    format!("{}.map", incoming(job))
}
