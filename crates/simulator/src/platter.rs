//! A file as a disk keeps it: what was not synced is lost, torn or there when the power is cut, in any order, and a bit
//! may flip where it lies.

use std::{io, sync::Arc};

use parking_lot::Mutex;
use store::Medium;

use crate::dice::Dice;

/// Where a log's records begin, and how long each of its headers is.
const RECORDS: u64 = 12_288;
const HEADER: u64 = 40;

/// The file. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Platter(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What outlives a power cut, and what every reader sees.
    synced: Vec<u8>,
    seen: Vec<u8>,
    /// What lies between the two, in the order in which it was done.
    unsynced: Vec<Step>,
    /// How many more steps succeed; `None`: all.
    steps: Option<u64>,
    /// How much of the step that fails first is done, parts of 256.
    torn: u64,
    /// There is no room beyond its present length.
    full: bool,
    /// It says that it has synced, and has not.
    lies: bool,
    /// How many stamps were taken.
    stamps: u64,
}

#[derive(Debug)]
enum Step {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Step {
    /// How long what it is done to is at least, then.
    fn end(&self) -> usize {
        match self {
            Step::Length(length) => *length,
            Step::Write(at, bytes) => at + bytes.len(),
        }
    }

    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Step::Length(length) => bytes.resize(*length, 0),
            Step::Write(at, written) => {
                let end = at + written.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*at..end].copy_from_slice(written);
            }
        }
    }

    /// The part of it that reaches the disk when it is torn.
    fn torn(&self, parts: u64) -> Option<Step> {
        match self {
            Step::Write(at, bytes) => {
                let kept = bytes.len() as u64 * parts / 256;
                Some(Step::Write(*at, bytes[..kept as usize].to_vec()))
            }
            Step::Length(_) => None,
        }
    }
}

impl State {
    fn go(&mut self, step: Step) -> io::Result<()> {
        if self.full && step.end() > self.seen.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let allowed = self.allow();
        let done = match allowed {
            true => Some(step),
            // Once.
            false => step.torn(std::mem::take(&mut self.torn)),
        };
        if let Some(step) = done {
            step.apply(&mut self.seen);
            self.unsynced.push(step);
        }
        if allowed { Ok(()) } else { Err(failed()) }
    }

    /// What lies on the disk and what readers see flip together.
    fn flip_at(&mut self, at: usize, dice: &mut Dice) -> usize {
        let bit = 1 << dice.below(8);
        for bytes in [&mut self.synced, &mut self.seen] {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= bit;
            }
        }
        at
    }

    fn allow(&mut self) -> bool {
        match &mut self.steps {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }
}

fn failed() -> io::Error {
    io::Error::other("the simulated disk failed")
}

impl Platter {
    /// After so many steps nothing succeeds any more until [`Self::on`]; of the first one that fails a part is done.
    pub(crate) fn fail_after(&self, steps: u64, torn: u64) {
        let mut state = self.0.lock();
        state.steps = Some(steps);
        state.torn = torn;
    }

    /// It works again.
    pub(crate) fn on(&self) {
        self.0.lock().steps = None;
    }

    /// The power is cut: of what was not synced some is there, some is not, and some is torn.
    pub(crate) fn cut_power(&self, dice: &mut Dice) {
        let mut state = self.0.lock();
        let mut bytes = std::mem::take(&mut state.synced);
        for step in std::mem::take(&mut state.unsynced) {
            match dice.below(3) {
                0 => {}
                1 => step.apply(&mut bytes),
                _ => {
                    let part = step.torn(dice.below(256));
                    part.iter().for_each(|part| part.apply(&mut bytes));
                }
            }
        }
        state.seen.clone_from(&bytes);
        state.synced = bytes;
    }

    /// One bit flips, somewhere in what was ever written before `until`.
    pub(crate) fn flip(&self, until: u64, dice: &mut Dice) -> usize {
        let mut state = self.0.lock();
        let end = state.seen.iter().rposition(|byte| *byte != 0).unwrap_or_default();
        let end = (end as u64).min(until.saturating_sub(1));
        // Between the headers lies much that nobody reads.
        let headers = dice.percent(15) || end <= RECORDS;
        let at = match headers {
            true => dice.below(3) * 4_096 + dice.below(HEADER),
            false => dice.between(RECORDS, end),
        } as usize;
        state.flip_at(at, dice)
    }

    /// One bit flips, anywhere in it.
    pub(crate) fn flip_anywhere(&self, dice: &mut Dice) -> usize {
        let mut state = self.0.lock();
        let at = dice.below(state.seen.len() as u64) as usize;
        state.flip_at(at, dice)
    }

    /// A copy of all that is in it.
    pub(crate) fn copy(&self) -> Vec<u8> {
        self.0.lock().seen.clone()
    }

    /// A copy takes its place.
    pub(crate) fn put(&self, bytes: Vec<u8>) {
        let mut state = self.0.lock();
        state.unsynced.clear();
        state.synced.clone_from(&bytes);
        state.seen = bytes;
    }
}

impl Platter {
    /// There is no room to grow, or there is again.
    pub(crate) fn set_full(&self, full: bool) {
        self.0.lock().full = full;
    }
}

#[allow(
    dead_code,
    reason = "for the tests of the store, which play redb's file with this one"
)]
impl Platter {
    /// From now on it says that it has synced, and has not. A planted mistake.
    pub(crate) fn lie(&self) {
        self.0.lock().lies = true;
    }
}

impl Medium for Platter {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.lock().seen.len() as u64)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.0.lock().go(Step::Length(length as usize))
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.0.lock().go(Step::Write(at as usize, bytes.to_vec()))
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        let state = self.0.lock();
        let found = state
            .seen
            .get(at as usize..)
            .and_then(|rest| rest.get(..bytes.len()));
        bytes.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn read_all(&self) -> io::Result<Vec<u8>> {
        Ok(self.copy())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.0.lock();
        if !state.allow() {
            return Err(failed());
        }
        if state.lies {
            return Ok(());
        }
        let State { synced, unsynced, .. } = &mut *state;
        unsynced.drain(..).for_each(|step| step.apply(synced));
        Ok(())
    }

    fn stamp(&self) -> u64 {
        let mut state = self.0.lock();
        state.stamps += 1;
        state.stamps.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed
    }
}
