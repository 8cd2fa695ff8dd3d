//! A redo log with no database behind it: whatever was committed is in it. For a rig that plays the disk, so that
//! what the format promises is tried to the byte.

use std::path::Path;

use service::store::{Batch, StoreError};

use super::{AppendError, Medium, Opened, Redo, header::Generation, record::Write};
use crate::{fault::Fault, limits, redo};

const NAME: &str = super::FILES[0];

/// The log.
#[derive(Debug)]
pub struct Log<M>(Redo<M>);

/// A key, and what it is set to; `None` removes it.
type Change = (Vec<u8>, Option<Vec<u8>>);

impl<M: Medium> Log<M> {
    /// Makes an empty one on a medium that has nothing. The stamps come from chance, and are never told.
    pub fn create(medium: M, stamps: [u64; 2]) -> Result<Log<M>, StoreError> {
        let [void, stamp] = stamps;
        let generations = [
            Generation {
                number: 0,
                stamp: void,
            },
            Generation { number: 1, stamp },
        ];
        let created = Redo::create_on(medium, NAME, generations);
        created.map(Log).map_err(|error| told(error.into()))
    }

    /// Opens it, and reads all that was committed. It holds every commit before number `acknowledged`, as far as
    /// that is known, or is damaged. What only a cache held is on the disk before anybody reads it.
    pub fn open(medium: M, acknowledged: Option<u64>) -> Result<(Log<M>, Vec<Change>), StoreError> {
        let (mut redo, bytes) = match Redo::open_on(medium, NAME).map_err(told)? {
            Opened::Usable(redo, bytes) => (redo, bytes),
            Opened::Unusable(reason) => return Err(redo::damaged(NAME, reason)),
        };
        let own = |(key, value): Write<'_>| (key.to_vec(), value.map(<[u8]>::to_vec));
        let changes = redo.replay(&bytes)?.into_iter().map(own).collect();
        if acknowledged.is_some_and(|number| number > redo.next()) {
            return Err(redo::damaged(NAME, super::ENDS_EARLY));
        }
        redo.sync().map_err(|error| told(error.into()))?;
        Ok((Log(redo), changes))
    }

    /// Makes a batch durable. After an error the log is to be opened anew.
    pub fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        limits::check(batch)?;
        let writes: Vec<_> = batch.iter().collect();
        if writes.is_empty() {
            return Ok(());
        }
        self.0.append(&writes).map_err(|error| match error {
            AppendError::Undone(fault) | AppendError::Unknown(fault) => told(fault),
        })?;
        self.0.sync().map_err(|error| told(error.into()))
    }

    /// Where the next commit goes, bytes from the beginning.
    pub fn end(&self) -> u64 {
        self.0.end
    }

    /// The number of the commit that comes next.
    pub fn next(&self) -> u64 {
        self.0.next()
    }
}

fn told(fault: Fault) -> StoreError {
    fault.told(Path::new(NAME))
}
