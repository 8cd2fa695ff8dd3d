//! An issuing CA's key that waits for its root's answer: `pki/issuing-next.key`, and the request beside it.
//!
//! ```text
//!  issuing-next.key ──► issuing-next.csr ── to the root's holder ──► answer ── muster ca import ──► issuing-ID.key, .pem
//! ```
//!
//! One waits at a time. The key is on disk before anybody is asked to certify it, and lies as all others do.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use pki::{AuthorityError, Brought, IssuingCertificate, KeyKind, PublicKey};
use zeroize::Zeroizing;

use crate::{
    exit::{Exit, Failure},
    folder::{Folder, read_secret, read_text, write_public, write_secret},
    init::protection,
};

const KEY: &str = "issuing-next.key";
const REQUEST: &str = "issuing-next.csr";

/// A request that was written.
pub(crate) struct Asked {
    /// The file.
    pub(crate) request: PathBuf,
    /// The SHA-256 of its key's SubjectPublicKeyInfo, in lower-case hex.
    pub(crate) fingerprint: String,
}

/// The key file, if a key waits.
pub(crate) fn sealed_key(folder: &Folder) -> Result<Zeroizing<Vec<u8>>> {
    let path = folder.pki(KEY);
    if !path.exists() {
        let message = format!("no key waits for an answer in {}", folder.pki("").display());
        return Err(Failure::new(Exit::NotFound, message).into());
    }
    read_secret(&path).map(Zeroizing::new)
}

/// Writes the request for a new key, or for the one that waits already. The passphrase seals a new key, and opens
/// one that waits.
pub(crate) fn ask(
    folder: &Folder,
    site: &str,
    kind: Option<KeyKind>,
    passphrase: Option<&Zeroizing<String>>,
) -> Result<Asked> {
    let key = match folder.pki(KEY).exists() {
        true => former(folder, kind, passphrase)?,
        false => fresh(folder, kind.unwrap_or_default(), passphrase)?,
    };
    let request = folder.pki(REQUEST);
    write_public(&request, pki::authority_request(&key, site)?.as_bytes())?;
    Ok(Asked {
        request,
        fingerprint: PublicKey::of_private(&key)?.fingerprint_sha256(),
    })
}

fn fresh(
    folder: &Folder,
    kind: KeyKind,
    passphrase: Option<&Zeroizing<String>>,
) -> Result<Zeroizing<String>> {
    let key = pki::generate_key(kind)?;
    write_secret(&folder.pki(KEY), &pki::seal_key(&key, &protection(passphrase))?)?;
    Ok(key)
}

fn former(
    folder: &Folder,
    kind: Option<KeyKind>,
    passphrase: Option<&Zeroizing<String>>,
) -> Result<Zeroizing<String>> {
    let key = open(folder, passphrase)?;
    let waits = PublicKey::of_private(&key)?.kind();
    match kind {
        Some(other) if other != waits => {
            let message = format!(
                "a {} key waits for its answer already; to ask for another one, remove {}",
                waits.word(),
                folder.pki(KEY).display()
            );
            Err(Failure::new(Exit::Conflict, message).into())
        }
        _ => Ok(key),
    }
}

/// The key that waits, PEM.
pub(crate) fn open(folder: &Folder, passphrase: Option<&Zeroizing<String>>) -> Result<Zeroizing<String>> {
    let file = sealed_key(folder)?;
    pki::open_key(&file, passphrase.map(|text| text.as_str()))
        .map_err(|error| Failure::usage(format!("cannot open {}: {error}", folder.pki(KEY).display())).into())
}

/// Holds an answer against the key that waits.
pub(crate) fn answered(path: &Path, answer: &str, key_pem: &str, now_ms: i64) -> Result<Brought> {
    let refused = |why: String| Failure::usage(format!("{} cannot be used: {why}", path.display()));
    let waits = PublicKey::of_private(key_pem)?.fingerprint_sha256();
    let opened = Brought::open(answer, key_pem, now_ms).map_err(|error| match error {
        AuthorityError::KeyMismatch => refused(format!(
            "it answers another request: its key is not the one that waits here ({waits})"
        )),
        error => refused(error.to_string()),
    });
    Ok(opened?)
}

/// Demands that an answer comes from the root that this installation trusts.
pub(crate) fn demand_same_root(folder: &Folder, path: &Path, answer: &str) -> Result<()> {
    let roots = read_text(&folder.pki("root.pem"))?;
    match IssuingCertificate::read(answer, &roots) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::usage(format!("{} cannot be used: {error}", path.display())).into()),
    }
}

/// Nothing waits any more.
pub(crate) fn done(folder: &Folder) -> Result<()> {
    for name in [KEY, REQUEST] {
        remove(&folder.pki(name))?;
    }
    Ok(())
}

/// Removes a file, if it is there, so that it stays removed.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let removed = match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        removed => removed.and_then(|()| match path.parent() {
            Some(folder) => fs::File::open(folder)?.sync_all(),
            None => Ok(()),
        }),
    };
    removed.with_context(|| format!("cannot remove {}", path.display()))
}
