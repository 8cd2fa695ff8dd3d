//! The server's key and certificate, and those that are to follow: files in the folder `pki`.
//!
//! ```text
//! server-next.key ──► + server-next.pem ──► server.key renamed ──► server.pem renamed
//! ```
//!
//! The next chain is written when its certificate is recorded, and only then. Where it lies, the change was decided,
//! and whoever comes by ends it: the server never starts with a key and a certificate that do not belong together.

use std::{
    fs::{self, File},
    io,
};

use anyhow::{Context, Result, bail};
use contract::id::ServiceName;
use pki::{KeyKind, PublicKey, ServerCertificate};
use provisioning::{NextKey, Server};
use tracing::info;
use zeroize::Zeroizing;

use crate::folder::{Folder, read_secret, read_text, write_public, write_secret};

const KEY: &str = "server.key";
const CHAIN: &str = "server.pem";
const NEXT_KEY: &str = "server-next.key";
const NEXT_CHAIN: &str = "server-next.pem";

/// The files of one installation.
pub(super) struct ServerFiles {
    folder: Folder,
}

impl ServerFiles {
    pub(super) fn of(folder: &Folder) -> ServerFiles {
        ServerFiles {
            folder: folder.clone(),
        }
    }

    /// The key that waits, or a new one. It is on disk before anybody certifies it.
    fn waiting_key(&self) -> Result<Zeroizing<String>> {
        let path = self.folder.pki(NEXT_KEY);
        if path.exists() {
            return key(&self.folder, NEXT_KEY);
        }
        let pem = pki::generate_key(KeyKind::P256)?;
        write_secret(&path, pem.as_bytes())?;
        Ok(pem)
    }

    fn try_next_key(&self) -> Result<NextKey> {
        finish(&self.folder)?;
        let key = self.waiting_key()?;
        let serving = read_text(&self.folder.pki(CHAIN))?;
        let serving = ServerCertificate::parse_pem(&serving);
        Ok(NextKey {
            csr_pem: pki::csr_for(&key, ServiceName::FrontDoor.word())?,
            serving: serving.map(|read| read.fingerprint_sha256).unwrap_or_default(),
        })
    }

    fn try_install(&self, chain_pem: &str) -> Result<()> {
        finish(&self.folder)?;
        if read_text(&self.folder.pki(CHAIN))? == chain_pem {
            return Ok(());
        }
        let certified = ServerCertificate::parse_pem(chain_pem)?.key_fingerprint_sha256;
        let key = key(&self.folder, NEXT_KEY)?;
        if PublicKey::of_private(&key)?.fingerprint_sha256() != certified {
            bail!(
                "{} is another key than the certificate's",
                self.folder.pki(NEXT_KEY).display()
            );
        }
        write_public(&self.folder.pki(NEXT_CHAIN), chain_pem.as_bytes())?;
        finish(&self.folder)?;
        metrics::counter!("muster_server_certificates_installed_total").increment(1);
        info!("the server has its next certificate");
        Ok(())
    }
}

impl Server for ServerFiles {
    fn next_key(&self) -> Result<NextKey, String> {
        self.try_next_key().map_err(|error| format!("{error:#}"))
    }

    fn install(&self, chain_pem: &str) -> Result<(), String> {
        self.try_install(chain_pem).map_err(|error| {
            // What was not begun is not to be ended by the next start: this certificate is given up.
            if self.folder.pki(NEXT_KEY).exists() {
                let _ = fs::remove_file(self.folder.pki(NEXT_CHAIN));
            }
            format!("{error:#}")
        })
    }
}

/// Puts a new key and the certificate that is made for it in the places of those that are there, or were. To be called while
/// the server is stopped.
pub(crate) fn replace(folder: &Folder, certify: impl FnOnce(&str) -> Result<String>) -> Result<()> {
    finish(folder)?;
    let key = pki::generate_key(KeyKind::P256)?;
    let chain = certify(&key)?;
    write_secret(&folder.pki(NEXT_KEY), key.as_bytes())?;
    write_public(&folder.pki(NEXT_CHAIN), chain.as_bytes())?;
    finish(folder)
}

/// What the certificate that is there names, if it can be read.
pub(crate) fn served_hosts(folder: &Folder) -> Vec<String> {
    let chain = read_text(&folder.pki(CHAIN)).unwrap_or_default();
    let read = ServerCertificate::parse_pem(&chain);
    read.map_or_else(
        |_| Vec::new(),
        |read| read.hosts.iter().map(ToString::to_string).collect(),
    )
}

/// Ends a change that was cut off.
pub(super) fn finish(folder: &Folder) -> Result<()> {
    if !folder.pki(NEXT_CHAIN).exists() {
        return Ok(());
    }
    put(folder, NEXT_KEY, KEY)?;
    put(folder, NEXT_CHAIN, CHAIN)?;
    let pki = folder.pki("");
    let synced = File::open(&pki).and_then(|folder| folder.sync_all());
    synced.with_context(|| format!("cannot write {}", pki.display()))
}

/// What is not there any more, somebody else has put in its place.
fn put(folder: &Folder, from: &str, to: &str) -> Result<()> {
    match fs::rename(folder.pki(from), folder.pki(to)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot write {}", folder.pki(to).display()))
        }
        _ => Ok(()),
    }
}

fn key(folder: &Folder, name: &str) -> Result<Zeroizing<String>> {
    let bytes = Zeroizing::new(read_secret(&folder.pki(name))?);
    let text = std::str::from_utf8(&bytes).with_context(|| format!("{name} is no PEM"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use pki::{Authority, Charter, Host, Plan, Profile, Serial, Subject, SubjectKind, Validity};

    use super::*;

    struct Site {
        _at: tempfile::TempDir,
        folder: Folder,
        issuing: Authority,
    }

    impl Site {
        /// An installation's `pki` with a certificate that is served with.
        fn new() -> Site {
            let at = tempfile::tempdir().unwrap();
            let charter = Charter {
                site: "hq",
                key: KeyKind::P256,
                serial: Serial::from_random([7; 16]),
                now_ms: NOW,
                lifetime_ms: 9_000_000,
            };
            let root = pki::create_root(&charter).unwrap();
            let root = Authority::open(&root.chain_pem, &root.key_pem, NOW).unwrap();
            let issuing = pki::create_issuing(&root, &charter).unwrap();
            let site = Site {
                folder: Folder::at(at.path()),
                _at: at,
                issuing: Authority::open(&issuing.chain_pem, &issuing.key_pem, NOW).unwrap(),
            };
            let key = pki::generate_key(KeyKind::P256).unwrap();
            write_secret(&site.folder.pki(KEY), key.as_bytes()).unwrap();
            write_public(&site.folder.pki(CHAIN), site.certified(&key).as_bytes()).unwrap();
            site
        }

        fn certified(&self, key: &str) -> String {
            let hosts = vec![Host::parse("127.0.0.1").unwrap()];
            let subject = Subject::new("hq", SubjectKind::Service, "front-door").unwrap();
            let validity = Validity::within(self.issuing.validity(), NOW, 5_000_000).unwrap();
            let key = PublicKey::of_private(key).unwrap();
            let serial = Serial::from_random(rand::random());
            let plan = Plan::new(serial, Profile::Server { hosts }, subject, &key, validity);
            self.issuing.sign(&plan).unwrap().pem
        }

        fn read(&self, name: &str) -> String {
            fs::read_to_string(self.folder.pki(name)).unwrap()
        }

        /// Key and certificate belong together, and nothing waits.
        fn demand_whole(&self, chain: &str) {
            assert_eq!(self.read(CHAIN), chain);
            let key = key(&self.folder, KEY).unwrap();
            let key = PublicKey::of_private(&key).unwrap().fingerprint_sha256();
            let read = ServerCertificate::parse_pem(chain).unwrap();
            assert_eq!(read.key_fingerprint_sha256, key);
            assert!(!self.folder.pki(NEXT_KEY).exists() && !self.folder.pki(NEXT_CHAIN).exists());
        }
    }

    const NOW: i64 = 1_800_000_000_000;

    #[test]
    fn the_next_key_waits_for_its_certificate_and_both_take_their_places() {
        let site = Site::new();
        let files = ServerFiles::of(&site.folder);
        let first = files.next_key().unwrap();
        let key = site.read(NEXT_KEY);
        let serving = ServerCertificate::parse_pem(&site.read(CHAIN)).unwrap();
        assert_eq!(first.serving, serving.fingerprint_sha256);
        files.next_key().unwrap();
        assert_eq!(site.read(NEXT_KEY), key, "one key, however often it is asked for");
        let chain = site.certified(&key);
        files.install(&chain).unwrap();
        site.demand_whole(&chain);
        files.install(&chain).unwrap();
        site.demand_whole(&chain);
    }

    #[test]
    fn what_was_cut_off_is_ended_from_wherever_it_was() {
        for steps in 0..=2 {
            let site = Site::new();
            let files = ServerFiles::of(&site.folder);
            files.next_key().unwrap();
            let chain = site.certified(&site.read(NEXT_KEY));
            write_public(&site.folder.pki(NEXT_CHAIN), chain.as_bytes()).unwrap();
            for (from, to) in [(NEXT_KEY, KEY), (NEXT_CHAIN, CHAIN)].into_iter().take(steps) {
                fs::rename(site.folder.pki(from), site.folder.pki(to)).unwrap();
            }
            match steps {
                0 => finish(&site.folder).unwrap(),
                _ => files.install(&chain).unwrap(),
            }
            site.demand_whole(&chain);
        }
    }

    #[test]
    fn a_certificate_of_another_key_changes_nothing() {
        let site = Site::new();
        let files = ServerFiles::of(&site.folder);
        let (key, chain) = (site.read(KEY), site.read(CHAIN));
        let other = site.certified(&pki::generate_key(KeyKind::P256).unwrap());
        assert!(
            files.install(&other).unwrap_err().contains("server-next.key"),
            "no key waits"
        );
        files.next_key().unwrap();
        assert!(files.install(&other).unwrap_err().contains("another key"));
        assert!(files.install("nonsense").is_err());
        assert_eq!((site.read(KEY), site.read(CHAIN)), (key, chain));
        assert!(!site.folder.pki(NEXT_CHAIN).exists());
    }
}
