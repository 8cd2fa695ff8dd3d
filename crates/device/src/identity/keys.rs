//! Where keys and certificates lie.
//!
//! | file | holds |
//! |---|---|
//! | `identity.pem` | the key and the certificate that are used |
//! | `next.pem` | the next ones, until a connection has been made with them |
//! | `request.pem` | a key and the request for its certificate, until that has come |
//!
//! Each is one file, so that a key and what belongs to it cannot be parted by a cut.

use std::sync::Arc;

use pki::KeyKind;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{clock, error::Error, files::Folder, ground::Ground};

const IDENTITY: &str = "identity.pem";
const NEXT: &str = "next.pem";
const REQUEST: &str = "request.pem";
const END_OF_KEY: &str = "-----END PRIVATE KEY-----\n";

/// The device's keys at rest.
#[derive(Debug, Clone)]
pub(crate) struct Keys(Arc<Folder>, Arc<dyn Ground>, KeyKind);

/// A key and its certificate.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) key_pem: Zeroizing<String>,
    pub(crate) chain_pem: String,
}

/// A key and the request for its certificate.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) key_pem: Zeroizing<String>,
    pub(crate) csr_pem: String,
}

impl Keys {
    /// New keys are of this kind; those that there are stay as they are until they are renewed.
    pub(crate) fn new(folder: Arc<Folder>, ground: Arc<dyn Ground>, kind: KeyKind) -> Keys {
        Keys(folder, ground, kind)
    }

    /// What the device connects with.
    pub(crate) fn current(&self) -> Result<Option<Credentials>, Error> {
        self.credentials(IDENTITY)
    }

    /// What it will connect with. One that the disk has damaged is named in the log and asked for anew: nothing
    /// rests on it.
    pub(crate) fn next(&self) -> Result<Option<Credentials>, Error> {
        Ok(self
            .spare(NEXT)?
            .map(|(key_pem, chain_pem)| Credentials { key_pem, chain_pem }))
    }

    /// The time, no earlier than the beginning of the certificate that there is and of the one that has just come.
    pub(crate) fn at_least(&self, now_ms: Option<i64>, new_pem: &str) -> i64 {
        let current = self.current().ok().flatten().map(|current| current.chain_pem);
        let begun = [current.as_deref(), Some(new_pem)].into_iter().flatten();
        let begun = begun.filter_map(|pem| pki::ClientCertificate::parse_pem(pem).ok());
        let floor_ms = begun.map(|certificate| certificate.not_before_ms).max();
        clock::at_least(now_ms, floor_ms.unwrap_or_default())
    }

    /// The request under way, or a new one under a fresh key. It is on disk before it is sent, so that after
    /// a cut the same request goes out again.
    pub(crate) fn request(&self, id: &str) -> Result<Request, Error> {
        if let Some(request) = self.under_way()? {
            return Ok(request);
        }
        let unmade = |why: String| Error::Setting {
            setting: "device_id",
            why,
        };
        let key_pem = self.1.new_key(self.2).map_err(|e| unmade(e.to_string()))?;
        let csr_pem = pki::csr_for(&key_pem, id).map_err(|e| unmade(e.to_string()))?;
        self.save(REQUEST, &key_pem, &csr_pem)?;
        Ok(Request { key_pem, csr_pem })
    }

    /// The request that a cut left, unless it is of no use: one whose certificate has come, or one that the disk
    /// has damaged. Nothing rests on it.
    fn under_way(&self) -> Result<Option<Request>, Error> {
        let Some((key_pem, csr_pem)) = self.spare(REQUEST)? else {
            return Ok(None);
        };
        let is_answered = [IDENTITY, NEXT]
            .into_iter()
            .filter_map(|name| self.pair(name).ok().flatten())
            .any(|(certified, _)| certified == key_pem);
        Ok((!is_answered).then_some(Request { key_pem, csr_pem }))
    }

    /// The request was refused: its key is of no use.
    pub(crate) fn drop_request(&self) -> Result<(), Error> {
        self.0.erase(REQUEST)
    }

    /// The first certificate has come.
    pub(crate) fn enrolled(&self, new: &Credentials) -> Result<(), Error> {
        self.save(IDENTITY, &new.key_pem, &new.chain_pem)?;
        self.0.erase(REQUEST)
    }

    /// The next certificate has come.
    pub(crate) fn renewed(&self, new: &Credentials) -> Result<(), Error> {
        self.save(NEXT, &new.key_pem, &new.chain_pem)?;
        self.0.erase(REQUEST)
    }

    /// The next certificate has proved itself; the old key is overwritten.
    pub(crate) fn promote(&self) -> Result<(), Error> {
        self.0.rename_secret(NEXT, IDENTITY)
    }

    /// The next certificate is of no use.
    pub(crate) fn drop_next(&self) -> Result<(), Error> {
        self.0.erase(NEXT)
    }

    /// Erases all keys: where one resists, the others go all the same.
    pub(crate) fn erase(&self) -> Result<(), Error> {
        let erased = [IDENTITY, NEXT, REQUEST].map(|name| self.0.erase(name));
        erased.into_iter().collect()
    }

    /// Whether the erasing of the identity has begun: no key begins with a zero.
    pub(crate) fn is_half_erased(&self) -> Result<bool, Error> {
        Ok(self
            .0
            .read(IDENTITY)?
            .is_some_and(|bytes| bytes.first() == Some(&0)))
    }

    /// The identity takes the name of a mark, which takes no room; whoever marks with it erases what it says.
    pub(crate) fn become_mark(&self, mark: &str) -> Result<(), Error> {
        self.0.move_file(IDENTITY, mark)
    }

    /// What there is to erase.
    pub(crate) fn names(&self) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        for name in [IDENTITY, NEXT, REQUEST] {
            names.extend(self.0.names(name)?);
        }
        Ok(names)
    }

    fn credentials(&self, name: &str) -> Result<Option<Credentials>, Error> {
        let pair = self.pair(name)?;
        Ok(pair.map(|(key_pem, chain_pem)| Credentials { key_pem, chain_pem }))
    }

    /// A pair that can be made anew.
    fn spare(&self, name: &str) -> Result<Option<(Zeroizing<String>, String)>, Error> {
        match self.pair(name) {
            Err(error @ Error::Damaged { .. }) => {
                tracing::warn!(%error, "it is made anew");
                Ok(None)
            }
            found => found,
        }
    }

    fn pair(&self, name: &str) -> Result<Option<(Zeroizing<String>, String)>, Error> {
        let Some(text) = self.0.read_text(name)?.map(Zeroizing::new) else {
            return Ok(None);
        };
        let Some(end) = text.find(END_OF_KEY).map(|at| at + END_OF_KEY.len()) else {
            return Err(self.0.damaged(name, "it does not begin with a private key"));
        };
        let (key, rest) = text.split_at(end);
        Ok(Some((Zeroizing::new(key.to_owned()), rest.to_owned())))
    }

    fn save(&self, name: &str, key_pem: &str, rest: &str) -> Result<(), Error> {
        let end = if key_pem.ends_with('\n') { "" } else { "\n" };
        let key_pem = Zeroizing::new(key_pem.replace("\r\n", "\n"));
        let text = Zeroizing::new(format!("{}{end}{rest}", *key_pem));
        self.0.write_secret(name, text.as_bytes())
    }
}

impl Request {
    /// The name under which it is sent: the same after a restart, so that it takes effect once.
    pub(crate) fn name(&self) -> String {
        hex::encode(&Sha256::digest(&self.csr_pem)[..12])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::Machine;

    fn keys() -> (tempfile::TempDir, Keys) {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::new(
            Arc::new(Folder::on(Machine.disk(dir.path()).unwrap())),
            Arc::new(Machine),
            KeyKind::P256,
        );
        (dir, keys)
    }

    #[test]
    fn a_request_outlives_a_restart_and_keeps_its_name() {
        let (_dir, keys) = keys();
        let first = keys.request("pump-7").unwrap();
        let again = keys.request("pump-7").unwrap();
        assert!(first == again && first.name() == again.name());
        keys.drop_request().unwrap();
        assert!(keys.request("pump-7").unwrap().name() != first.name());
    }

    #[test]
    fn a_request_that_is_answered_or_damaged_is_not_sent_again() {
        let (dir, keys) = keys();
        let first = keys.request("pump-7").unwrap();
        let left = std::fs::read(dir.path().join(REQUEST)).unwrap();
        let certified = Credentials {
            key_pem: first.key_pem.clone(),
            chain_pem: "one\n".into(),
        };
        keys.enrolled(&certified).unwrap();
        // Cut off before the request went.
        std::fs::write(dir.path().join(REQUEST), &left).unwrap();
        let second = keys.request("pump-7").unwrap();
        assert!(second.key_pem != first.key_pem);
        for damaged in [&b"nonsense"[..], b"\xFF", &left[..40], b""] {
            std::fs::write(dir.path().join(REQUEST), damaged).unwrap();
            let third = keys.request("pump-7").unwrap();
            assert!(third.key_pem != second.key_pem && keys.request("pump-7").unwrap() == third);
        }
        assert!(keys.current().unwrap() == Some(certified));
    }

    #[test]
    fn a_damaged_identity_is_named_and_not_replaced() {
        let (dir, keys) = keys();
        std::fs::write(dir.path().join(IDENTITY), b"nonsense").unwrap();
        let refused = keys.current().map(drop).unwrap_err();
        assert!(matches!(refused, Error::Damaged { path, .. } if path.ends_with(IDENTITY)));
        // The next one can be had again.
        std::fs::write(dir.path().join(NEXT), b"nonsense").unwrap();
        assert!(keys.next().unwrap().is_none());
    }

    #[test]
    fn the_old_credentials_stay_until_the_next_have_proved_themselves() {
        let (_dir, keys) = keys();
        let made = |chain: &str, keys: &Keys| Credentials {
            key_pem: keys.request("pump-7").unwrap().key_pem,
            chain_pem: chain.into(),
        };
        let first = made("one\n", &keys);
        keys.enrolled(&first).unwrap();
        let second = made("two\n", &keys);
        keys.renewed(&second).unwrap();
        assert!(keys.current().unwrap() == Some(first));
        assert!(keys.next().unwrap() == Some(second.clone()));
        keys.promote().unwrap();
        assert!(keys.current().unwrap() == Some(second));
        assert!(keys.next().unwrap().is_none());
        assert_eq!(keys.names().unwrap(), ["identity.pem"]);
        keys.erase().unwrap();
        assert!(keys.names().unwrap().is_empty());
    }
}
