//! A root's key and certificate, wherever they lie.

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use host::clock::wall_ms;
use pki::{Authority, AuthorityError, RootCertificate, Tier};
use zeroize::Zeroizing;

use crate::{
    exit::Failure,
    folder::{read_secret, read_text},
    passphrase, prompt,
};

/// The two files.
pub(super) struct RootFiles {
    /// The key, sealed or in clear.
    pub(super) key: PathBuf,
    /// The certificate, PEM.
    pub(super) certificate: PathBuf,
}

/// A root that is open.
pub(super) struct OpenRoot {
    /// It, ready to sign.
    pub(super) authority: Authority,
    /// Its key, PEM.
    pub(super) key_pem: Zeroizing<String>,
    /// What opened the key; none where it lies in clear.
    pub(super) passphrase: Option<Zeroizing<String>>,
}

impl RootFiles {
    /// Those of a folder.
    pub(super) fn of(folder: &Path) -> RootFiles {
        RootFiles {
            key: folder.join("root.key"),
            certificate: folder.join("root.pem"),
        }
    }

    /// Opens it with the passphrase of a file, or with one that is asked for.
    pub(super) fn open(&self, passphrase_file: Option<&Path>) -> Result<OpenRoot> {
        let file = Zeroizing::new(read_secret(&self.key).context("the root's key is needed")?);
        let passphrase = match (passphrase_file, pki::is_sealed(&file)) {
            (_, false) => None,
            (Some(source), true) => Some(passphrase::read(source)?),
            (None, true) => Some(ask(&self.key)?),
        };
        self.open_with(&file, passphrase)
    }

    /// Opens it once more, as somebody later would.
    pub(super) fn open_again(&self, passphrase: Option<Zeroizing<String>>) -> Result<OpenRoot> {
        self.open_with(&Zeroizing::new(read_secret(&self.key)?), passphrase)
    }

    fn open_with(&self, file: &[u8], passphrase: Option<Zeroizing<String>>) -> Result<OpenRoot> {
        let path = self.key.display();
        let key_pem = pki::open_key(file, passphrase.as_deref().map(String::as_str))
            .map_err(|error| Failure::usage(format!("cannot open {path}: {error}")))?;
        let chain = read_text(&self.certificate)?;
        let unfit = |why: String| {
            Failure::usage(format!(
                "{path} cannot be used with {}: {why}",
                self.certificate.display()
            ))
        };
        let authority = the_ones(&chain, &key_pem).map_err(|error| unfit(error.to_string()))?;
        if authority.tier() != Tier::Root {
            return Err(unfit("the certificate is no root's".into()).into());
        }
        Ok(OpenRoot {
            authority,
            key_pem,
            passphrase,
        })
    }
}

/// Opens the root that the key belongs to: several may be trusted.
fn the_ones(roots: &str, key_pem: &str) -> Result<Authority, AuthorityError> {
    let opened = |chain: &str| Authority::open(chain, key_pem, wall_ms());
    let all = RootCertificate::read_all(roots).unwrap_or_default();
    let mut fits = all.iter().map(|root| opened(&root.pem));
    match fits.find(|opened| !matches!(opened, Err(AuthorityError::KeyMismatch))) {
        Some(opened) => opened,
        None => opened(roots),
    }
}

fn ask(path: &Path) -> Result<Zeroizing<String>> {
    if !std::io::stdin().is_terminal() {
        let message = format!(
            "{} is encrypted: give --root-passphrase-file FILE",
            path.display()
        );
        return Err(Failure::usage(message).into());
    }
    prompt::secret("Passphrase of the root's key: ")
}
