//! The command that the device does, as it lies on its disk.

use serde::{Deserialize, Serialize};

use crate::{error::Error, files::Folder};

/// The file.
const NAME: &str = "command";

/// The one command that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) command_id: String,
    pub(crate) name: String,
    pub(crate) step: Step,
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Step {
    /// The server is told that it begins; it has not.
    Announced,
    /// It has begun. Whoever finds this after a start does not begin it again.
    Begun,
    /// It has ended, and the server may not know yet.
    Ended(End),
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct End {
    pub(crate) how: How,
    pub(crate) output: String,
    pub(crate) error: String,
    pub(crate) is_cut: bool,
}

/// The ends there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum How {
    Succeeded,
    Failed,
    Rejected,
}

impl End {
    /// The device went down while it was under way, or cannot say what became of it.
    pub(crate) fn interrupted() -> End {
        End {
            how: How::Failed,
            output: String::new(),
            error: "interrupted: the device went down while it did this".to_owned(),
            is_cut: false,
        }
    }
}

impl Kept {
    /// The command that is under way. A file that cannot be read names none; what the server then says was begun is
    /// not begun again.
    pub(crate) fn read(folder: &Folder) -> Result<Option<Kept>, Error> {
        Ok(folder.read(NAME)?.and_then(|bytes| from_bytes(&bytes)))
    }

    pub(crate) fn write(&self, folder: &Folder) -> Result<(), Error> {
        folder.write(NAME, &self.to_bytes())
    }

    /// The server knows its end; or the device is retired.
    pub(crate) fn erase(folder: &Folder) -> Result<(), Error> {
        folder.erase(NAME)
    }

    /// JSON, and its checksum on a line of its own.
    fn to_bytes(&self) -> Vec<u8> {
        // Texts and enums: this cannot fail.
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        let checksum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(format!("\n{checksum:08x}\n").as_bytes());
        bytes
    }
}

fn from_bytes(bytes: &[u8]) -> Option<Kept> {
    let (json, checksum) = bytes.split_last_chunk::<10>()?;
    let expected = format!("\n{:08x}\n", crc32fast::hash(json));
    (checksum.as_slice() == expected.as_bytes())
        .then(|| serde_json::from_slice(json).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_names_no_command() {
        let kept = Kept {
            command_id: "c-1".into(),
            name: "logs".into(),
            step: Step::Ended(End::interrupted()),
        };
        let bytes = kept.to_bytes();
        assert_eq!(from_bytes(&bytes), Some(kept));
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert_eq!(from_bytes(&flipped), None, "octet {at}");
            assert_eq!(from_bytes(&bytes[..at]), None, "cut at {at}");
        }
    }
}
