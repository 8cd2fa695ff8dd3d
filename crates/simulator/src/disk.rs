//! A service's disk: the product's redo logs, its turns of a full one into the database below, and its recovery, on files
//! that do what real ones do: they are full, they fail, they are torn, and bits flip where they lie. In sled's place
//! stands a map that promises no more than the store asks for ([`crate::tree`]).

mod store_on_it;
mod turning;

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use service::store::{Batch, Durable, Read, StoreError};
use store::Stepped;

pub use self::turning::TurnEnd;
pub(crate) use self::{
    store_on_it::{Rows, SimStore},
    turning::{LAST_STEP, Turned},
};
use crate::{dice::Dice, platter::Platter, tree::SimTree};

/// The logs' names, as errors have them.
const LOGS: [&str; 2] = ["redo", "redo-2"];

/// What becomes of the next commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its record is torn as it is written.
    Lost,
    /// It is written, and the sync fails.
    Kept,
    /// The disk fails after so many steps, whichever they are.
    After(u64),
    /// It fails, and half of it is there: no disk under a redo log does this. A planted mistake.
    Half,
}

/// The disk of one service. Clones are the same disk.
#[derive(Clone)]
pub(crate) struct Disk(Arc<Mutex<State>>);

type Table = BTreeMap<Vec<u8>, Vec<u8>>;

struct State {
    /// What was acknowledged.
    rows: Table,
    /// Of a commit that failed: it is there when the store is opened anew, or not.
    doubtful: Option<Batch>,
    logs: [Platter; 2],
    tree: Platter,
    store: Option<Stepped<SimTree, Platter>>,
    /// The number of the first commit that was not acknowledged, as a file beside the logs says.
    acknowledged: Option<u64>,
    /// In which log the last commit lies that was acknowledged, and where it begins; as far as that is known.
    last: Option<(usize, u64)>,
    /// What the files were before a bit flipped in one of them.
    sound: Option<[Vec<u8>; 3]>,
    dice: Dice,
    epoch: u64,
    full: bool,
    fate: Option<Fate>,
    pace: turning::Pace,
    /// What a store did that none may do.
    found: Option<String>,
}

impl Disk {
    /// An empty disk, whose store has this epoch; what it does to what is written is decided by the seed.
    pub(crate) fn new(epoch: u64, seed: u64) -> Disk {
        let mut dice = Dice::new(seed, epoch);
        let mut state = State {
            rows: BTreeMap::new(),
            doubtful: None,
            logs: Default::default(),
            tree: Platter::default(),
            store: None,
            acknowledged: None,
            last: None,
            sound: None,
            pace: turning::Pace::of(&mut dice),
            dice,
            epoch,
            full: false,
            fate: None,
            found: None,
        };
        state.begin();
        Disk(Arc::new(Mutex::new(state)))
    }

    /// Opens the store, as after a crash.
    pub(crate) fn open(&self) -> Result<SimStore, StoreError> {
        let mut state = self.0.lock();
        if state.full {
            return Err(full());
        }
        state.close();
        state.fate = None;
        state.platters().for_each(Platter::on);
        state.replay()?;
        drop(state);
        Ok(SimStore(self.clone()))
    }

    /// There is no room, or there is again, and the watermark sees that.
    pub(crate) fn set_full(&self, full: bool) {
        self.fill(full, full);
    }

    /// There is no room. Mostly the watermark sees that in time; else whoever needs room meets the end.
    pub(crate) fn run_out(&self) {
        let seen = self.0.lock().dice.percent(60);
        self.fill(true, seen);
    }

    fn fill(&self, full: bool, seen: bool) {
        let mut state = self.0.lock();
        state.full = seen;
        state.platters().for_each(|file| file.set_full(full));
    }

    /// What the next commit comes to.
    pub(crate) fn set_fate(&self, fate: Fate) {
        self.0.lock().fate = Some(fate);
    }

    /// The power is cut; nobody has the store open. What stands beside the logs may be older then.
    pub(crate) fn cut_power(&self) {
        let state = &mut *self.0.lock();
        state.close();
        for file in state.logs.iter().chain([&state.tree]) {
            file.cut_power(&mut state.dice);
        }
        state.acknowledged = state.acknowledged.filter(|_| state.dice.percent(50));
    }

    /// A bit flips in one of the files; nobody has the store open. Where a power cut has taken the only proof of the
    /// last commit, not in that one. In which file, and where.
    pub(crate) fn flip(&self) -> (&'static str, usize) {
        let state = &mut *self.0.lock();
        state.close();
        if state.sound.is_none() {
            let [one, other] = &state.logs;
            state.sound = Some([one.copy(), other.copy(), state.tree.copy()]);
        }
        if state.dice.percent(40) {
            return ("the database", state.tree.flip_anywhere(&mut state.dice));
        }
        let log = state.dice.below(2) as usize;
        let until = match (state.acknowledged, state.last) {
            (Some(_), _) => u64::MAX,
            (None, Some((at, begin))) if at == log => begin,
            (None, Some(_)) => u64::MAX,
            (None, None) => 0,
        };
        (LOGS[log], state.logs[log].flip(until, &mut state.dice))
    }

    /// The operator brings back what was there before a bit flipped.
    pub(crate) fn mend(&self) {
        let mut state = self.0.lock();
        if let Some(sound) = state.sound.take() {
            state
                .platters()
                .zip(sound)
                .for_each(|(file, bytes)| file.put(bytes));
        }
    }

    /// What the store did that none may do, since this was last asked.
    pub(crate) fn take_found(&self) -> Option<String> {
        self.0.lock().found.take()
    }

    /// A copy of everything, as a backup takes it.
    pub(crate) fn backup(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.0.lock().rows.clone()
    }

    /// Brings a backup back, as a history of its own.
    pub(crate) fn restore(&self, rows: BTreeMap<Vec<u8>, Vec<u8>>, epoch: u64) {
        let mut state = self.0.lock();
        state.rows = rows;
        state.epoch = epoch;
        state.begin();
    }

    /// The history's name.
    pub(crate) fn epoch(&self) -> u64 {
        self.0.lock().epoch
    }

    /// The rows as they were acknowledged, whoever has the store open.
    pub(crate) fn rows(&self) -> Rows {
        Rows(self.clone())
    }
}

fn full() -> StoreError {
    StoreError::Full {
        path: "the simulated disk".into(),
    }
}

impl State {
    /// Nobody has it open any more: what was only in memory is gone.
    fn close(&mut self) {
        self.store = None;
    }

    fn platters(&self) -> impl Iterator<Item = &Platter> {
        self.logs.iter().chain([&self.tree])
    }

    /// Opens what lies on the disk, or makes a store where nothing does.
    fn assemble(&mut self) -> Result<Stepped<SimTree, Platter>, StoreError> {
        let tree = SimTree::open(
            self.tree.clone(),
            Dice::new(self.dice.below(u64::MAX), self.epoch),
        );
        Stepped::open(
            tree,
            &self.logs,
            self.acknowledged,
            self.epoch,
            self.pace.full_bytes(),
        )
    }

    /// A new store, with all the rows in it.
    fn begin(&mut self) {
        self.close();
        for file in self.platters() {
            file.on();
            file.set_full(false);
            file.put(Vec::new());
        }
        (self.doubtful, self.sound, self.last, self.acknowledged) = (None, None, None, None);
        let mut batch = Batch::default();
        self.rows
            .iter()
            .for_each(|(key, value)| batch.put(key.as_slice(), value.as_slice()));
        let made = self.assemble().and_then(|mut store| {
            store.commit(&batch)?;
            Ok(store.next())
        });
        match made {
            Ok(next) => self.acknowledged = Some(next),
            Err(error) => self.found = Some(format!("no store could be made: {error}")),
        }
        let full = self.full;
        self.platters().for_each(|file| file.set_full(full));
    }

    /// Opens the store: it comes to what was acknowledged, perhaps with the commit that failed last, or is refused; and
    /// only a flipped bit is a reason to refuse it (I15).
    fn replay(&mut self) -> Result<(), StoreError> {
        let opened = self.assemble().and_then(|store| {
            let rows = store.scan(b"", None, usize::MAX)?;
            Ok((store, Table::from_iter(rows)))
        });
        let (store, rows) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                if self.sound.is_none() {
                    self.found = Some(format!("a sound store was refused: {error}"));
                }
                return Err(error);
            }
        };
        let mut with_doubtful = self.rows.clone();
        if let Some(batch) = self.doubtful.take() {
            apply(&mut with_doubtful, &batch);
        }
        if rows != self.rows && rows != with_doubtful {
            let (found, expected) = (rows.len(), self.rows.len());
            self.found = Some(format!(
                "a store serves {found} rows, which are not the {expected} that were committed to it"
            ));
        }
        if store.epoch() != self.epoch {
            self.found = Some("a store has another epoch than it was made with".into());
        }
        self.rows = rows;
        if self.acknowledged != Some(store.next()) {
            // Where its last record begins is not known before the next one.
            self.last = None;
        }
        self.acknowledged = Some(store.next());
        // Whatever flipped was of no consequence.
        self.sound = None;
        self.pace.opened();
        self.store = Some(store);
        Ok(())
    }

    fn commit(&mut self, batch: &Batch) -> Result<Durable, StoreError> {
        if self.full {
            return Err(full());
        }
        let fate = self.fate.take();
        let torn = self.dice.below(256);
        let ends = match fate {
            None | Some(Fate::Half) => None,
            Some(Fate::Lost) => Some((0, torn)),
            Some(Fate::Kept) => Some((1, 0)),
            Some(Fate::After(steps)) => Some((steps, torn)),
        };
        if let Some((steps, torn)) = ends {
            self.platters().for_each(|file| file.fail_after(steps, torn));
        }
        let half = Some(Fate::Half) == fate;
        let written = if half { first_half(batch) } else { batch.clone() };
        let store = self.store.as_mut().ok_or_else(closed)?;
        let committed = store.commit(&written);
        let (end, next) = (store.end(), store.next());
        match committed {
            Ok(at) if fate.is_none() => {
                apply(&mut self.rows, batch);
                self.acknowledged = Some(next);
                self.last = Some((end.0, at));
                Ok(Durable::attest())
            }
            Err(full @ StoreError::Full { .. }) if fate.is_none() => Err(full),
            _ => {
                // After a failed commit nothing is read until the store is opened anew.
                self.close();
                self.doubtful = Some(batch.clone());
                Err(StoreError::Engine("the simulated disk failed".into()))
            }
        }
    }
}

fn apply(rows: &mut Table, batch: &Batch) {
    for (key, value) in batch.iter() {
        match value {
            Some(value) => rows.insert(key.to_vec(), value.to_vec()),
            None => rows.remove(key),
        };
    }
}

fn first_half(batch: &Batch) -> Batch {
    let mut half = Batch::default();
    for (key, value) in batch.iter().take(batch.len() / 2) {
        match value {
            Some(value) => half.put(key, value),
            None => half.delete(key),
        }
    }
    half
}

fn closed() -> StoreError {
    StoreError::Engine("closed since a failure".into())
}

#[cfg(test)]
mod tests;
