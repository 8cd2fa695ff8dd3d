//! The command that the device does, as it lies on its disk.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{error::Error, files::Folder};

/// The file.
const NAME: &str = "command";
/// What a command puts out, where that is long.
const OUTPUT: &str = "command-output";

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
    /// The device is to be wiped once this is told.
    #[serde(default)]
    pub(crate) wipes: bool,
    /// The whole output, where it is longer: it lies in a file of its own.
    #[serde(default)]
    pub(crate) whole: Option<Whole>,
}

/// A long output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Whole {
    pub(crate) size: u64,
    pub(crate) sha256: String,
}

impl Whole {
    /// Keeps a long output; after a cut it is there, or nothing says that it is.
    pub(crate) fn keep(folder: &Folder, output: &str) -> Result<Whole, Error> {
        folder.write(OUTPUT, output.as_bytes())?;
        Ok(Whole {
            size: output.len() as u64,
            sha256: hex::encode(Sha256::digest(output)),
        })
    }

    /// The output; nothing if the disk does not have it any more.
    pub(crate) fn read(&self, folder: &Folder) -> Result<Option<Vec<u8>>, Error> {
        let bytes = folder.read(OUTPUT)?;
        Ok(bytes.filter(|bytes| hex::encode(Sha256::digest(bytes)) == self.sha256))
    }
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
        let error = "interrupted: the device went down while it did this".to_owned();
        End::without_output(How::Failed, error)
    }

    /// The device is to be wiped.
    pub(crate) fn wiping() -> End {
        End {
            wipes: true,
            ..End::without_output(How::Succeeded, String::new())
        }
    }

    /// It came to nothing.
    pub(crate) fn without_output(how: How, error: String) -> End {
        End {
            how,
            output: String::new(),
            error,
            is_cut: false,
            wipes: false,
            whole: None,
        }
    }
}

impl Kept {
    /// The command that is under way. A file that cannot be read names none; what the server then says was begun is
    /// not begun again.
    pub(crate) fn read(folder: &Folder) -> Result<Option<Kept>, Error> {
        folder.kept(NAME)
    }

    pub(crate) fn write(&self, folder: &Folder) -> Result<(), Error> {
        folder.keep(NAME, self)
    }

    /// The server knows its end; or the device is retired.
    pub(crate) fn erase(folder: &Folder) -> Result<(), Error> {
        let output = folder.erase(OUTPUT);
        folder.erase(NAME).and(output)
    }
}
