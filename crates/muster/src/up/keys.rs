//! Reading the certificate authorities' and the server's files.

use anyhow::{Context, Result};
use artifact::{KeyState, Keyring, PublicKey, TrustedKey};
use host::clock::wall_ms;
use pki::Authority;
use zeroize::Zeroizing;

use crate::{
    config::Config,
    exit::Failure,
    folder::{read_secret, read_text},
    init::read_passphrase,
};

pub(super) fn server_chain(config: &Config) -> Result<String> {
    read_text(&config.folder.pki("server.pem"))
}

pub(super) fn server_key(config: &Config) -> Result<String> {
    String::from_utf8(read_secret(&config.folder.pki("server.key"))?).context("server.key is no PEM")
}

pub(crate) fn roots(config: &Config) -> Result<String> {
    read_text(&config.folder.pki("root.pem"))
}

/// Opens the issuing CA: refused when key and certificate do not match, when it is no CA or has expired.
pub(crate) fn issuing(config: &Config) -> Result<Authority> {
    let path = config.folder.pki("issuing.key");
    let file = read_secret(&path)?;
    let passphrase = match (&config.passphrase_file, pki::is_sealed(&file)) {
        (Some(source), true) => Some(read_passphrase(&config.path(source))?),
        (None, true) => {
            let message = format!(
                "{} is encrypted; set pki.passphrase_file, or MUSTER_PKI__PASSPHRASE_FILE, to a file that holds its passphrase",
                path.display()
            );
            return Err(Failure::usage(message).into());
        }
        (_, false) => None,
    };
    let key: Zeroizing<String> = pki::open_key(&file, passphrase.as_deref().map(String::as_str))
        .map_err(|error| Failure::usage(format!("cannot open {}: {error}", path.display())))?;
    let chain = read_text(&config.folder.pki("issuing.pem"))?;
    Authority::open(&chain, &key, wall_ms()).context("the issuing CA cannot be used")
}

/// The certificates of the issuing CAs that count, without those above them.
pub(super) fn issuing_pem(config: &Config) -> Result<String> {
    let chain = read_text(&config.folder.pki("issuing.pem"))?;
    let end = "-----END CERTIFICATE-----";
    let own = chain.split_inclusive(end).next().unwrap_or_default();
    Ok(format!("{own}\n"))
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
