//! What the device is to be set to, as it lies on its disk.

use contract::document::{self, Document};
use serde::{Deserialize, Serialize};

use crate::{error::Error, files::Folder};

/// The file.
const NAME: &str = "configuration";

/// What the device is to be set to, and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// 0: nothing was ever set.
    pub(crate) version: u64,
    pub(crate) document: Document,
    pub(crate) outcome: Outcome,
}

/// What became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// It is on the disk, and was not applied yet.
    #[default]
    Pending,
    /// It was applied, or refused with this; the server does not know yet.
    Untold(Option<String>),
    /// The server knows.
    Told(Option<String>),
}

impl Kept {
    pub(crate) fn read(folder: &Folder) -> Result<Kept, Error> {
        // One that cannot be read is asked for anew.
        Ok(folder.kept(NAME)?.unwrap_or_default())
    }

    pub(crate) fn write(&self, folder: &Folder) -> Result<(), Error> {
        folder.keep(NAME, self)
    }

    /// The device is retired; settings may be secrets.
    pub(crate) fn erase(folder: &Folder) -> Result<(), Error> {
        folder.erase(NAME)
    }

    /// The configuration that a change makes of this one; nothing if it is a change of another one.
    pub(crate) fn changed(&self, base_version: u64, version: u64, patch: &Document) -> Option<Kept> {
        if self.version != base_version {
            return None;
        }
        let mut document = self.document.clone();
        document::merge(&mut document, patch);
        Some(Kept {
            version,
            document,
            outcome: Outcome::Pending,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kept() -> Kept {
        Kept {
            version: 4,
            document: json!({"a": 1, "b": {"c": 2}}).as_object().cloned().unwrap(),
            outcome: Outcome::Told(Some("no".into())),
        }
    }

    #[test]
    fn only_a_change_of_what_is_kept_is_taken() {
        let patch = json!({"b": {"c": null}, "d": 3}).as_object().cloned().unwrap();
        let changed = kept().changed(4, 5, &patch).unwrap();
        assert_eq!(json!(changed.document), json!({"a": 1, "b": {}, "d": 3}));
        assert_eq!((changed.version, changed.outcome), (5, Outcome::Pending));
        assert_eq!(kept().changed(3, 5, &patch), None);
    }
}
