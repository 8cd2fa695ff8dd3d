//! The record that says up to where sled has everything. It lies among the rows, hidden from every read,
//! and is the last one that a turn writes: when sled has lost its end, it has lost this too.

use service::store::StoreError;

use crate::envelope;
use crate::fault::Fault;
use crate::redo::{self, Medium, Redo};
use crate::tally::{self, Tally};
use crate::tree::Tree;

/// The key of the record; no batch may write it.
pub(crate) const KEY: &[u8] = b"\x00checkpoint";

/// The name that an error gives to sled's files.
pub(crate) const DATABASE: &str = "db";

/// What sled has in whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// The generation of the newest log that was brought in; zero in a new store.
    pub(crate) generation: u64,
    /// The number of the first record that was not in it.
    pub(crate) next: u64,
    /// What all rows came to then.
    pub(crate) tally: Tally,
}

impl Checkpoint {
    /// The one in `tree`; that of a new store when there is none.
    pub(crate) fn read(tree: &impl Tree) -> Result<Checkpoint, Fault> {
        match tree.get(KEY)? {
            None => Ok(Checkpoint::default()),
            Some(record) => Ok(Self::open(record.as_ref())?),
        }
    }

    /// Reads the record in its envelope.
    pub(crate) fn open(record: &[u8]) -> Result<Checkpoint, StoreError> {
        let payload = envelope::open(KEY, record)?;
        Self::decode(payload).ok_or_else(|| envelope::damaged(KEY, "it is too short"))
    }

    /// The record's payload.
    pub(crate) fn encode(self) -> Vec<u8> {
        let fields = [
            &self.generation.to_le_bytes()[..],
            &self.next.to_le_bytes(),
            &self.tally.encode(),
        ];
        fields.concat()
    }

    fn decode(payload: &[u8]) -> Option<Checkpoint> {
        let (generation, rest) = payload.split_first_chunk()?;
        let (next, rest) = rest.split_first_chunk()?;
        let tally: &[u8; tally::BYTES] = rest.first_chunk()?;
        Some(Checkpoint {
            generation: u64::from_le_bytes(*generation),
            next: u64::from_le_bytes(*next),
            tally: Tally::decode(tally),
        })
    }

    /// Checks that the logs go on where sled ends. `older` is the one with the older commits: what was
    /// before it has been voided, so sled has that; it may have this one as well.
    pub(crate) fn check_met_by<M: Medium>(&self, older: &Redo<M>) -> Result<(), StoreError> {
        if self.generation + 1 == older.number() {
            let met = older.is_empty() || older.first() == self.next;
            return if met { Ok(()) } else { Err(too_late(older)) };
        }
        if self.generation == older.number() {
            let met = older.next() == self.next;
            return if met { Ok(()) } else { Err(too_late(older)) };
        }
        Err(redo::damaged(
            DATABASE,
            if self.generation < older.number() {
                "what it holds ends before the redo logs begin: rows that were in it are missing"
            } else {
                "what it holds is newer than the redo logs: they are not its own"
            },
        ))
    }

    /// The error when rows do not come to what they should.
    pub(crate) fn uncounted(database: &str) -> StoreError {
        redo::damaged(
            database,
            "rows are missing in it, or older ones are in their place",
        )
    }
}

fn too_late<M: Medium>(log: &Redo<M>) -> StoreError {
    redo::damaged(log.name(), "its records do not go on where the database ends")
}
