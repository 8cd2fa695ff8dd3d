//! The work that needs the authority's key or the disk: signing a plan, making a revocation list.
//! Doing one again comes to the same.

use std::sync::Arc;

use pki::{Authority, Plan, Revoked};
use prost::Message;
use service::{Effect, store::Blobs};
use sha2::{Digest, Sha256};

use crate::policy;

/// Signs a committed plan.
pub(crate) const SIGN: &str = "sign";
/// Writes a part of what the next revocation list says.
pub(crate) const LIST_PART: &str = "crl-part";
/// Makes the revocation list of the parts.
pub(crate) const LIST: &str = "crl";

/// Where the parts are gathered.
const PARTS: &str = "crl-entries";
/// The list, as files.
pub(crate) const LIST_PEM: &str = "crl.pem";
const LIST_DER: &str = "crl.der";

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

/// One line of a list. All are of one length, so that parts have their places.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Entry {
    #[prost(string, tag = "1")]
    pub(crate) serial: String,
    #[prost(int64, tag = "2")]
    pub(crate) at_ms: i64,
    #[prost(string, tag = "3")]
    pub(crate) reason: String,
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
    /// Their SHA-256: parts of an older list must not pass for this one's.
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) sha256: Vec<u8>,
}

/// What a list came to.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct ListMade {
    #[prost(uint64, tag = "1")]
    pub(crate) number: u64,
    #[prost(string, tag = "2")]
    pub(crate) failure: String,
}

/// Carries out the service's effects.
pub struct Effects {
    authority: Arc<Authority>,
    blobs: Arc<dyn Blobs>,
}

impl Effects {
    /// Effects with this authority's key, on these files.
    pub fn new(authority: Arc<Authority>, blobs: Arc<dyn Blobs>) -> Effects {
        Effects { authority, blobs }
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
                let failure = self.make_list(&order).err().unwrap_or_default();
                ListMade {
                    number: order.number,
                    failure,
                }
                .encode_to_vec()
            }
            _ => Vec::new(),
        }
    }

    fn sign(&self, plan: &[u8]) -> Signed {
        let signed = serde_json::from_slice::<Plan>(plan)
            .map_err(|e| e.to_string())
            .and_then(|plan| self.authority.sign(&plan).map_err(|e| e.to_string()));
        match signed {
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

    fn write_part(&self, payload: &[u8]) -> Result<(), String> {
        let part = Part::decode(payload).map_err(|e| e.to_string())?;
        if part.offset == 0 {
            self.blobs.discard_part(PARTS).map_err(|e| e.to_string())?;
        }
        self.blobs
            .write_part(PARTS, part.offset, &part.entries)
            .map_err(|e| e.to_string())
    }

    fn make_list(&self, order: &ListOrder) -> Result<(), String> {
        let revoked = if order.bytes == 0 {
            Vec::new()
        } else {
            self.read_entries(order)?
        };
        let (this, next) = (order.this_update_ms, order.next_update_ms);
        let list = self.authority.revocation_list(order.number, this, next, &revoked);
        let list = list.map_err(|e| e.to_string())?;
        self.blobs
            .replace(LIST_DER, &list.der)
            .map_err(|e| e.to_string())?;
        self.blobs
            .replace(LIST_PEM, list.pem.as_bytes())
            .map_err(|e| e.to_string())
    }

    fn read_entries(&self, order: &ListOrder) -> Result<Vec<Revoked>, String> {
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
        if Sha256::digest(&text).as_slice() != order.sha256 {
            return Err("the list's entries are not there; they are written again".into());
        }
        let mut rest = text.as_slice();
        let mut revoked = Vec::new();
        while !rest.is_empty() {
            let entry = Entry::decode_length_delimited(&mut rest).map_err(|e| e.to_string())?;
            let serial = pki::Serial::from_hex(&entry.serial).map_err(|e| e.to_string())?;
            let (_, reason) = policy::reason(&entry.reason).map_err(|e| e.to_string())?;
            revoked.push(Revoked {
                serial,
                at_ms: entry.at_ms,
                reason,
            });
        }
        Ok(revoked)
    }
}
