//! Firmware images: which ones a copy of the rollout service's database needs, and taking some out of a backup.

use std::{collections::BTreeMap, io::Read, path::Path};

use anyhow::Result;
use contract::id::ServiceName;
use rollout::{Image, Images};
use store::copy::changes;

use super::{archive, part::Part, verify};

/// What rows and writes have named so far.
#[derive(Default)]
pub(super) struct Awaited(Images);

impl Awaited {
    /// Takes a part of a service's database.
    pub(super) fn take(&mut self, name: ServiceName, chunk: &[u8]) {
        if name == ServiceName::Rollout {
            for (key, value) in changes(chunk).flatten() {
                self.0.take(key, value);
            }
        }
    }

    /// Files are to come: the images that must be among them, by their names.
    pub(super) fn by_name(self) -> BTreeMap<String, Image> {
        self.0.all().map(|image| (image.id.clone(), image)).collect()
    }
}

/// Reads a backup, and gives each firmware image in it to `visit`.
pub(crate) fn images(path: &Path, visit: &mut dyn FnMut(&str, &mut dyn Read) -> Result<()>) -> Result<()> {
    archive::read(path, &mut |entry| match verify::known(&entry)? {
        Part::Blob(ServiceName::Rollout, blob) => visit(&blob, entry.bytes),
        _ => Ok(()),
    })
    .map(drop)
}
