//! The folder of an identity: certificate, key, roots. The key is on disk before anybody certifies it, so
//! that no certificate is ever without its key.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use client::{AskError, Client};
use contract::{id::ServiceName, wire::Wire};
use pki::KeyKind;
use zeroize::Zeroizing;

use super::super::global::explain;
use crate::folder::{read_secret, write_public, write_secret};

/// A key whose certificate has been asked for.
const STAGED: &str = "next-key.pem";

/// Where an identity lies, or is to lie.
pub(in crate::cli) struct Home(PathBuf);

/// A key on its way to a certificate.
pub(in crate::cli) struct Key {
    pem: Zeroizing<String>,
    fresh: bool,
}

impl Home {
    pub(in crate::cli) fn at(path: PathBuf) -> Home {
        Home(path)
    }

    pub(in crate::cli) fn path(&self) -> &Path {
        &self.0
    }

    /// Whether it holds an identity.
    pub(super) fn is_taken(&self) -> bool {
        self.0.join("certificate.pem").exists() || self.0.join("key.pem").exists()
    }

    /// A new key, or the one that an earlier attempt left without an answer.
    pub(in crate::cli) fn stage_key(&self) -> Result<Key> {
        let path = self.0.join(STAGED);
        if path.exists() {
            let pem = String::from_utf8(read_secret(&path)?).context("the key is no PEM")?;
            return Ok(Key {
                pem: Zeroizing::new(pem),
                fresh: false,
            });
        }
        let pem = pki::generate_key(KeyKind::P256)?;
        write_secret(&path, pem.as_bytes())?;
        Ok(Key { pem, fresh: true })
    }

    /// Asks provisioning to certify a key. A key that is refused is thrown away; one without an answer is kept.
    pub(super) async fn certify<Reply: Wire>(
        &self,
        client: &Client,
        (verb, request): (&str, &impl Wire),
        key: &Key,
    ) -> Result<Reply> {
        match client.ask(ServiceName::Provisioning, verb, request).await {
            Ok(reply) => Ok(reply),
            Err(error @ AskError::Refused(_)) => {
                self.discard(key)?;
                Err(explain(error))
            }
            Err(error) => {
                let kept = format!("the key is kept in {}", self.0.join(STAGED).display());
                Err(explain(error).context(kept))
            }
        }
    }

    /// Writes the identity over the former one, if there was any.
    pub(in crate::cli) fn fill(&self, key: &Key, certificate: &str, roots: &str) -> Result<()> {
        write_public(&self.0.join("roots.pem"), roots.as_bytes())?;
        write_secret(&self.0.join("key.pem"), key.pem.as_bytes())?;
        write_public(&self.0.join("certificate.pem"), certificate.as_bytes())?;
        let staged = self.0.join(STAGED);
        fs::remove_file(&staged).with_context(|| format!("cannot remove {}", staged.display()))
    }

    /// Throws a key away that came to nothing, unless an earlier attempt left it.
    pub(in crate::cli) fn discard(&self, key: &Key) -> io::Result<()> {
        if !key.fresh {
            return Ok(());
        }
        fs::remove_file(self.0.join(STAGED))?;
        // Only if it was made for this and holds nothing else.
        let _ = fs::remove_dir(&self.0);
        Ok(())
    }
}

impl Key {
    /// The key itself, PEM.
    pub(in crate::cli) fn pem(&self) -> &str {
        &self.pem
    }

    /// The request to certify it under this id, PEM.
    pub(super) fn csr(&self, id: &str) -> Result<String> {
        Ok(pki::csr_for(&self.pem, id)?)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn an_identity_is_written_whole_and_its_key_is_secret() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("people/ada"));
        assert!(!home.is_taken());
        let key = home.stage_key().unwrap();
        assert!(!home.is_taken());
        assert!(
            key.csr("ada")
                .unwrap()
                .starts_with("-----BEGIN CERTIFICATE REQUEST-----")
        );
        home.fill(&key, "certificate", "roots").unwrap();
        assert!(home.is_taken());
        let mut names: Vec<_> = fs::read_dir(home.path())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["certificate.pem", "key.pem", "roots.pem"]);
        let mode = fs::metadata(home.path().join("key.pem"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_key_without_an_answer_is_used_again_and_survives_a_refusal() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("ada"));
        let first = home.stage_key().unwrap();
        let again = home.stage_key().unwrap();
        assert_eq!(*first.pem, *again.pem);
        home.discard(&again).unwrap();
        assert!(home.path().join(STAGED).exists());
        home.discard(&first).unwrap();
        assert!(!home.path().exists());
    }
}
