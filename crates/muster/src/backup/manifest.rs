//! What a backup says of itself.

use contract::id::ServiceName;
use serde::{Deserialize, Serialize};

/// The shape of the file. A higher one is refused.
pub(super) const FORMAT: u32 = 1;
/// The first part.
pub(super) const HEADER: &str = "backup.json";
/// The last part.
pub(super) const MANIFEST: &str = "manifest.json";

/// The first part: enough to know whether the rest can be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// The shape of the file.
    pub format: u32,
    /// The Muster that made it.
    pub muster: String,
    /// When it was begun, in milliseconds since 1970.
    pub begun_ms: i64,
    /// The installation's name.
    pub site: String,
}

/// One part as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listed {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256, hex.
    pub sha256: String,
}

/// What a service's database said of itself: a part before its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SaidOfItself {
    /// The schema of its rows.
    pub schema: u32,
    /// Its history's name.
    pub epoch: String,
    /// When it was made, in seconds since 1970.
    pub created: u64,
}

/// One service's database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Database {
    /// Whose it is.
    pub service: String,
    /// What it said of itself.
    #[serde(flatten)]
    pub said: SaidOfItself,
    /// Rows in the copy.
    pub rows: u64,
    /// Writes that came while it was made.
    pub writes: u64,
    /// The copy shows it as it was at this time, in milliseconds since 1970.
    pub cut_ms: i64,
    /// Whether the service ran.
    pub running: bool,
}

/// The last part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// What the first part says.
    pub header: Header,
    /// The databases.
    pub databases: Vec<Database>,
    /// All parts before this one, in their order.
    pub parts: Vec<Listed>,
    /// What belongs to the installation and is not in the file, in words.
    pub left_out: Vec<String>,
}

impl Manifest {
    /// The time that the databases show: the earliest of the cuts.
    pub(crate) fn shows_ms(&self) -> i64 {
        let cuts = self.databases.iter().map(|one| one.cut_ms);
        cuts.min().unwrap_or(self.header.begun_ms)
    }

    /// Bytes of all parts.
    pub(crate) fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }

    /// A service's database.
    pub(super) fn database(&self, name: ServiceName) -> Option<&Database> {
        self.databases.iter().find(|one| one.service == name.word())
    }
}
