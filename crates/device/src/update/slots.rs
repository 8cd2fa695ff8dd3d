//! The files of an update: its journal, the marker, what has been fetched, and the two slots.
//!
//! | file | holds |
//! |---|---|
//! | `update.json` | the journal |
//! | `active` | for the start script: `a`, `b`, or `b try` |
//! | `slot-a`, `slot-b` | images |
//! | `incoming-{artifact}` | an image on its way, and `….map`, which of its blocks are there |

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::Arc,
};

use artifact::ImageCheck;

use super::journal::{Held, Job, Journal, Slot};
use crate::{
    error::Error,
    files::{Folder, failure},
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
        let there = self.0.path(&incoming(job)).exists();
        if there { self.0.read(&map(job)) } else { Ok(None) }
    }

    /// Stores blocks of an image on its way, then the map that says so.
    pub(crate) fn store(&self, job: &Job, blocks: &[(u64, Vec<u8>)], bytes: &[u8]) -> Result<(), Error> {
        let path = self.0.path(&incoming(job));
        let write = || -> io::Result<()> {
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)?;
            file.set_len(job.image.size)?;
            for (offset, data) in blocks {
                file.write_all_at(data, *offset)?;
            }
            file.sync_data()
        };
        write().map_err(|source| failure(&path, "storing blocks", source))?;
        self.0.write(&map(job), bytes)
    }

    /// Whether the image that was fetched is the one that was signed.
    pub(crate) fn check_incoming(&self, job: &Job) -> Result<(), String> {
        check(&self.0.path(&incoming(job)), &job.image)
    }

    /// Whether the image in a slot is still the one that was signed.
    pub(crate) fn check_slot(&self, slot: Slot, held: &Held) -> Result<(), String> {
        check(&self.0.path(&file(slot)), held)
    }

    /// Puts the image into a slot. Where a cut came after it had been, it is there already.
    pub(crate) fn stage(&self, job: &Job, slot: Slot) -> Result<(), String> {
        if self.0.path(&incoming(job)).exists() {
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

fn check(path: &std::path::Path, held: &Held) -> Result<(), String> {
    let mut file = File::open(path).map_err(|e| format!("the image cannot be read: {e}"))?;
    let mut check = ImageCheck::new(held.size, held.sha256).map_err(|e| e.to_string())?;
    let mut piece = vec![0; PIECE];
    loop {
        let length = file
            .read(&mut piece)
            .map_err(|e| format!("the image cannot be read: {e}"))?;
        if length == 0 {
            return check.finish().map_err(|e| e.to_string());
        }
        check.update(&piece[..length]).map_err(|e| e.to_string())?;
    }
}
