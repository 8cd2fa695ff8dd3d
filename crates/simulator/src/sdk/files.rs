//! A device's disk as file systems are: what was written and not synced may be there after a power cut, in part or
//! not at all, whatever came after it; names that were not synced go the way of the last ones first.

use std::{
    collections::BTreeMap,
    io::{self, Cursor, ErrorKind, Read},
    path::PathBuf,
    sync::Arc,
};

use device::{Disk, DiskFile};
use parking_lot::Mutex;

use crate::dice::Dice;

/// The disk; clones are the same one.
#[derive(Clone)]
pub(crate) struct Files(Arc<Mutex<State>>);

struct State {
    contents: BTreeMap<u64, Content>,
    names: BTreeMap<String, u64>,
    safe_names: BTreeMap<String, u64>,
    /// Changes of names that are not safe, in their order.
    unsafe_names: Vec<NameChange>,
    next: u64,
    full: bool,
    /// A bit flips in what is next made safe of an image on its way.
    flips: bool,
    /// After so many steps the device is off; everything fails from then on.
    steps_left: Option<u64>,
    off: bool,
    dice: Dice,
}

#[derive(Default)]
struct Content {
    safe: Vec<u8>,
    seen: Vec<u8>,
    unsafe_writes: Vec<Write>,
}

#[derive(Clone)]
enum Write {
    At(u64, Vec<u8>),
    Length(u64),
}

enum NameChange {
    Put(String, u64),
    /// One change: both names, or neither.
    Rename(String, String),
    Remove(String),
}

impl Write {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Write::At(offset, data) => {
                let (from, to) = (*offset as usize, *offset as usize + data.len());
                if bytes.len() < to {
                    bytes.resize(to, 0);
                }
                bytes[from..to].copy_from_slice(data);
            }
            Write::Length(length) => bytes.resize(*length as usize, 0),
        }
    }

    /// As much of it as a power cut left.
    fn torn(&self, dice: &mut Dice) -> Option<Write> {
        match (dice.below(10), self) {
            (0..4, write) => Some(write.clone()),
            (4..6, Write::At(offset, data)) => {
                let kept = dice.below(data.len() as u64 + 1) as usize;
                Some(Write::At(*offset, data[..kept].to_vec()))
            }
            _ => None,
        }
    }
}

impl State {
    /// One more step; an error once the device is off.
    fn step(&mut self) -> io::Result<()> {
        match &mut self.steps_left {
            Some(0) => self.off = true,
            Some(left) => *left -= 1,
            None => {}
        }
        if self.off {
            return Err(io::Error::other("the device is off"));
        }
        Ok(())
    }

    fn demand_room(&self) -> io::Result<()> {
        if self.full {
            return Err(ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    /// The disk keeps one bit of an image on its way other than it was told.
    fn flip(&mut self, of: u64) {
        let on_its_way = |(name, content): (&String, &u64)| {
            *content == of && name.starts_with("incoming-") && !name.contains('.')
        };
        if !self.flips || !self.names.iter().any(on_its_way) {
            return;
        }
        let Some(content) = self
            .contents
            .get_mut(&of)
            .filter(|content| !content.safe.is_empty())
        else {
            return;
        };
        let at = self.dice.below(content.safe.len() as u64) as usize;
        content.safe[at] ^= 1 << self.dice.below(8);
        content.seen.clone_from(&content.safe);
        self.flips = false;
    }

    fn find(&self, name: &str) -> io::Result<u64> {
        self.names
            .get(name)
            .copied()
            .ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsafe_names.push(change);
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            NameChange::Put(name, content) => names.insert(name.clone(), *content),
            NameChange::Rename(from, to) => {
                names.remove(from).and_then(|file| names.insert(to.clone(), file))
            }
            NameChange::Remove(name) => names.remove(name),
        };
    }
}

impl Files {
    pub(crate) fn new(dice: Dice) -> Files {
        Files(Arc::new(Mutex::new(State {
            contents: BTreeMap::new(),
            names: BTreeMap::new(),
            safe_names: BTreeMap::new(),
            unsafe_names: Vec::new(),
            next: 0,
            full: false,
            flips: false,
            steps_left: None,
            off: false,
            dice,
        })))
    }

    pub(crate) fn set_full(&self, full: bool) {
        self.0.lock().full = full;
    }

    /// The device goes off after so many steps.
    pub(crate) fn end_after(&self, steps: u64) {
        self.0.lock().steps_left = Some(steps);
    }

    pub(crate) fn is_off(&self) -> bool {
        self.0.lock().off
    }

    /// The device is on again.
    pub(crate) fn on(&self) {
        let mut state = self.0.lock();
        state.off = false;
        state.steps_left = None;
    }

    /// The power is cut: what was not safe is there, or not, or in part.
    pub(crate) fn cut_power(&self) {
        let mut state = self.0.lock();
        let State {
            contents,
            names,
            safe_names,
            unsafe_names,
            dice,
            ..
        } = &mut *state;
        let kept = dice.below(unsafe_names.len() as u64 + 1) as usize;
        unsafe_names
            .drain(..)
            .take(kept)
            .for_each(|change| change.apply(safe_names));
        names.clone_from(safe_names);
        for content in contents.values_mut() {
            for write in content.unsafe_writes.drain(..) {
                if let Some(left) = write.torn(dice) {
                    left.apply(&mut content.safe);
                }
            }
            content.seen.clone_from(&content.safe);
        }
        contents.retain(|content, _| names.values().any(|named| named == content));
    }

    /// One bit flips in the next part of an image on its way that is made safe.
    pub(crate) fn flip_next(&self) {
        self.0.lock().flips = true;
    }

    /// What a file holds, for whoever looks from outside.
    pub(crate) fn look(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.0.lock();
        let content = state.contents.get(state.names.get(name)?)?;
        Some(content.seen.clone())
    }
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Files")
    }
}

impl Disk for Files {
    fn reader(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        let mut state = self.0.lock();
        state.step()?;
        let content = state.find(name)?;
        let bytes = state.contents.get(&content).map(|content| content.seen.clone());
        Ok(Box::new(Cursor::new(bytes.unwrap_or_default())))
    }

    fn create(&self, name: &str, emptied: bool) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.0.lock();
        state.step()?;
        let content = match state.find(name) {
            Ok(content) => content,
            Err(_) => {
                state.demand_room()?;
                state.next += 1;
                let content = state.next;
                state.contents.insert(content, Content::default());
                state.change(NameChange::Put(name.to_owned(), content));
                content
            }
        };
        drop(state);
        let mut file = OpenFile(self.clone(), content);
        if emptied {
            file.set_len(0)?;
        }
        Ok(Box::new(file))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.0.lock();
        state.step()?;
        let content = state.find(name)?;
        Ok(Box::new(OpenFile(self.clone(), content)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step()?;
        state.find(from)?;
        state.change(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step()?;
        state.find(name)?;
        state.change(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut state = self.0.lock();
        state.step()?;
        Ok(state.names.keys().cloned().collect())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step()?;
        state.safe_names = state.names.clone();
        state.unsafe_names.clear();
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(name)
    }

    fn is_slow(&self) -> bool {
        false
    }
}

struct OpenFile(Files, u64);

impl OpenFile {
    fn write(&self, write: Write) -> io::Result<()> {
        let mut state = self.0.0.lock();
        state.step()?;
        let length = state
            .contents
            .get(&self.1)
            .map_or(0, |content| content.seen.len() as u64);
        let end = match &write {
            Write::At(offset, bytes) => offset + bytes.len() as u64,
            Write::Length(length) => *length,
        };
        if end > length {
            state.demand_room()?;
        }
        // A file without a name goes when it is closed; until then it can be written to.
        let content = state.contents.entry(self.1).or_default();
        write.apply(&mut content.seen);
        content.unsafe_writes.push(write);
        Ok(())
    }
}

impl DiskFile for OpenFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write(Write::At(offset, bytes.to_vec()))
    }

    fn set_len(&mut self, length: u64) -> io::Result<()> {
        self.write(Write::Length(length))
    }

    fn length(&self) -> io::Result<u64> {
        let state = self.0.0.lock();
        Ok(state
            .contents
            .get(&self.1)
            .map_or(0, |content| content.seen.len() as u64))
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.0.0.lock();
        state.step()?;
        if let Some(content) = state.contents.get_mut(&self.1) {
            content.safe.clone_from(&content.seen);
            content.unsafe_writes.clear();
        }
        state.flip(self.1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was synced is there, whatever is cut; what was not is old, new or torn, by chance.
    #[test]
    fn a_cut_takes_what_was_not_synced_and_nothing_else() {
        let mut torn = 0;
        for seed in 0..40 {
            let files = Files::new(Dice::new(seed, 1));
            let mut safe = files.create("safe", true).unwrap();
            safe.write_at(b"one", 0).unwrap();
            safe.sync().unwrap();
            files.sync().unwrap();
            safe.write_at(b"two", 0).unwrap();
            files.create("fresh", true).unwrap();
            files.cut_power();
            let left = files.look("safe").unwrap();
            torn += usize::from(left != b"one" && left != b"two");
            assert_eq!(left.len(), 3);
        }
        assert!(torn > 0);
    }

    #[test]
    fn a_device_that_is_off_does_nothing_and_a_full_disk_takes_nothing_new() {
        let files = Files::new(Dice::new(1, 1));
        files.set_full(true);
        assert!(files.create("a", true).is_err());
        files.set_full(false);
        files.create("a", true).unwrap().write_at(b"x", 0).unwrap();
        files.end_after(1);
        assert!(files.names().is_ok() && files.names().is_err() && files.is_off());
        files.on();
        assert!(files.names().is_ok());
    }
}
