//! Every whole record that still lies in the logs, whatever became of the rest.

use std::fs;
use std::io;
use std::path::Path;

use super::{FILES, RECORDS, TURN, header, record, turn};

/// One commit, found in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) generation: u64,
    pub(crate) number: u64,
    /// Whether the bringing of its log into the database had begun and, as far as the log says, not ended.
    pub(crate) turn_begun: bool,
    pub(crate) writes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// All commits found in the logs of `folder`, those of former generations too, in their order.
pub(crate) fn salvage(folder: &Path) -> io::Result<Vec<Commit>> {
    let mut found = Vec::new();
    for name in FILES {
        match fs::read(folder.join(name)) {
            Ok(bytes) => search(name, &bytes, &mut found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    found.sort_by_key(|commit| commit.number);
    found.dedup_by_key(|commit| commit.number);
    Ok(found)
}

/// Looks at each place that bears a stamp known from a header or from the first record.
fn search(name: &str, bytes: &[u8], found: &mut Vec<Commit>) {
    let first = bytes.get(RECORDS as usize..).unwrap_or_default();
    let newest = header::newest(name, bytes, RECORDS).ok().flatten();
    let begun = newest.filter(|header| turn::read(bytes, TURN, header.generation).is_some());
    let mut stamps = header::stamps(name, bytes);
    stamps.extend(record::decode(first).map(|record| record.generation.stamp));
    for at in RECORDS as usize..bytes.len() {
        let rest = &bytes[at..];
        let Some(bytes) = rest.first_chunk() else { break };
        if !stamps.contains(&u64::from_le_bytes(*bytes)) {
            continue;
        }
        let mut writes = Vec::new();
        let Some(record) = record::decode(rest) else {
            continue;
        };
        if record.read_into(&mut writes).is_some() {
            let own = |(key, value): (&[u8], Option<&[u8]>)| (key.to_vec(), value.map(<[u8]>::to_vec));
            found.push(Commit {
                generation: record.generation.number,
                number: record.number,
                turn_begun: begun.is_some_and(|header| header.generation == record.generation),
                writes: writes.into_iter().map(own).collect(),
            });
        }
    }
}
