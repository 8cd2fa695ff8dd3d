//! The work that needs the authority's key or the disk: signing a plan, making a revocation list.
//! Doing one again comes to the same.

use std::sync::Arc;

use pki::{IssuedCertificate, Plan, Revoked};
use prost::Message;
use service::{Effect, store::Blobs};
use sha2::{Digest, Sha256};

use crate::{
    authorities::Issuers,
    policy,
    server::{self, Server},
};

/// Signs a committed plan.
pub(crate) const SIGN: &str = "sign";
/// Writes a part of what the next revocation list says.
pub(crate) const LIST_PART: &str = "crl-part";
/// Makes the revocation list of the parts.
pub(crate) const LIST: &str = "crl";

/// Where the parts are gathered.
const PARTS: &str = "crl-entries";
/// All lists, one after the other. Beside it lie `crl-{id}.pem`, `crl-{id}.der` and the certificate `ca-{id}.der`, each of one
/// authority.
pub(crate) const LISTS_PEM: &str = "crl.pem";

/// A plan that is to be signed.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct SignOrder {
    /// The mark of the authority that signs it.
    #[prost(string, tag = "1")]
    pub(crate) issuer: String,
    /// The plan, JSON.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) plan: Vec<u8>,
}

/// What a signed plan came to.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Signed {
    #[prost(string, tag = "1")]
    pub(crate) pem: String,
    #[prost(string, tag = "2")]
    pub(crate) fingerprint: String,
    /// Why there is none.
    #[prost(string, tag = "3")]
    pub(crate) failure: String,
}

/// One line of a list.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Entry {
    #[prost(string, tag = "1")]
    pub(crate) serial: String,
    #[prost(int64, tag = "2")]
    pub(crate) at_ms: i64,
    #[prost(string, tag = "3")]
    pub(crate) reason: String,
    /// The mark of the authority in whose list it stands.
    #[prost(string, tag = "4")]
    pub(crate) issuer: String,
}

/// Some lines of a list.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Part {
    /// Where it stands among the bytes of all parts.
    #[prost(uint64, tag = "1")]
    pub(crate) offset: u64,
    /// Length-delimited entries.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) entries: Vec<u8>,
}

/// A list that is to be made.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct ListOrder {
    #[prost(uint64, tag = "1")]
    pub(crate) number: u64,
    #[prost(int64, tag = "2")]
    pub(crate) this_update_ms: i64,
    #[prost(int64, tag = "3")]
    pub(crate) next_update_ms: i64,
    /// Bytes of all parts.
    #[prost(uint64, tag = "4")]
    pub(crate) bytes: u64,
    /// Their digest, see [`chained`]: parts of an older list must not pass for this one's.
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) digest: Vec<u8>,
}

/// The digest of some entries and one more, whose bytes these are.
pub(crate) fn chained(digest: &[u8], entry: &[u8]) -> Vec<u8> {
    Sha256::new()
        .chain_update(digest)
        .chain_update(entry)
        .finalize()
        .to_vec()
}

/// What a list came to.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct ListMade {
    #[prost(uint64, tag = "1")]
    pub(crate) number: u64,
    #[prost(string, tag = "2")]
    pub(crate) failure: String,
    /// Each authority's list.
    #[prost(message, repeated, tag = "3")]
    pub(crate) lists: Vec<Made>,
}

/// One authority's list.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Made {
    #[prost(string, tag = "1")]
    pub(crate) issuer: String,
    /// How many certificates it names.
    #[prost(uint64, tag = "2")]
    pub(crate) entries: u64,
}

/// An authority's certificate, and its list in both forms.
fn files_of(id: &str) -> [String; 3] {
    [
        format!("ca-{id}.der"),
        format!("crl-{id}.der"),
        format!("crl-{id}.pem"),
    ]
}

impl Issuers {
    /// The files that are there once their lists are made.
    pub fn list_files(&self) -> Vec<String> {
        let held = self.held();
        let own = held.keys.iter().flat_map(|authority| files_of(&authority.id()));
        own.chain([LISTS_PEM.to_owned()]).collect()
    }
}

/// Carries out the service's effects.
pub struct Effects {
    issuers: Issuers,
    blobs: Arc<dyn Blobs>,
    server: Option<Arc<dyn Server>>,
}

impl Effects {
    /// Effects with these authorities' keys, on these files.
    pub fn new(issuers: Issuers, blobs: Arc<dyn Blobs>) -> Effects {
        Effects {
            issuers,
            blobs,
            server: None,
        }
    }

    /// Renews this server's certificate.
    #[must_use]
    pub fn renewing(self, server: Arc<dyn Server>) -> Effects {
        Effects {
            server: Some(server),
            ..self
        }
    }

    /// Whether an effect may take long, and must not hold up others. Those have their order.
    pub fn takes_long(&self, effect: &Effect) -> bool {
        matches!(effect.kind.as_str(), LIST | LIST_PART)
    }

    /// Does one, and says what it came to.
    pub fn run(&self, effect: &Effect) -> Vec<u8> {
        match effect.kind.as_str() {
            SIGN => self.sign(&effect.payload).encode_to_vec(),
            LIST_PART => self
                .write_part(&effect.payload)
                .err()
                .unwrap_or_default()
                .into_bytes(),
            LIST => {
                let order = ListOrder::decode(effect.payload.as_slice()).unwrap_or_default();
                let (lists, failure) = match self.make_list(&order) {
                    Ok(lists) => (lists, String::new()),
                    Err(failure) => (Vec::new(), failure),
                };
                ListMade {
                    number: order.number,
                    failure,
                    lists,
                }
                .encode_to_vec()
            }
            server::KEY => server::next_key(self.server.as_deref()).encode_to_vec(),
            server::INSTALL => server::install(self.server.as_deref(), &effect.payload).encode_to_vec(),
            _ => Vec::new(),
        }
    }

    fn sign(&self, order: &[u8]) -> Signed {
        match self.try_sign(order) {
            Ok(issued) => Signed {
                pem: issued.pem,
                fingerprint: issued.fingerprint_sha256,
                failure: String::new(),
            },
            Err(failure) => Signed {
                failure,
                ..Signed::default()
            },
        }
    }

    fn try_sign(&self, order: &[u8]) -> Result<IssuedCertificate, String> {
        let order = SignOrder::decode(order).map_err(|e| e.to_string())?;
        let plan: Plan = serde_json::from_slice(&order.plan).map_err(|e| e.to_string())?;
        let held = self.issuers.held();
        let authority = held.keys.iter().find(|one| one.id() == order.issuer);
        let authority = authority
            .ok_or_else(|| format!("the issuing authority {} was removed; ask again", order.issuer))?;
        authority.sign(&plan).map_err(|e| e.to_string())
    }

    fn write_part(&self, payload: &[u8]) -> Result<(), String> {
        let part = Part::decode(payload).map_err(|e| e.to_string())?;
        if part.offset == 0 {
            self.blobs.discard_part(PARTS).map_err(|e| e.to_string())?;
        }
        self.blobs
            .write_part(PARTS, part.offset, &part.entries)
            .map_err(|e| e.to_string())
    }

    /// Each list in both its forms, and all of them in one text for those who verify by one file.
    fn make_list(&self, order: &ListOrder) -> Result<Vec<Made>, String> {
        let entries = if order.bytes == 0 {
            Vec::new()
        } else {
            self.read_entries(order)?
        };
        let (mut all, mut made) = (String::new(), Vec::new());
        for authority in &self.issuers.held().keys {
            let id = authority.id();
            let own = entries.iter().filter(|(issuer, _)| *issuer == id);
            let revoked: Vec<_> = own.map(|(_, revoked)| *revoked).collect();
            let (this, next) = (order.this_update_ms, order.next_update_ms);
            let list = authority.revocation_list(order.number, this, next, &revoked);
            let list = list.map_err(|e| e.to_string())?;
            let [certificate, der, pem] = files_of(&id);
            self.replace(&certificate, authority.certificate_der())?;
            self.replace(&der, &list.der)?;
            self.replace(&pem, list.pem.as_bytes())?;
            all += &list.pem;
            made.push(Made {
                issuer: id,
                entries: revoked.len() as u64,
            });
        }
        self.replace(LISTS_PEM, all.as_bytes())?;
        Ok(made)
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), String> {
        self.blobs.replace(name, bytes).map_err(|e| e.to_string())
    }

    /// What is revoked, each under the mark of its authority.
    fn read_entries(&self, order: &ListOrder) -> Result<Vec<(String, Revoked)>, String> {
        // Sealed already when this runs again after a crash: then there is no part.
        if self
            .blobs
            .digest_part(PARTS)
            .map_err(|e| e.to_string())?
            .is_some()
        {
            self.blobs.seal(PARTS).map_err(|e| e.to_string())?;
        }
        let length = usize::try_from(order.bytes).map_err(|e| e.to_string())?;
        let text = self
            .blobs
            .read(PARTS, 0, length)
            .map_err(|e| e.to_string())?
            .unwrap_or_default();
        let lost = || "the list's entries are not there; they are written again".to_owned();
        let mut rest = text.as_slice();
        let (mut revoked, mut digest) = (Vec::new(), Vec::new());
        while !rest.is_empty() {
            let before = rest;
            let entry = Entry::decode_length_delimited(&mut rest).map_err(|_| lost())?;
            digest = chained(&digest, &before[..before.len() - rest.len()]);
            let serial = pki::Serial::from_hex(&entry.serial).map_err(|_| lost())?;
            let (_, reason) = policy::reason(&entry.reason).map_err(|_| lost())?;
            let line = Revoked {
                serial,
                at_ms: entry.at_ms,
                reason,
            };
            revoked.push((entry.issuer, line));
        }
        if digest != order.digest {
            return Err(lost());
        }
        Ok(revoked)
    }
}
