//! Which rows of the store need an image beside it. Nothing here decides.

use std::collections::BTreeMap;

use contract::v1::Artifact;
use prost::Message;
use service::inspect;

use crate::state::ARTIFACTS;

/// An image that is complete, and so must lie beside the database, under its SHA-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its SHA-256 in hex.
    pub id: String,
    /// Its firmware and version.
    pub release: String,
    /// Its bytes.
    pub size: u64,
}

/// The images that a store needs, as far as its rows have been shown.
#[derive(Debug, Clone, Default)]
pub struct Images(BTreeMap<Vec<u8>, Image>);

impl Images {
    /// Takes a row as it is now; `None` when it is gone.
    pub fn take(&mut self, key: &[u8], value: Option<&[u8]>) {
        if !inspect::own_key(key).is_some_and(|own| own.starts_with(ARTIFACTS.as_bytes())) {
            return;
        }
        match value.and_then(Image::of) {
            Some(image) => self.0.insert(key.to_vec(), image),
            None => self.0.remove(key),
        };
    }

    /// All of them, in the order of their ids.
    pub fn all(self) -> impl Iterator<Item = Image> {
        self.0.into_values()
    }
}

impl Image {
    /// An image that is still awaited is not needed: whoever adds it sends it again.
    fn of(record: &[u8]) -> Option<Image> {
        let artifact = Artifact::decode(record).ok().filter(|one| one.complete)?;
        let manifest = artifact.manifest.unwrap_or_default();
        Some(Image {
            id: artifact.artifact_id,
            release: format!("{}@{}", manifest.name, manifest.version.escape_debug()),
            size: manifest.size,
        })
    }
}

#[cfg(test)]
mod tests {
    use contract::v1::Manifest;

    use super::*;

    fn record(complete: bool) -> Vec<u8> {
        let manifest = Manifest {
            name: "pump".into(),
            version: "2.1".into(),
            size: 3,
            ..Manifest::default()
        };
        let artifact = Artifact {
            artifact_id: "ab".into(),
            manifest: Some(manifest),
            complete,
            ..Artifact::default()
        };
        artifact.encode_to_vec()
    }

    #[test]
    fn an_image_is_needed_from_when_it_is_complete_until_its_record_goes() {
        let needed = |rows: &[(&str, Option<Vec<u8>>)]| {
            let mut images = Images::default();
            for (key, value) in rows {
                images.take(key.as_bytes(), value.as_deref());
            }
            images.all().collect::<Vec<_>>()
        };
        let complete = ("sartifact/ab", Some(record(true)));
        let image = Image {
            id: "ab".into(),
            release: "pump@2.1".into(),
            size: 3,
        };
        assert_eq!(needed(std::slice::from_ref(&complete)), [image]);
        assert!(needed(&[("sartifact/ab", Some(record(false)))]).is_empty());
        assert!(needed(&[complete, ("sartifact/ab", None)]).is_empty());
        assert!(needed(&[("sopened/ab", Some(record(true))), ("e", Some(record(true)))]).is_empty());
    }
}
