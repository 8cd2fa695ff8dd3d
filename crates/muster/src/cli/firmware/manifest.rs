//! Signed manifests as files.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use artifact::{MANIFEST_TYPE, SigningKey};
use contract::v1::{Manifest, ManifestSignature, SignedManifest};
use prost::Message;

use super::image;
use crate::{exit::Failure, folder::write_public};

/// Where an image's manifest lies unless said otherwise.
pub(super) fn beside(image: &Path) -> PathBuf {
    let mut name = image.as_os_str().to_owned();
    name.push(".manifest.json");
    name.into()
}

/// Signs the manifest's bytes with each key.
pub(super) fn sign(manifest: &Manifest, keys: &[SigningKey]) -> SignedManifest {
    let payload = manifest.encode_to_vec();
    let signature = |key| {
        let signature = artifact::sign(MANIFEST_TYPE, &payload, key);
        ManifestSignature {
            key_id: signature.keyid,
            signature: signature.sig,
        }
    };
    let signatures = keys.iter().map(signature).collect();
    SignedManifest {
        payload_type: MANIFEST_TYPE.to_owned(),
        payload,
        signatures,
    }
}

/// Writes a signed manifest.
pub(super) fn write(path: &Path, signed: &SignedManifest) -> Result<()> {
    write_public(path, &serde_json::to_vec_pretty(signed)?)
}

/// Reads a signed manifest. Its signatures are the server's and the devices' to judge.
pub(super) fn read(path: &Path) -> Result<(SignedManifest, Manifest)> {
    let refuse = |why: String| Failure::usage(format!("{} is no signed manifest: {why}", path.display()));
    let text = std::io::read_to_string(image::open(path)?).map_err(|e| refuse(e.to_string()))?;
    let signed: SignedManifest = serde_json::from_str(&text).map_err(|e| refuse(e.to_string()))?;
    let manifest = open(&signed).map_err(|e| refuse(format!("{e:#}")))?;
    Ok((signed, manifest))
}

fn open(signed: &SignedManifest) -> Result<Manifest> {
    anyhow::ensure!(
        signed.payload_type == MANIFEST_TYPE,
        "its type is `{}`",
        signed.payload_type
    );
    Manifest::decode(signed.payload.as_slice()).context("its payload does not parse")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_comes_back_from_its_file_with_signatures_that_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = beside(&folder.path().join("pump.bin"));
        assert!(path.ends_with("pump.bin.manifest.json"));
        let manifest = Manifest {
            name: "pump-fw".into(),
            sequence: 7,
            ..Manifest::default()
        };
        let keys = [1, 2].map(|n| SigningKey::from_seed(&[n; 32]));
        write(&path, &sign(&manifest, &keys)).unwrap();
        let (signed, again) = read(&path).unwrap();
        assert_eq!(again, manifest);
        let trusted = keys.iter().map(|key| artifact::TrustedKey {
            key: key.public_key(),
            state: artifact::KeyState::Active,
        });
        let keyring = artifact::Keyring::new(trusted, 2).unwrap();
        let signature = |s: &ManifestSignature| artifact::Signature {
            keyid: s.key_id.clone(),
            sig: s.signature.clone(),
        };
        let signatures: Vec<_> = signed.signatures.iter().map(signature).collect();
        keyring
            .verify(MANIFEST_TYPE, &signed.payload_type, &signed.payload, &signatures)
            .unwrap();
    }

    #[test]
    fn other_files_are_the_callers_mistake() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        for text in ["", "{\"nonsense\":1}", "{\"payload_type\":\"text/plain\"}"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(crate::exit::code_of(&read(&path).unwrap_err()), 2, "{text:?}");
        }
    }
}
