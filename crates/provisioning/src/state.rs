//! The records and their keys.
//!
//! | key | record |
//! |---|---|
//! | `c{serial}` | [`Record`]: a certificate, from its plan on |
//! | `o{kind} NUL {id} NUL {serial}` | empty: the certificates of a party |
//! | `x{not_after, 16 hex digits}{serial}` | empty: certificates by their end |
//! | `k{SHA-256 of the key}` | [`KeyUse`]: whose key it is |
//! | `b{batch, folded}` | the claim |
//! | `s{device}` | [`Secret`]: its one-time secret |
//! | `a{device} NUL {SHA-256 of the key}` | the device that waits for an operator's word |
//! | `M{manufacturer, folded}` | the manufacturer |
//! | `D{manufacturer, folded} NUL {name, folded}` | [`FactoryUse`]: the device that its factory certificate let in |
//! | `q{batch, folded}` | [`Pace`]: how fast the batch is used |
//! | `r{serial}` | [`RevokedEntry`]: in the revocation list until it ends |
//! | `v{revocation}` | [`Revocation`]: waiting for the front door's receipt |
//! | `f{kind}/{subject}` | [`Refusals`]: refused requests that are told together |
//! | `l` | [`ListState`]: the revocation list |
//! | `t` | [`Clock`]: the latest time at which something was issued |
//! | `n` | [`Renewal`]: the server's next certificate, on its way |
//! | `N` | [`NextKey`]: the key that it will have, as clients that pin were told |
//! | `j{name}` | [`Many`]: many that are being revoked |
//! | `w{renewal}` | [`Course`]: a mass renewal |
//! | `m{renewal} NUL {device}` | a device in it |
//! | `i` | [`Trusted`]: the issuing authorities, as they were last told |
//! | `p` | [`Purge`]: the search for certificates that ended long ago |

use contract::{
    Kind,
    v1::{Certificate, CertificateStatus, Claim, Manufacturer, MassRenewal, MassRenewalState},
};
use prost::Message;
use service::{Sight, View, store::StoreError};

/// All certificates.
pub(crate) const CERTIFICATES: &str = "c";
/// All batches.
pub(crate) const BATCHES: &str = "b";
/// All that wait for an operator's word.
pub(crate) const ADMISSIONS: &str = "a";
/// All that must be in the revocation list.
pub(crate) const REVOKED: &str = "r";
/// The state of the revocation list.
pub(crate) const LIST: &str = "l";
/// The latest time.
pub(crate) const CLOCK: &str = "t";
/// By their end.
pub(crate) const ENDS: &str = "x";
/// The search for what ended long ago.
pub(crate) const PURGE: &str = "p";

/// The server's next certificate, on its way.
pub(crate) const RENEWAL: &str = "n";

/// The key that the server's next certificate will have.
pub(crate) const NEXT_KEY: &str = "N";

/// Many that are being revoked.
pub(crate) const MANY: &str = "j";
/// Mass renewals.
pub(crate) const RENEWALS: &str = "w";
/// Devices' one-time secrets.
pub(crate) const SECRETS: &str = "s";
/// Factory certificates that let a device in.
pub(crate) const FACTORY: &str = "D";
/// The issuing authorities, as they were last told.
pub(crate) const TRUSTED: &str = "i";

/// All manufacturers.
pub(crate) const MANUFACTURERS: &str = "M";

/// What each record is, by the letter of its key.
pub const KINDS: [(&str, &str); 22] = [
    (CERTIFICATES, "certificates"),
    ("o", "certificates by owner"),
    (ENDS, "certificates by end"),
    ("k", "keys in use"),
    (BATCHES, "claims"),
    ("q", "how fast claims are used"),
    (SECRETS, "devices' one-time secrets"),
    (ADMISSIONS, "devices that wait for an operator's word"),
    (REVOKED, "revocation list entries"),
    ("v", "revocations under way"),
    ("f", "refused requests"),
    (LIST, "the revocation list's state"),
    (CLOCK, "the latest time"),
    (PURGE, "the search for what ended"),
    (RENEWAL, "the server's next certificate"),
    (NEXT_KEY, "the server's next key"),
    (MANUFACTURERS, "manufacturers"),
    (FACTORY, "factory certificates that were used"),
    (MANY, "bulk revocations under way"),
    (RENEWALS, "mass renewals"),
    ("m", "devices in mass renewals"),
    (TRUSTED, "the issuing CAs as last told"),
];

/// Hex digits of a serial, see [`pki::Serial`].
const SERIAL_DIGITS: usize = 32;

/// A certificate and what it came from.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Record {
    #[prost(message, optional, tag = "1")]
    pub(crate) certificate: Option<Certificate>,
    /// The plan, JSON; empty for what the set-up issued.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) plan: Vec<u8>,
    /// SHA-256 of the public key, hex.
    #[prost(string, tag = "3")]
    pub(crate) key: String,
    /// The revocation whose receipt is still to come.
    #[prost(string, tag = "4")]
    pub(crate) revocation: String,
    /// Until when it may stay unused, where that was put off.
    #[prost(int64, tag = "5")]
    pub(crate) unused_until_ms: i64,
    /// The batch by which the holder came in, whatever it has renewed since.
    #[prost(string, tag = "6")]
    pub(crate) origin: String,
}

/// Whose key it is.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct KeyUse {
    #[prost(string, tag = "1")]
    pub(crate) kind: String,
    #[prost(string, tag = "2")]
    pub(crate) id: String,
    #[prost(bool, tag = "3")]
    pub(crate) revoked: bool,
}

/// The authorities that are trusted.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Trusted {
    /// The mark of the one that signs.
    #[prost(string, tag = "1")]
    pub(crate) signing: String,
    /// The marks of all that issue, that one among them.
    #[prost(string, repeated, tag = "2")]
    pub(crate) all: Vec<String>,
    /// The roots above them, by their fingerprints.
    #[prost(string, repeated, tag = "3")]
    pub(crate) roots: Vec<String>,
    /// Those of them that another vouches for.
    #[prost(string, repeated, tag = "4")]
    pub(crate) linked: Vec<String>,
}

impl Trusted {
    /// What the authority with this mark, or the root with this fingerprint, is for.
    pub(crate) fn place(&self, id: &str) -> Option<&'static str> {
        let is = |one: &String| one == id;
        match (self.all.iter().any(is), self.roots.iter().any(is)) {
            (true, _) if self.signing == id => Some("signs"),
            (true, _) => Some("trusted"),
            (false, true) if self.linked.iter().any(is) => Some("linked-root"),
            (false, true) => Some("root"),
            (false, false) => None,
        }
    }

    /// Those that are for something else than `next` says: what each was for, and what it is for now.
    pub(crate) fn differing<'a>(&'a self, next: &'a Trusted) -> Vec<Moved<'a>> {
        // Earlier versions did not write the roots down.
        let (old_roots, roots) = match self.roots.is_empty() {
            true => (&[][..], &[][..]),
            false => (&self.roots[..], &next.roots[..]),
        };
        let new = next.all.iter().chain(roots);
        let gone = self
            .all
            .iter()
            .chain(old_roots)
            .filter(|id| next.place(id).is_none());
        let moved = new.chain(gone).map(|id| Moved {
            id,
            was: self.place(id),
            is: next.place(id),
        });
        moved.filter(|moved| moved.was != moved.is).collect()
    }
}

/// An authority that is for something else than it was; `None`: it is not trusted.
pub(crate) struct Moved<'a> {
    pub(crate) id: &'a str,
    was: Option<&'static str>,
    is: Option<&'static str>,
}

impl Moved<'_> {
    /// What it was for, in a word; empty where it is new.
    pub(crate) fn was(&self) -> &'static str {
        self.was.unwrap_or_default()
    }

    /// What it is for, in a word.
    pub(crate) fn is(&self) -> &'static str {
        self.is.unwrap_or("removed")
    }
}

/// One line of the revocation list.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct RevokedEntry {
    #[prost(int64, tag = "1")]
    pub(crate) at_ms: i64,
    /// The word of RFC 5280.
    #[prost(string, tag = "2")]
    pub(crate) reason: String,
    #[prost(int64, tag = "3")]
    pub(crate) not_after_ms: i64,
    /// The mark of the authority in whose list it stands.
    #[prost(string, tag = "4")]
    pub(crate) issuer: String,
}

/// A revocation whose sessions may still be open.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Revocation {
    /// All certificates of it.
    #[prost(string, repeated, tag = "1")]
    pub(crate) serials: Vec<String>,
    /// Those without a receipt.
    #[prost(string, repeated, tag = "2")]
    pub(crate) open: Vec<String>,
    #[prost(uint32, tag = "3")]
    pub(crate) sessions: u32,
    #[prost(int64, tag = "4")]
    pub(crate) at_ms: i64,
    /// Somebody waits for the answer.
    #[prost(bool, tag = "5")]
    pub(crate) asked: bool,
    /// The receipts did not come in time; they may still come.
    #[prost(bool, tag = "6")]
    pub(crate) late: bool,
    /// Those many of which it is a part.
    #[prost(string, tag = "7")]
    pub(crate) many: String,
}

/// Many certificates that are being revoked.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Many {
    /// Of this batch …
    #[prost(string, tag = "1")]
    pub(crate) batch: String,
    /// … or of this authority.
    #[prost(string, tag = "2")]
    pub(crate) issuer: String,
    #[prost(string, tag = "3")]
    pub(crate) reason: String,
    /// The last key that was looked at.
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) after: Vec<u8>,
    /// All were looked at.
    #[prost(bool, tag = "5")]
    pub(crate) is_over: bool,
    #[prost(uint64, tag = "6")]
    pub(crate) revoked: u64,
    /// Revocations whose receipts are waited for.
    #[prost(string, repeated, tag = "7")]
    pub(crate) open: Vec<String>,
    #[prost(uint32, tag = "8")]
    pub(crate) sessions: u32,
    #[prost(uint64, tag = "9")]
    pub(crate) closed_after_ms: u64,
    #[prost(bool, tag = "10")]
    pub(crate) receipt_missing: bool,
}

/// A mass renewal and how far it has come.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Course {
    /// What callers see.
    #[prost(message, optional, tag = "1")]
    pub(crate) renewal: Option<MassRenewal>,
    /// The last key that was looked at, in the round through the certificates or through its devices.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) after: Vec<u8>,
    /// When the round through its devices began.
    #[prost(int64, tag = "3")]
    pub(crate) round_at_ms: i64,
    /// How it ends, while that is under way.
    #[prost(enumeration = "MassRenewalState", tag = "4")]
    pub(crate) ends_as: i32,
}

impl Course {
    /// What callers see.
    pub(crate) fn renewal(&self) -> MassRenewal {
        self.renewal.clone().unwrap_or_default()
    }

    /// Whether devices are still told.
    pub(crate) fn is_running(&self) -> bool {
        let state = self.renewal.as_ref().map(MassRenewal::state);
        matches!(
            state,
            Some(MassRenewalState::Choosing | MassRenewalState::Telling)
        )
    }
}

/// The revocation list.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct ListState {
    /// The last list published.
    #[prost(uint64, tag = "1")]
    pub(crate) number: u64,
    #[prost(int64, tag = "2")]
    pub(crate) next_update_ms: i64,
    /// The list that is being made; 0 when none is.
    #[prost(uint64, tag = "3")]
    pub(crate) making: u64,
    /// Something was revoked since.
    #[prost(bool, tag = "4")]
    pub(crate) stale: bool,
    /// The last list ordered: one that failed may have been published in part, so its number is spent.
    #[prost(uint64, tag = "5")]
    pub(crate) tried: u64,
    /// The time of the list that is being made.
    #[prost(int64, tag = "6")]
    pub(crate) making_at_ms: i64,
    /// The time of the last list published.
    #[prost(int64, tag = "7")]
    pub(crate) published_at_ms: i64,
    /// How far what the list says is gathered; nothing is, where none is being made or all is.
    #[prost(message, optional, tag = "8")]
    pub(crate) gathered: Option<Gathered>,
    /// Who waits for a list.
    #[prost(message, repeated, tag = "9")]
    pub(crate) waiting: Vec<Waiting>,
}

/// Somebody who is answered once a list is published.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Waiting {
    /// The ticket of the answer.
    #[prost(string, tag = "1")]
    pub(crate) ticket: String,
    /// The list that he waits for; a later one does as well.
    #[prost(uint64, tag = "2")]
    pub(crate) number: u64,
}

/// Lines of the next list that are gathered.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Gathered {
    /// The last key that was looked at.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) after: Vec<u8>,
    /// Bytes of all parts.
    #[prost(uint64, tag = "2")]
    pub(crate) bytes: u64,
    /// See [`crate::effects::chained`].
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) digest: Vec<u8>,
    /// How many parts there are.
    #[prost(uint32, tag = "4")]
    pub(crate) parts: u32,
}

/// A device's one-time secret.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Secret {
    /// SHA-256, hex in lower case.
    #[prost(string, tag = "1")]
    pub(crate) sha256: String,
    #[prost(int64, tag = "2")]
    pub(crate) expires_ms: i64,
    /// Wrong ones since the last lock.
    #[prost(uint32, tag = "3")]
    pub(crate) tries: u32,
    #[prost(int64, tag = "4")]
    pub(crate) locked_until_ms: i64,
}

/// How fast a batch is used.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Pace {
    /// When its next certificate is due, were they asked for evenly.
    #[prost(int64, tag = "1")]
    pub(crate) due_us: i64,
    /// The last moment that somebody who came too early was told.
    #[prost(int64, tag = "2")]
    pub(crate) told_us: i64,
}

/// The device that a factory certificate let in.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct FactoryUse {
    #[prost(string, tag = "1")]
    pub(crate) device_id: String,
    /// The last time.
    #[prost(int64, tag = "2")]
    pub(crate) at_ms: i64,
    /// SHA-256 of the factory certificate, hex.
    #[prost(string, tag = "3")]
    pub(crate) fingerprint: String,
}

/// The latest time at which something was issued.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Clock {
    #[prost(int64, tag = "1")]
    pub(crate) latest_ms: i64,
}

/// When certificates that ended long ago were last looked for.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Purge {
    #[prost(int64, tag = "1")]
    pub(crate) looked_at_ms: i64,
}

/// The server's next certificate, on its way.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Renewal {
    /// Part of the names of its effects, and of the ticket of whoever asked.
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    /// Names and addresses that it is to be for.
    #[prost(string, repeated, tag = "2")]
    pub(crate) hosts: Vec<String>,
    #[prost(int64, tag = "3")]
    pub(crate) begun_ms: i64,
    /// Nobody asked: it was time.
    #[prost(bool, tag = "4")]
    pub(crate) by_itself: bool,
    /// The certificate, from its plan on.
    #[prost(string, tag = "5")]
    pub(crate) serial: String,
}

/// The server's next key, made before its certificate is asked for.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct NextKey {
    /// SHA-256 of the public key, hex.
    #[prost(string, tag = "1")]
    pub(crate) key: String,
}

/// Refused requests of one party since the last event about them: how many, and the last of them.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Refusals {
    #[prost(uint32, tag = "1")]
    pub(crate) count: u32,
    #[prost(string, tag = "2")]
    pub(crate) kind: String,
    #[prost(string, tag = "3")]
    pub(crate) id: String,
    #[prost(string, tag = "4")]
    pub(crate) batch: String,
    #[prost(string, tag = "5")]
    pub(crate) code: String,
    #[prost(string, tag = "6")]
    pub(crate) message: String,
    /// What is behind it, which the party did not hear.
    #[prost(string, tag = "7")]
    pub(crate) why: String,
}

impl Record {
    /// What callers see.
    pub(crate) fn certificate(&self) -> Certificate {
        self.certificate.clone().unwrap_or_default()
    }

    /// Its status.
    pub(crate) fn status(&self) -> CertificateStatus {
        self.certificate
            .as_ref()
            .map_or(CertificateStatus::Unspecified, Certificate::status)
    }

    /// Whether somebody could connect with it now.
    pub(crate) fn counts(&self, now_ms: i64) -> bool {
        self.is_live() && self.ends_after(now_ms)
    }

    /// Whether it counts, or will once it is signed.
    pub(crate) fn takes_room(&self, now_ms: i64) -> bool {
        (self.is_live() || self.status() == CertificateStatus::Planned) && self.ends_after(now_ms)
    }

    /// Whether it is a device's that was in use when it ended, and may still ask for the next one.
    pub(crate) fn renews_late(&self, now_ms: i64, renew_after_ms: u64) -> bool {
        let certificate = self.certificate();
        certificate.kind == Kind::Device.word()
            && self.status() == CertificateStatus::Active
            && renew_after_ms > 0
            && now_ms <= certificate.not_after_ms.saturating_add_unsigned(renew_after_ms)
    }

    fn ends_after(&self, now_ms: i64) -> bool {
        self.certificate.as_ref().is_some_and(|c| c.not_after_ms > now_ms)
    }

    /// Whether its status lets it be used.
    pub(crate) fn is_live(&self) -> bool {
        matches!(
            self.status(),
            CertificateStatus::Issued | CertificateStatus::Active
        )
    }
}

pub(crate) fn certificate_key(serial: &str) -> String {
    format!("{CERTIFICATES}{serial}")
}

/// All certificates of a kind of party.
pub(crate) fn owners(kind: &str) -> String {
    format!("o{kind}\0")
}

/// The serial in which an index's key ends; all are of one length.
pub(crate) fn serial_at_end(key: &[u8]) -> String {
    String::from_utf8_lossy(&key[key.len().saturating_sub(SERIAL_DIGITS)..]).into_owned()
}

/// All certificates of a party.
pub(crate) fn owned(kind: &str, id: &str) -> String {
    format!("o{kind}\0{id}\0")
}

pub(crate) fn owner_key(kind: &str, id: &str, serial: &str) -> String {
    format!("{}{serial}", owned(kind, id))
}

/// The time as digits in key order.
pub(crate) fn end_digits(not_after_ms: i64) -> String {
    format!("{:016x}", u64::try_from(not_after_ms).unwrap_or_default())
}

pub(crate) fn end_key(not_after_ms: i64, serial: &str) -> String {
    format!("{ENDS}{}{serial}", end_digits(not_after_ms))
}

pub(crate) fn key_key(fingerprint: &str) -> String {
    format!("k{fingerprint}")
}

pub(crate) fn batch_key(batch: &str) -> String {
    format!("{BATCHES}{}", batch.to_ascii_lowercase())
}

pub(crate) fn pace_key(batch: &str) -> String {
    format!("q{}", batch.to_ascii_lowercase())
}

pub(crate) fn manufacturer_key(name: &str) -> String {
    format!("{MANUFACTURERS}{}", name.to_ascii_lowercase())
}

/// By what names the device in its manufacturer's certificate.
pub(crate) fn factory_key(manufacturer: &str, name: &str) -> String {
    format!(
        "{FACTORY}{}\0{}",
        manufacturer.to_ascii_lowercase(),
        name.to_ascii_lowercase()
    )
}

pub(crate) fn secret_key(device: &str) -> String {
    format!("{SECRETS}{device}")
}

/// All keys of a device that wait for an operator's word.
pub(crate) fn admissions_of(device: &str) -> String {
    format!("{ADMISSIONS}{device}\0")
}

pub(crate) fn admission_key(device: &str, fingerprint: &str) -> String {
    format!("{}{fingerprint}", admissions_of(device))
}

pub(crate) fn revoked_key(serial: &str) -> String {
    format!("{REVOKED}{serial}")
}

pub(crate) fn revocation_key(revocation: &str) -> String {
    format!("v{revocation}")
}

pub(crate) fn many_key(name: &str) -> String {
    format!("{MANY}{name}")
}

pub(crate) fn course_key(renewal: &str) -> String {
    format!("{RENEWALS}{renewal}")
}

/// All devices in a mass renewal.
pub(crate) fn renewing_of(renewal: &str) -> String {
    format!("m{renewal}\0")
}

pub(crate) fn renewing_key(renewal: &str, device: &str) -> String {
    format!("{}{device}", renewing_of(renewal))
}

/// The refused requests of a party, `{kind}/{subject}`.
pub(crate) fn refusals_key(name: &str) -> String {
    format!("f{name}")
}

/// Whether a certificate is a device's that is in sight of whoever asks.
pub(crate) fn in_sight(
    view: &View<'_>,
    sight: &Sight,
    certificate: &Certificate,
) -> Result<bool, StoreError> {
    if *sight == Sight::Everything {
        return Ok(true);
    }
    Ok(certificate.kind == Kind::Device.word() && sight.device(view, &certificate.id)?)
}

pub(crate) fn record(view: &View<'_>, serial: &str) -> Result<Option<Record>, StoreError> {
    view.load(certificate_key(serial))
}

pub(crate) fn batch(view: &View<'_>, batch: &str) -> Result<Option<Claim>, StoreError> {
    let found: Option<Claim> = view.load(batch_key(batch))?;
    Ok(found.filter(|claim| claim.batch == batch))
}

/// A manufacturer, in whichever case its name is written.
pub(crate) fn manufacturer(view: &View<'_>, name: &str) -> Result<Option<Manufacturer>, StoreError> {
    view.load(manufacturer_key(name))
}

/// Up to `limit` certificates of a party.
pub(crate) fn records_of(
    view: &View<'_>,
    kind: &str,
    id: &str,
    limit: usize,
) -> Result<Vec<Record>, StoreError> {
    let prefix = owned(kind, id);
    let mut records = Vec::new();
    for (key, _) in view.scan(prefix.as_bytes(), None, limit)? {
        let serial = String::from_utf8_lossy(key.get(prefix.len()..).unwrap_or_default()).into_owned();
        let reason = "an index names a certificate that is not there";
        let found = record(view, &serial)?;
        records.push(found.ok_or(StoreError::Damaged {
            key: certificate_key(&serial),
            reason,
        })?);
    }
    Ok(records)
}
