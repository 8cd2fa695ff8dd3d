//! The thread that brings what is in a full redo log into sled, and then gives the log back empty.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use crate::checkpoint::{self, Checkpoint};
use crate::envelope;
use crate::failpoint::Failpoint;
use crate::fault::{Fault, guarded};
use crate::layers::Layer;
use crate::off_log::OffLog;
use crate::redo::{Redo, Write};
use crate::room::Watch;
use crate::rows::Rows;
use crate::tally::Tally;

/// How much may be applied before sled's file is synced. sled takes what `sync_file_range` has written
/// for safe and soon reuses the segments it replaces; about one segment's worth keeps that true.
const SYNC_EVERY_BYTES: u64 = 512 << 10;

/// How often a full disk is looked at again.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// A full log and its writes, frozen.
pub(crate) struct Work {
    pub(crate) redo: Redo,
    pub(crate) layer: Arc<Layer>,
    /// The number of the log that takes the commits meanwhile.
    pub(crate) successor: u64,
}

/// What the thread owns.
pub(crate) struct Applier {
    rows: Arc<Rows>,
    watch: Watch,
    file: File,
    off_log: OffLog,
    /// What all rows in sled come to, between two turns.
    tally: Tally,
    unsynced: u64,
    scratch: Vec<u8>,
}

/// Whether a layer could be brought into sled.
enum Outcome {
    Empty(Redo),
    /// The store is being closed while the disk is full; what is in the log stays there.
    Left,
}

impl Applier {
    /// For the store in `folder`, which sled has opened, and whose rows come to `tally` there.
    pub(crate) fn new(rows: Arc<Rows>, watch: Watch, folder: &Path, tally: Tally) -> io::Result<Applier> {
        Ok(Applier {
            rows,
            watch,
            file: File::open(folder.join("db"))?,
            off_log: OffLog::of(folder),
            tally,
            unsynced: 0,
            scratch: Vec::new(),
        })
    }

    /// Works until nobody has work any more. A failure poisons the store and ends the thread.
    pub(crate) fn run(mut self, work: &Receiver<Work>, renewed: &Sender<Redo>) {
        while let Ok(next) = work.recv() {
            match self.bring(next, work) {
                // Nobody waits for the log of a store that is being dropped.
                Ok(Outcome::Empty(redo)) => drop(renewed.send(redo)),
                Ok(Outcome::Left) => return,
                Err(fault) => return drop(self.rows.fail(fault)),
            }
        }
    }

    fn bring(&mut self, work: Work, more: &Receiver<Work>) -> Result<Outcome, Fault> {
        let Work {
            mut redo,
            layer,
            successor,
        } = work;
        self.rows.points.reach(Failpoint::Frozen)?;
        if !self.wait_for_room(layer.bytes(), more)? {
            return Ok(Outcome::Left);
        }
        let rest = self.begin_turn(&mut redo, &layer)?;
        let tally = self.apply(&layer, rest)?;
        let reached = Checkpoint {
            generation: redo.number(),
            next: redo.next(),
            tally,
        };
        self.checkpoint(&mut redo, successor, reached)?;
        drop(layer);
        self.rows.settle();
        Ok(Outcome::Empty(redo))
    }

    /// sled does not outlive a full disk, so it is not touched while there is no room. Whether to go on.
    fn wait_for_room(&self, bytes: u64, more: &Receiver<Work>) -> Result<bool, Fault> {
        while !self.watch.allows(bytes)? {
            // There is no other work while this is not done: this waits, or hears of the end.
            if more.recv_timeout(LOOK_AGAIN_AFTER).err() == Some(RecvTimeoutError::Disconnected) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Notes in the log what all rows come to that it leaves alone, before any is touched. A turn that a
    /// crash cut off has noted it already.
    fn begin_turn(&self, redo: &mut Redo, layer: &Layer) -> Result<Tally, Fault> {
        if let Some(rest) = redo.turn() {
            return Ok(rest);
        }
        let db = self.rows.live()?;
        let mut rest = self.tally;
        for (key, _) in layer.range(b"") {
            if let Some(record) = guarded(|| db.get(key))? {
                rest.remove(key, &record);
            }
        }
        redo.begin_turn(rest)?;
        self.rows.points.reach(Failpoint::Begun)?;
        Ok(rest)
    }

    /// In key order, which is kind to sled's leaves. One by one: sled's own `Batch` copies the whole
    /// leaf for every key, under a lock that all databases of the process share. What all rows come to
    /// then.
    fn apply(&mut self, layer: &Layer, mut tally: Tally) -> Result<Tally, Fault> {
        let rows = Arc::clone(&self.rows);
        let db = rows.live()?;
        let half = layer.len() / 2;
        for (done, write) in layer.range(b"").enumerate() {
            if done == half {
                rows.points.reach(Failpoint::HalfApplied)?;
            }
            self.apply_one(db, write)?;
            if write.1.is_some() {
                tally.add(write.0, &self.scratch);
            }
        }
        rows.points.reach(Failpoint::Applied)?;
        Ok(tally)
    }

    /// The value is copied into the scratch and from there into sled's own reference-counted buffer;
    /// sled makes that copy of whatever it is given, even of a `Vec`.
    fn apply_one(&mut self, db: &sled::Db, (key, value): Write<'_>) -> Result<(), Fault> {
        match value {
            Some(value) => {
                envelope::seal(key, value, &mut self.scratch);
                guarded(|| db.insert(key, self.scratch.as_slice()))?;
            }
            None => {
                guarded(|| db.remove(key))?;
            }
        }
        self.unsynced += (key.len() + value.map_or(0, <[u8]>::len)) as u64;
        if self.unsynced >= SYNC_EVERY_BYTES {
            self.file.sync_data()?;
            self.unsynced = 0;
        }
        Ok(())
    }

    /// Brings everything applied to disk, and then voids the log. sled's flush reaches neither the
    /// files' metadata nor the drive's cache, nor the pages outside its log.
    fn checkpoint(&mut self, redo: &mut Redo, successor: u64, reached: Checkpoint) -> Result<(), Fault> {
        let rows = Arc::clone(&self.rows);
        let db = rows.live()?;
        self.apply_one(db, (checkpoint::KEY, Some(&reached.encode())))?;
        guarded(|| db.flush())?;
        self.off_log.sync()?;
        self.file.sync_all()?;
        self.unsynced = 0;
        self.tally = reached.tally;
        self.rows.points.reach(Failpoint::Flushed)?;
        redo.renew(successor)?;
        self.rows.points.reach(Failpoint::Renewed)?;
        redo.sync()?;
        Ok(redo.trim()?)
    }
}
