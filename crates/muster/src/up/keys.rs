//! Reading the certificate authorities' and the server's files.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use artifact::{KeyState, Keyring, PublicKey, SigningKey, TrustedKey};
use host::clock::wall_ms;
use pki::Authority;
use tracing::warn;
use zeroize::Zeroizing;

use crate::{
    authorities::{self, Links, Listed, Register, Roots, State},
    config::Config,
    exit::Failure,
    folder::{or_hint, read_secret, read_text},
};

/// What to do where the server's key or certificate is lost, or is of no use.
pub(super) const SERVER_LOST: &str =
    "while Muster is stopped, `muster recover server` makes another key and certificate";
/// What to do where the key of the issuing CA that signs is lost.
const ISSUING_LOST: &str = "put it back from a backup; where there is none, let another sign: `muster ca new`, then `muster ca \
                            activate ID` (docs/authorities.md)";

pub(super) fn server_chain(config: &Config) -> Result<String> {
    let path = config.folder.pki("server.pem");
    or_hint(read_text(&path), &path, SERVER_LOST)
}

pub(super) fn server_key(config: &Config) -> Result<String> {
    let path = config.folder.pki("server.key");
    let key = or_hint(read_secret(&path), &path, SERVER_LOST)?;
    let unfit = |_| Failure::usage(format!("{} is no PEM; {SERVER_LOST}", path.display()));
    Ok(String::from_utf8(key).map_err(unfit)?)
}

pub(crate) fn roots(config: &Config) -> Result<String> {
    authorities::roots(&config.folder)
}

/// The links to roots that are trusted.
pub(super) fn root_links(config: &Config) -> Result<String> {
    Ok(Links::read(&config.folder)?.to(&Roots::read(&config.folder)?))
}

/// What the server shows after its own chain: devices that were away while the root changed come back by it.
pub(super) fn links_above(config: &Config, server_chain: &str) -> Result<String> {
    let (roots, links) = (Roots::read(&config.folder)?, Links::read(&config.folder)?);
    for listed in Register::read(&config.folder)?.all() {
        let issuing = authorities::certificate(&config.folder, &listed.id)?;
        if pki::issued_by(server_chain, &issuing.pem).is_ok() {
            return Ok(links.above(&issuing, &roots, wall_ms()));
        }
    }
    Ok(String::new())
}

/// The issuing CAs that are trusted, with their keys.
pub(crate) struct Issuing {
    /// New certificates come from it.
    pub(crate) signing: Authority,
    /// Their revocation lists are made.
    pub(crate) others: Vec<Authority>,
}

/// Opens the issuing CA that signs: refused when key and certificate do not match, when it is no CA, when another
/// root signed it or when it has expired.
pub(crate) fn issuing(config: &Config) -> Result<Authority> {
    let register = Register::read(&config.folder)?;
    open(config, &register.active()?.id).context("the issuing CA cannot be used")
}

/// Opens all that are trusted. Of one whose time is over nothing counts any more, and one that signs no more and whose key
/// is lost makes no lists: neither stops a start.
pub(super) fn all_issuing(config: &Config) -> Result<Issuing> {
    let mut others = Vec::new();
    for listed in Register::read(&config.folder)?.all() {
        if listed.state == State::Active {
            continue;
        }
        let read = authorities::certificate(&config.folder, &listed.id)?;
        if !read.validity.contains(wall_ms()) {
            warn!(
                id = listed.id,
                "this issuing CA has ended; its revocation list is made no more"
            );
            continue;
        }
        let key = key_file(config, &listed.id);
        if !key.exists() {
            warn!(
                id = listed.id,
                key = %key.display(),
                "this issuing CA's key is lost; what it signed counts, and its revocation list is made no more"
            );
            continue;
        }
        let opened = open(config, &listed.id);
        others.push(opened.with_context(|| format!("the issuing CA {} cannot be used", listed.id))?);
    }
    Ok(Issuing {
        signing: issuing(config)?,
        others,
    })
}

/// The certificates of all issuing CAs that are trusted. One that has ended is among them: what it signed may have
/// ended lately, too.
pub(super) fn issuing_pem(config: &Config) -> Result<String> {
    let register = Register::read(&config.folder)?;
    let read = |listed: &&Listed| authorities::certificate(&config.folder, &listed.id);
    register
        .all()
        .iter()
        .map(|listed| Ok(read(listed)?.pem))
        .collect()
}

/// Opens one issuing CA.
pub(crate) fn open(config: &Config, id: &str) -> Result<Authority> {
    authorities::certificate(&config.folder, id)?;
    let path = key_file(config, id);
    let file = Zeroizing::new(or_hint(read_secret(&path), &path, ISSUING_LOST)?);
    let passphrase = passphrase(config, &path, &file)?;
    let key: Zeroizing<String> = pki::open_key(&file, passphrase.as_deref().map(String::as_str))
        .map_err(|error| cannot_open(config, &path, &error))?;
    let chain = read_text(&path.with_extension("pem"))?;
    Authority::open(&chain, &key, wall_ms()).map_err(|error| Failure::usage(error.to_string()).into())
}

/// Where an issuing CA's key lies.
fn key_file(config: &Config, id: &str) -> PathBuf {
    let stem = authorities::stem(&config.folder, id);
    config.folder.pki(&format!("{stem}.key"))
}

/// What seals the key of the issuing CA that signs; none where it lies in clear. Where that key is lost, the one beside it
/// says which it is: they lie alike.
pub(crate) fn issuing_passphrase(config: &Config) -> Result<Option<Zeroizing<String>>> {
    let id = Register::read(&config.folder)?.active()?.id.clone();
    let retirement = config.folder.pki("retirement.key");
    let key = Some(key_file(config, &id)).filter(|path| path.exists() || !retirement.exists());
    let path = key.unwrap_or(retirement);
    passphrase(config, &path, &or_hint(read_secret(&path), &path, ISSUING_LOST)?)
}

/// With where the passphrase comes from: it may be another installation's.
fn cannot_open(config: &Config, path: &Path, error: &dyn std::fmt::Display) -> Failure {
    let source = config.passphrase_source().map(|source| {
        let source = source.display();
        format!("; its passphrase is read from {source}, as pki.passphrase_file says")
    });
    let source = source.unwrap_or_default();
    Failure::usage(format!("cannot open {}: {error}{source}", path.display()))
}

fn passphrase(config: &Config, path: &Path, file: &[u8]) -> Result<Option<Zeroizing<String>>> {
    match (&config.passphrase_source(), pki::is_sealed(file)) {
        (Some(source), true) => crate::passphrase::read(source).map(Some),
        (None, true) => {
            let message = format!(
                "{} is encrypted; set pki.passphrase_file, or MUSTER_PKI__PASSPHRASE_FILE, to where its passphrase is read from",
                path.display()
            );
            Err(Failure::usage(message).into())
        }
        (_, false) => Ok(None),
    }
}

/// The keys that may sign firmware.
pub(super) fn release_keys(config: &Config) -> Result<Keyring> {
    let mut keys = Vec::new();
    for path in &config.release_keys {
        let pem = read_text(&config.path(path))?;
        let key =
            PublicKey::from_pem(&pem).with_context(|| format!("{} is no release key", path.display()))?;
        keys.push(TrustedKey {
            key,
            state: KeyState::Active,
        });
    }
    Keyring::new(keys, config.release_threshold).context("rollout.release_keys")
}

/// The key that signs the records of retirements. Without it everything else goes on, and the records wait.
pub(super) fn retirement_key(config: &Config) -> Result<Option<SigningKey>> {
    let path = config.folder.pki("retirement.key");
    if !path.exists() {
        warn!(path = %path.display(), "there is no key for the records of retirements; they wait to be signed");
        return Ok(None);
    }
    let file = read_secret(&path)?;
    let passphrase = passphrase(config, &path, &file)?;
    let pem = pki::open_key(&file, passphrase.as_deref().map(String::as_str))
        .map_err(|error| cannot_open(config, &path, &error))?;
    let key = SigningKey::from_pem(&pem).map_err(|error| cannot_open(config, &path, &error))?;
    Ok(Some(key))
}
