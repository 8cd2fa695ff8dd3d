//! Blobs in memory, for tests and the simulator.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use parking_lot::Mutex;
use service::store::{Blobs, StoreError};
use sha2::{Digest, Sha256};

use crate::name;

/// The largest blob: a test that needs more has lost its way.
const CAP_BYTES: u64 = 256 << 20;

/// Blobs in memory.
#[derive(Debug, Default)]
pub struct MemoryBlobs {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    parts: BTreeMap<String, Vec<u8>>,
    sealed: BTreeMap<String, Vec<u8>>,
    fail_next: Option<StoreError>,
}

impl MemoryBlobs {
    /// No blobs.
    pub fn new() -> MemoryBlobs {
        MemoryBlobs::default()
    }

    /// Lets the next write, seal, or replacement fail with `error` and change nothing.
    pub fn fail_next(&self, error: StoreError) {
        self.state.lock().fail_next = Some(error);
    }

    /// Crash: unsealed blobs were never promised and are gone.
    pub fn lose_parts(&self) {
        self.state.lock().parts.clear();
    }
}

impl State {
    fn admit(&mut self) -> Result<(), StoreError> {
        self.fail_next.take().map_or(Ok(()), Err)
    }
}

impl Blobs for MemoryBlobs {
    fn read(&self, name: &str, offset: u64, length: usize) -> Result<Option<Vec<u8>>, StoreError> {
        name::check(name)?;
        let state = self.state.lock();
        let skip = usize::try_from(offset).unwrap_or(usize::MAX);
        Ok(state
            .sealed
            .get(name)
            .map(|blob| blob.iter().skip(skip).take(length).copied().collect()))
    }

    fn write_part(&self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        name::check(name)?;
        let end = offset
            .checked_add(bytes.len() as u64)
            .filter(|end| *end <= CAP_BYTES);
        let (Some(end), Ok(start)) = (end, usize::try_from(offset)) else {
            return Err(StoreError::Engine(format!("a blob may have {CAP_BYTES} bytes")));
        };
        let mut state = self.state.lock();
        state.admit()?;
        let part = state.parts.entry(name.to_owned()).or_default();
        part.resize(part.len().max(end as usize), 0);
        part.iter_mut()
            .skip(start)
            .zip(bytes)
            .for_each(|(to, from)| *to = *from);
        Ok(())
    }

    fn digest_part(&self, name: &str) -> Result<Option<(u64, [u8; 32])>, StoreError> {
        name::check(name)?;
        let state = self.state.lock();
        Ok(state
            .parts
            .get(name)
            .map(|part| (part.len() as u64, Sha256::digest(part).into())))
    }

    fn seal(&self, name: &str) -> Result<(), StoreError> {
        name::check(name)?;
        let mut state = self.state.lock();
        state.admit()?;
        match state.parts.remove(name) {
            Some(part) => {
                state.sealed.insert(name.to_owned(), part);
                Ok(())
            }
            None if state.sealed.contains_key(name) => Ok(()),
            None => Err(StoreError::Engine(format!("{name}: {}", ErrorKind::NotFound))),
        }
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        name::check(name)?;
        let mut state = self.state.lock();
        state.admit()?;
        state.sealed.insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn discard_part(&self, name: &str) -> Result<(), StoreError> {
        name::check(name)?;
        self.state.lock().parts.remove(name);
        Ok(())
    }
}
