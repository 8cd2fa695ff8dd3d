//! The roots that the device trusts: those that it was set up with, and those that links lead to from them.
//!
//! The server tells its roots with each certificate. One that is new counts only if a root that is trusted now vouches for
//! it: whoever plays the server with a stolen issuing CA cannot give the device a root of his own.

use std::sync::{Arc, Mutex, PoisonError};

use pki::{NotTaken, ROOTS_MAX, RootCertificate, RootLink, Succession, Told};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde::{Deserialize, Serialize};

use crate::{error::Error, event::Event, files::Folder};

/// What was taken: roots are no secret, and stay when the device wipes itself.
const TAKEN: &str = "roots";

type Teller = Arc<dyn Fn(Event) + Send + Sync>;

/// The roots at rest.
#[derive(Clone)]
pub(crate) struct Roots {
    folder: Arc<Folder>,
    begun_with: Arc<str>,
    tell: Teller,
    /// What was said last of roots that are not taken: the same is said once.
    said: Arc<Mutex<String>>,
}

/// Each root with the link by which it was taken, PEM, none before the root that vouches for it.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Kept {
    taken: Vec<(String, String)>,
}

impl Roots {
    /// Those that the device was set up with, and what its folder has beside them.
    pub(crate) fn new(folder: Arc<Folder>, begun_with: &str, tell: Teller) -> Roots {
        Roots {
            folder,
            begun_with: begun_with.into(),
            tell,
            said: Arc::default(),
        }
    }

    /// All that are trusted, PEM. One that was taken and has ended is not among them.
    pub(crate) fn trusted_pem(&self, now_ms: Option<i64>) -> Result<String, Error> {
        let kept = self.kept()?;
        let taken = match kept.is_empty() {
            true => Vec::new(),
            false => pki::led_to(&self.begun_with(), &kept),
        };
        let lasts = |root: &&RootCertificate| now_ms.is_none_or(|now| now <= root.validity.not_after_ms);
        let mut text = format!("{}\n", self.begun_with.trim_end());
        text.extend(taken.iter().filter(lasts).map(|root| root.pem.as_str()));
        Ok(text)
    }

    /// Takes those of the roots that the server tells to which links lead, at this time. They are on disk before they
    /// count.
    pub(crate) fn take(&self, roots_pem: &str, links_pem: &str, at_ms: i64) -> Result<(), Error> {
        let told = match Told::read(roots_pem, links_pem) {
            Ok(told) => told,
            Err(error) => {
                self.say(format!(
                    "the roots that the server tells are not looked at: {error}"
                ));
                return Ok(());
            }
        };
        let (begun_with, kept) = (self.begun_with(), self.kept()?);
        let known: Vec<_> = begun_with
            .iter()
            .cloned()
            .chain(pki::led_to(&begun_with, &kept))
            .collect();
        let judged = Succession::judge(&known, &told, at_ms);
        self.say(refused(&judged.refused));
        self.keep(&begun_with, kept, judged.taken, at_ms)
    }

    fn keep(
        &self,
        begun_with: &[RootCertificate],
        mut kept: Vec<(RootCertificate, RootLink)>,
        new: Vec<(RootCertificate, RootLink)>,
        at_ms: i64,
    ) -> Result<(), Error> {
        if new.is_empty() {
            return Ok(());
        }
        make_room(begun_with, &mut kept, new.len(), at_ms);
        if kept.len() + new.len() > ROOTS_MAX {
            self.say(format!(
                "no root is taken: there are {} already, and none has ended",
                kept.len()
            ));
            return Ok(());
        }
        let names: Vec<_> = new
            .iter()
            .map(|(root, _)| root.fingerprint_sha256.clone())
            .collect();
        let all = kept.into_iter().chain(new);
        let taken = all.map(|(root, link)| (root.pem, link.pem)).collect();
        self.folder.keep(TAKEN, &Kept { taken })?;
        for fingerprint in names {
            (self.tell)(Event::RootTaken { fingerprint });
        }
        Ok(())
    }

    /// Those that it was set up with, as far as they are roots as Muster knows them.
    fn begun_with(&self) -> Vec<RootCertificate> {
        CertificateDer::pem_slice_iter(self.begun_with.as_bytes())
            .filter_map(|der| RootCertificate::read_der(&der.ok()?).ok())
            .collect()
    }

    /// What was taken. What the disk has damaged is taken anew with the next certificate.
    fn kept(&self) -> Result<Vec<(RootCertificate, RootLink)>, Error> {
        let Some(kept) = self.folder.kept::<Kept>(TAKEN)? else {
            if self.folder.read(TAKEN)?.is_some() {
                self.say(format!(
                    "{} is damaged: {LOST}",
                    self.folder.path(TAKEN).display()
                ));
            }
            return Ok(Vec::new());
        };
        let read = |(root, link): &(String, String)| {
            let root = RootCertificate::read_all(root).ok()?.pop()?;
            Some((root, RootLink::read_all(link).ok()?.pop()?))
        };
        Ok(kept.taken.iter().filter_map(read).collect())
    }

    fn say(&self, what: String) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if *said != what && !what.is_empty() {
            said.clone_from(&what);
            (self.tell)(Event::Problem { what });
        }
    }
}

/// What follows where the file is lost.
const LOST: &str =
    "the roots that were taken count again when the server tells them with the next certificate";

fn refused(roots: &[(RootCertificate, NotTaken)]) -> String {
    let each = roots.iter().map(|(root, why)| {
        let fingerprint = &root.fingerprint_sha256;
        format!("the server tells a root {fingerprint}, which is not trusted: {why}")
    });
    each.collect::<Vec<_>>().join("; ")
}

/// Drops ended ones while there are too many, the oldest first, and none by which another is trusted.
fn make_room(
    begun_with: &[RootCertificate],
    kept: &mut Vec<(RootCertificate, RootLink)>,
    new: usize,
    at_ms: i64,
) {
    while kept.len() + new > ROOTS_MAX {
        let is_spare = |at: &usize| {
            let mut others = kept.clone();
            let (root, _) = others.remove(*at);
            let before = pki::led_to(begun_with, kept).len();
            root.validity.not_after_ms < at_ms && pki::led_to(begun_with, &others).len() + 1 >= before
        };
        let Some(spare) = (0..kept.len()).find(is_spare) else {
            return;
        };
        kept.remove(spare);
    }
}

#[cfg(test)]
mod tests;
