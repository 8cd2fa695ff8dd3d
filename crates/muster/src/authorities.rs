//! The issuing CAs of an installation and what each is for: `pki/authorities.json`.
//!
//! ```text
//!  new ──► published ── activate ──► active ── another is activated ──► retiring ── remove ──► gone
//!            │                                                            │
//!            └──────────────────────────── remove ────────────────────────┘
//! ```
//!
//! All that are listed are trusted, and their revocation lists are made; one of them signs. Without the file
//! there is the one that `muster init` made. A running server follows it.

use std::fs::{File, TryLockError};

use anyhow::{Context, Result};
use pki::{AuthorityError, IssuingCertificate, RootCertificate, RootLink};
use serde::{Deserialize, Serialize};

use crate::{
    exit::{Exit, Failure},
    folder::{Folder, or_hint, read_text, write_public},
};

const REGISTER: &str = "authorities.json";
const ROOTS: &str = "root.pem";
const LINKS: &str = "root-links.pem";
/// What to do where the roots' file is lost: it is no secret.
const ROOT_LOST: &str =
    "put a copy back: the file `roots.pem` of each person below `people/` and of each device is one";
/// What to do where an issuing CA's certificate is lost: it is no secret either.
const ISSUING_LOST: &str = "put a copy back from a backup, or make it of the second certificate of `pki/server.pem`, or of one \
                            that this CA issued, followed by `pki/root.pem`";
/// More than any rollover needs, of roots and of issuing CAs; each of those costs a revocation list.
const MOST: usize = pki::ROOTS_MAX;

/// What an issuing CA is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// Trusted, and told to whoever asks; it does not sign yet.
    Published,
    /// New certificates come from it.
    Active,
    /// It has signed, and does not any more; what it signed counts.
    Retiring,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listed {
    /// The mark in its name.
    pub id: String,
    /// What it is for.
    pub state: State,
}

/// That nobody else changes the register meanwhile; until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _folder: File,
}

impl Lock {
    /// Locks the folder `pki` of an installation, which everybody who changes the register does first.
    pub(crate) fn take(folder: &Folder) -> Result<Lock> {
        let path = folder.pki("");
        let opened = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        match opened.try_lock() {
            Ok(()) => Ok(Lock { _folder: opened }),
            Err(TryLockError::WouldBlock) => {
                let message = "another `muster ca` is at work; try again when it has ended";
                Err(Failure::new(Exit::Conflict, message).into())
            }
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Register {
    authorities: Vec<Listed>,
}

impl State {
    /// The word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            State::Published => "published",
            State::Active => "active",
            State::Retiring => "retiring",
        }
    }
}

impl Register {
    /// Reads it; what cannot be is refused.
    pub(crate) fn read(folder: &Folder) -> Result<Register> {
        let path = folder.pki(REGISTER);
        if !path.exists() {
            let first = certificate_at(folder, "issuing.pem")?;
            let state = State::Active;
            return Ok(Register {
                authorities: vec![Listed { id: first.id, state }],
            });
        }
        let unfit = |why: &str| Failure::usage(format!("{} does not count: {why}", path.display()));
        let register: Register =
            serde_json::from_str(&read_text(&path)?).map_err(|error| unfit(&error.to_string()))?;
        register.check().map_err(|why| unfit(&why))?;
        Ok(register)
    }

    fn check(&self) -> Result<(), String> {
        let of = |state| {
            self.authorities
                .iter()
                .filter(move |one| one.state == state)
                .count()
        };
        if of(State::Active) != 1 {
            return Err("exactly one issuing CA must be active".into());
        }
        let mut ids: Vec<_> = self.authorities.iter().map(|one| one.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() != self.authorities.len() {
            return Err("an issuing CA stands in it twice".into());
        }
        let is_mark = |id: &&str| id.len() == 8 && id.bytes().all(|b| b.is_ascii_hexdigit());
        match ids.iter().find(|id| !is_mark(id)) {
            Some(id) => Err(format!("`{id}` is no mark of an issuing CA")),
            None => Ok(()),
        }
    }

    /// Writes it. What is on disk is the old one or the new one, never a part.
    pub(crate) fn write(&self, folder: &Folder) -> Result<()> {
        write_public(&folder.pki(REGISTER), &serde_json::to_vec_pretty(self)?)
    }

    /// All of them, the one that signs first.
    pub(crate) fn all(&self) -> Vec<&Listed> {
        let mut all: Vec<_> = self.authorities.iter().collect();
        all.sort_by_key(|one| one.state != State::Active);
        all
    }

    /// The one that signs.
    pub(crate) fn active(&self) -> Result<&Listed> {
        let active = self.authorities.iter().find(|one| one.state == State::Active);
        active.context("no issuing CA is active")
    }

    /// One by its mark.
    pub(crate) fn find(&self, id: &str) -> Result<&Listed, Failure> {
        let found = self.authorities.iter().find(|one| one.id == id);
        found.ok_or_else(|| {
            let message = format!("there is no issuing CA {id}; `muster ca list` names them");
            Failure::new(Exit::NotFound, message)
        })
    }

    /// A new one is published.
    pub(crate) fn publish(&mut self, id: &str) -> Result<(), Failure> {
        if self.authorities.len() >= MOST {
            let message = format!("there are {MOST} issuing CAs already; remove one first");
            return Err(Failure::new(Exit::Conflict, message));
        }
        if self.authorities.iter().any(|one| one.id == id) {
            return Err(Failure::new(
                Exit::Conflict,
                format!("there is a CA {id} already"),
            ));
        }
        self.authorities.push(Listed {
            id: id.to_owned(),
            state: State::Published,
        });
        Ok(())
    }

    /// It signs from now on, and the one before retires.
    pub(crate) fn activate(&mut self, id: &str) -> Result<(), Failure> {
        if self.find(id)?.state == State::Active {
            return Err(Failure::new(Exit::Conflict, format!("{id} is active already")));
        }
        for one in &mut self.authorities {
            match one.state {
                _ if one.id == id => one.state = State::Active,
                State::Active => one.state = State::Retiring,
                State::Published | State::Retiring => {}
            }
        }
        Ok(())
    }

    /// It is trusted no more.
    pub(crate) fn remove(&mut self, id: &str) -> Result<(), Failure> {
        if self.find(id)?.state == State::Active {
            let message = format!("{id} signs; activate another first");
            return Err(Failure::new(Exit::Conflict, message));
        }
        self.authorities.retain(|one| one.id != id);
        Ok(())
    }
}

/// The names of an issuing CA's files below `pki/`, without their ending. The first has none of its own.
pub(crate) fn stem(folder: &Folder, id: &str) -> String {
    let own = format!("issuing-{id}");
    if folder.pki(&format!("{own}.pem")).exists() {
        own
    } else {
        "issuing".into()
    }
}

/// The certificate of an issuing CA that is listed: under this name, and under the installation's root.
pub(crate) fn certificate(folder: &Folder, id: &str) -> Result<IssuingCertificate> {
    let name = format!("{}.pem", stem(folder, id));
    let found = certificate_at(folder, &name)?;
    if found.id == id {
        return Ok(found);
    }
    let message = format!(
        "{} is listed and there is no {} for it",
        id,
        folder.pki(&format!("issuing-{id}.pem")).display()
    );
    Err(Failure::usage(message).into())
}

/// The roots that are trusted, PEM.
pub(crate) fn roots(folder: &Folder) -> Result<String> {
    let path = folder.pki(ROOTS);
    or_hint(read_text(&path), &path, ROOT_LOST)
}

/// The roots that are trusted, one by one.
pub(crate) struct Roots(Vec<RootCertificate>);

impl Roots {
    /// Reads them; a file that holds anything else is refused.
    pub(crate) fn read(folder: &Folder) -> Result<Roots> {
        let unfit = |error: AuthorityError| {
            Failure::usage(format!("{} does not count: {error}", folder.pki(ROOTS).display()))
        };
        Ok(Roots(RootCertificate::read_all(&roots(folder)?).map_err(unfit)?))
    }

    /// Writes them. What is on disk is the old ones or the new ones, never a part.
    pub(crate) fn write(&self, folder: &Folder) -> Result<()> {
        let text: String = self.0.iter().map(|root| root.pem.as_str()).collect();
        write_public(&folder.pki(ROOTS), text.as_bytes())
    }

    /// All of them, the oldest first.
    pub(crate) fn all(&self) -> &[RootCertificate] {
        &self.0
    }

    /// Another one is trusted.
    pub(crate) fn add(&mut self, root: RootCertificate) -> Result<(), Failure> {
        if self.0.contains(&root) {
            let message = format!("the root {} is trusted already", root.fingerprint_sha256);
            return Err(Failure::new(Exit::Conflict, message));
        }
        if self.0.len() >= MOST {
            let message = format!("there are {MOST} roots already; remove one first");
            return Err(Failure::new(Exit::Conflict, message));
        }
        self.0.push(root);
        Ok(())
    }

    /// The only one whose fingerprint begins so.
    pub(crate) fn find(&self, digits: &str) -> Result<&RootCertificate, Failure> {
        let digits = digits.to_ascii_lowercase();
        let mut fits = self
            .0
            .iter()
            .filter(|root| !digits.is_empty() && root.fingerprint_sha256.starts_with(&digits));
        match (fits.next(), fits.next()) {
            (Some(root), None) => Ok(root),
            (None, _) => {
                let message = format!("there is no root `{digits}`; `muster ca root list` names them");
                Err(Failure::new(Exit::NotFound, message))
            }
            _ => Err(Failure::usage(format!(
                "several roots begin with `{digits}`; give more of it"
            ))),
        }
    }

    /// The one whose fingerprint begins so is trusted no more. One must stay.
    pub(crate) fn remove(&mut self, digits: &str) -> Result<RootCertificate, Failure> {
        let gone = self.find(digits)?.clone();
        if self.0.len() == 1 {
            let message = "it is the only root: add the next one first, `muster ca root add`";
            return Err(Failure::new(Exit::Conflict, message));
        }
        self.0.retain(|root| *root != gone);
        Ok(gone)
    }
}

/// The links by which a root vouches for the next: `pki/root-links.pem`. Without the file there are none.
///
/// One whose root is not trusted counts for nothing: it may be left from a command that was cut off.
#[derive(Default)]
pub(crate) struct Links(Vec<RootLink>);

impl Links {
    /// Reads them; a file that holds anything else is refused.
    pub(crate) fn read(folder: &Folder) -> Result<Links> {
        let path = folder.pki(LINKS);
        if !path.exists() {
            return Ok(Links::default());
        }
        let unfit = |error: AuthorityError| {
            Failure::usage(format!(
                "{} does not count: {error}. Put a copy back, or remove it and add the links again",
                path.display()
            ))
        };
        Ok(Links(RootLink::read_all(&read_text(&path)?).map_err(unfit)?))
    }

    /// Writes those to roots that are trusted. What is on disk is the old ones or the new ones, never a part.
    pub(crate) fn write(&self, folder: &Folder, roots: &Roots) -> Result<()> {
        let path = folder.pki(LINKS);
        let text = self.to(roots);
        if text.is_empty() && !path.exists() {
            return Ok(());
        }
        write_public(&path, text.as_bytes())
    }

    /// Those to roots that are trusted, PEM.
    pub(crate) fn to(&self, roots: &Roots) -> String {
        let leads = |link: &&RootLink| roots.all().iter().any(|root| link.leads_to(root));
        self.0
            .iter()
            .filter(leads)
            .map(|link| link.pem.as_str())
            .collect()
    }

    /// Those by which whoever has one of the roots alone, and not the one above this issuing CA, verifies what it issued, PEM.
    pub(crate) fn above(&self, issuing: &IssuingCertificate, roots: &Roots, now_ms: i64) -> String {
        let is_way = |link: &&RootLink| {
            link.validity.contains(now_ms)
                && link.is_above(issuing)
                && roots.all().iter().any(|root| link.is_signed_by(root))
        };
        let links = self.0.iter().filter(is_way);
        links.map(|link| link.pem.as_str()).collect()
    }

    /// Those to one root.
    pub(crate) fn of(&self, root: &RootCertificate) -> impl Iterator<Item = &RootLink> {
        self.0.iter().filter(|link| link.leads_to(root))
    }

    /// One to a root that is trusted, or is about to be, from another that is. It takes the place of a former one
    /// between the same two.
    pub(crate) fn add(
        &mut self,
        link: RootLink,
        root: &RootCertificate,
        roots: &Roots,
        now_ms: i64,
    ) -> Result<(), Failure> {
        let conflict = |why: String| Err(Failure::new(Exit::Conflict, why));
        if !link.leads_to(root) {
            let name = &root.fingerprint_sha256;
            return conflict(format!(
                "the link is for another root than {name}: another name or another key"
            ));
        }
        let Some(former) = roots.all().iter().find(|former| link.is_signed_by(former)) else {
            return conflict("no root that is trusted here has signed the link".into());
        };
        if !link.validity.contains(now_ms) {
            return conflict("the link has ended, or its time has not come".into());
        }
        if self.0.contains(&link) {
            return conflict("this link is there already".into());
        }
        self.0
            .retain(|old| !(old.leads_to(root) && old.is_signed_by(former)));
        if self.0.len() >= pki::LINKS_MAX {
            let most = pki::LINKS_MAX;
            return conflict(format!("there are {most} links already; remove a root first"));
        }
        self.0.push(link);
        Ok(())
    }
}

/// The chain of an issuing CA that is listed, PEM.
pub(crate) fn chain(folder: &Folder, id: &str) -> Result<String> {
    let path = folder.pki(&format!("{}.pem", stem(folder, id)));
    or_hint(read_text(&path), &path, ISSUING_LOST)
}

fn certificate_at(folder: &Folder, name: &str) -> Result<IssuingCertificate> {
    let path = folder.pki(name);
    let roots = roots(folder)?;
    let chain = or_hint(read_text(&path), &path, ISSUING_LOST)?;
    IssuingCertificate::read(&chain, &roots)
        .map_err(|error| Failure::usage(format!("{} cannot be used: {error}", path.display())).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(states: &[(&str, State)]) -> Register {
        let listed = |(id, state): &(&str, State)| Listed {
            id: (*id).into(),
            state: *state,
        };
        Register {
            authorities: states.iter().map(listed).collect(),
        }
    }

    #[test]
    fn one_follows_the_other_and_exactly_one_signs() {
        let mut register = register(&[("4a000001", State::Active)]);
        register.publish("4a000002").unwrap();
        assert_eq!(register.publish("4a000002").unwrap_err().exit, Exit::Conflict);
        assert_eq!(register.remove("4a000001").unwrap_err().exit, Exit::Conflict);
        assert_eq!(register.activate("4a000009").unwrap_err().exit, Exit::NotFound);
        register.activate("4a000002").unwrap();
        assert_eq!(register.activate("4a000002").unwrap_err().exit, Exit::Conflict);
        assert!(register.check().is_ok());
        let states: Vec<_> = register
            .all()
            .iter()
            .map(|one| (one.id.as_str(), one.state))
            .collect();
        assert_eq!(
            states,
            [("4a000002", State::Active), ("4a000001", State::Retiring)]
        );
        // And back, when the new one turns out to be wrong.
        register.activate("4a000001").unwrap();
        register.remove("4a000002").unwrap();
        assert_eq!(register.active().unwrap().id, "4a000001");
        for n in 0..MOST - 1 {
            register.publish(&format!("4b00000{n}")).unwrap();
        }
        assert_eq!(register.publish("4c000000").unwrap_err().exit, Exit::Conflict);
    }

    #[test]
    fn two_do_not_change_the_register_at_once() {
        let at = tempfile::tempdir().unwrap();
        let folder = Folder::at(at.path());
        assert!(Lock::take(&folder).is_err(), "there is no such folder");
        std::fs::create_dir(folder.pki("")).unwrap();
        let first = Lock::take(&folder).unwrap();
        let refused = Lock::take(&folder).unwrap_err();
        assert_eq!(crate::exit::code_of(&refused), 4, "{refused}");
        drop(first);
        Lock::take(&folder).unwrap();
    }

    #[test]
    fn a_register_that_cannot_be_is_refused() {
        use State::{Active, Published};
        for (states, part) in [
            (&[("4a000001", Published)][..], "exactly one"),
            (&[("4a000001", Active), ("4a000002", Active)], "exactly one"),
            (&[("4a000001", Active), ("4a000001", Published)], "twice"),
            (&[("../../x", Active)], "no mark"),
        ] {
            let why = register(states).check().unwrap_err();
            assert!(why.contains(part), "{why}");
        }
    }
}
