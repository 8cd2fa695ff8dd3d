//! What the device must remember of its firmware.

use serde::{Deserialize, Serialize};

/// The whole of it, as one file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Journal {
    /// Which slot is confirmed.
    pub(crate) active: Slot,
    /// What slot A holds.
    pub(crate) a: Option<Held>,
    /// What slot B holds.
    pub(crate) b: Option<Held>,
    /// The highest sequence ever confirmed.
    pub(crate) floor: u64,
    /// How far the update is.
    pub(crate) stage: Stage,
    /// The last update that came to its end: the server may have forgotten it and ask again.
    pub(crate) last: Option<End>,
}

/// One of the two places for an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Slot {
    #[default]
    A,
    B,
}

/// What a slot holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) sequence: u64,
    pub(crate) size: u64,
    #[serde(with = "hex::serde")]
    pub(crate) sha256: [u8; 32],
}

/// What is to be installed, and for which rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) rollout_id: String,
    pub(crate) artifact_id: String,
    pub(crate) image: Held,
    pub(crate) block_size: u32,
    /// The signed manifest as it came, to be judged again before it is installed.
    #[serde(with = "hex::serde")]
    pub(crate) signed: Vec<u8>,
}

/// How far an update is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// There is none.
    #[default]
    Idle,
    /// Blocks arrive. `attempt` counts from 1.
    Downloading { job: Job, attempt: u32 },
    /// The image is whole and right.
    Verified { job: Job },
    /// The server knows that it is installed now, and no longer calls it off.
    Installing { job: Job },
    /// It is in its slot, marked as the one to try. `boots` counts starts.
    Trying { job: Job, boots: u32 },
    /// The old image is to run again.
    RollingBack { job: Job, why: String },
    /// It is over, and the server does not know yet.
    Ended(End),
}

/// How an update ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct End {
    pub(crate) rollout_id: String,
    pub(crate) version: String,
    pub(crate) how: How,
    pub(crate) detail: String,
}

/// The ends there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum How {
    Succeeded,
    Failed,
    RolledBack,
    Refused,
}

/// Why bytes are no journal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadJournal {
    #[error("its checksum does not match")]
    Checksum,
    #[error("it does not parse: {0}")]
    Syntax(String),
}

impl Journal {
    /// What a slot holds.
    pub(crate) fn held(&self, slot: Slot) -> Option<&Held> {
        match slot {
            Slot::A => self.a.as_ref(),
            Slot::B => self.b.as_ref(),
        }
    }

    pub(crate) fn put(&mut self, slot: Slot, held: Option<Held>) {
        match slot {
            Slot::A => self.a = held,
            Slot::B => self.b = held,
        }
    }

    /// The slot that runs: the one that is tried, while one is.
    pub(crate) fn running(&self) -> Slot {
        match self.stage {
            Stage::Trying { .. } => self.active.other(),
            _ => self.active,
        }
    }

    /// For the device's start script: the slot to start, and whether it is only tried.
    pub(crate) fn marker(&self) -> String {
        let tried = matches!(self.stage, Stage::Trying { .. });
        format!("{}{}\n", self.running().word(), if tried { " try" } else { "" })
    }

    /// The journal as it lies on disk: JSON, and its checksum on a line of its own.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // Strings, numbers and enums: this cannot fail.
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        let checksum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(format!("\n{checksum:08x}\n").as_bytes());
        bytes
    }

    /// Reads a journal that [`Journal::to_bytes`] wrote.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Journal, BadJournal> {
        let (json, checksum) = bytes
            .split_last_chunk::<10>()
            .map(|(json, end)| (json, end.as_slice()))
            .ok_or(BadJournal::Checksum)?;
        if checksum != format!("\n{:08x}\n", crc32fast::hash(json)).as_bytes() {
            return Err(BadJournal::Checksum);
        }
        serde_json::from_slice(json).map_err(|e| BadJournal::Syntax(e.to_string()))
    }
}

impl Slot {
    pub(crate) fn other(self) -> Slot {
        match self {
            Slot::A => Slot::B,
            Slot::B => Slot::A,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Slot::A => "a",
            Slot::B => "b",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_journal_is_not_read() {
        let journal = Journal {
            floor: 7,
            ..Journal::default()
        };
        let bytes = journal.to_bytes();
        assert_eq!(Journal::from_bytes(&bytes), Ok(journal));
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(Journal::from_bytes(&flipped).is_err(), "octet {at}");
            assert!(Journal::from_bytes(&bytes[..at]).is_err(), "cut at {at}");
        }
    }
}
