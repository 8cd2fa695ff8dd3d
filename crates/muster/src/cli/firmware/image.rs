//! An image on disk: its digest, and whether it is the one of a manifest.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use anyhow::{Context, Result};
use artifact::ImageCheck;
use contract::v1::Manifest;
use sha2::{Digest, Sha256};

use crate::exit::Failure;

const BUFFER_BYTES: usize = 64 * 1024;

/// Size and SHA-256 of an image.
pub(in crate::cli) fn digest(path: &Path) -> Result<(u64, [u8; 32])> {
    let (mut size, mut sha256) = (0, Sha256::new());
    each_piece(path, |piece| {
        size += piece.len() as u64;
        sha256.update(piece);
        Ok(())
    })?;
    match size {
        0 => Err(Failure::usage(format!("{} is empty", path.display())).into()),
        _ => Ok((size, sha256.finalize().into())),
    }
}

/// Refuses a file that is not the image its manifest speaks of.
pub(super) fn demand(path: &Path, manifest: &Manifest) -> Result<()> {
    let other = |why: String| {
        let message = format!(
            "{} is not the image of its manifest: {why}; sign it again",
            path.display()
        );
        anyhow::Error::from(Failure::usage(message))
    };
    let sha256 = manifest
        .sha256
        .as_slice()
        .try_into()
        .map_err(|_| other("a SHA-256 has 32 bytes".into()))?;
    let mut check = ImageCheck::new(manifest.size, sha256).map_err(|e| other(e.to_string()))?;
    each_piece(path, |piece| {
        check.update(piece).map_err(|e| other(e.to_string()))
    })?;
    check.finish().map_err(|e| other(e.to_string()))
}

/// Opens a file, or says that the command line names a wrong one.
pub(in crate::cli) fn open(path: &Path) -> Result<File> {
    File::open(path)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())).into())
}

fn each_piece(path: &Path, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut file = open(path)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = match file.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.with_context(|| format!("cannot read {}", path.display()))?,
        };
        match buffer.get(..read).filter(|piece| !piece.is_empty()) {
            Some(piece) => take(piece)?,
            None => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_fits_its_image_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("a"), folder.path().join("b"));
        let image = vec![7; BUFFER_BYTES * 2 + 1];
        std::fs::write(&path, &image).unwrap();
        std::fs::write(&other, &image[1..]).unwrap();
        let (size, sha256) = digest(&path).unwrap();
        assert_eq!(size, image.len() as u64);
        let manifest = Manifest {
            size,
            sha256: sha256.to_vec(),
            ..Manifest::default()
        };
        demand(&path, &manifest).unwrap();
        assert!(
            demand(&other, &manifest)
                .unwrap_err()
                .to_string()
                .contains("1 bytes shorter")
        );
    }

    #[test]
    fn empty_and_missing_files_are_the_callers_mistake() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        assert_eq!(crate::exit::code_of(&digest(&path).unwrap_err()), 2);
        std::fs::write(&path, "").unwrap();
        assert_eq!(crate::exit::code_of(&digest(&path).unwrap_err()), 2);
    }
}
