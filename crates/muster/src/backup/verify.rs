//! Reading a backup to its end, without bringing it back.

use std::{collections::BTreeMap, io::Read, path::Path};

use anyhow::Result;
use contract::id::ServiceName;
use sha2::{Digest, Sha256};
use store::copy::{Chunk, changes};

use super::{
    archive::{self, Entry},
    manifest::Manifest,
    part::Part,
};
use crate::exit::{Exit, Failure};

/// Reads all of it: sums, records, their number, and images against their names.
pub(crate) fn verify(path: &Path) -> Result<Manifest> {
    let mut counts = BTreeMap::<ServiceName, (u64, u64)>::new();
    let manifest = archive::read(path, &mut |entry| look(entry, &mut counts))?;
    for (name, (rows, writes)) in counts {
        let stated = manifest.database(name).map(|one| (one.rows, one.writes));
        if stated != Some((rows, writes)) {
            let message = format!(
                "{} is damaged: the {name} service's database has {rows} records and {writes} writes, not what its manifest says",
                path.display()
            );
            return Err(Failure::new(Exit::Damaged, message).into());
        }
    }
    Ok(manifest)
}

fn look(entry: Entry<'_>, counts: &mut BTreeMap<ServiceName, (u64, u64)>) -> Result<()> {
    match known(&entry)? {
        Part::Rows(name) => {
            let rows = count(&chunk(entry)?)?;
            counts.entry(name).or_default().0 += rows;
        }
        Part::Writes(name) => {
            let writes = count(&chunk(entry)?)?;
            counts.entry(name).or_default().1 += writes;
        }
        Part::Blob(_, blob) => demand_named(entry, &blob)?,
        Part::Config | Part::File(_) | Part::Identity(_) => {}
    }
    Ok(())
}

/// What a part is; one that has no place in a backup is damage.
pub(super) fn known(entry: &Entry<'_>) -> Result<Part> {
    let odd = || damaged(&format!("`{}` has no place in it", entry.name.escape_debug()));
    Ok(Part::parse(entry.name).ok_or_else(odd)?)
}

/// The bytes of a part of a database.
pub(super) fn chunk(entry: Entry<'_>) -> Result<Vec<u8>> {
    let most = 2 * Chunk::MOST as u64;
    let mut bytes = Vec::new();
    entry.bytes.take(most + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > most {
        true => Err(damaged(&format!("{} is too long", entry.name)).into()),
        false => Ok(bytes),
    }
}

fn count(chunk: &[u8]) -> Result<u64> {
    let mut count = 0;
    for change in changes(chunk) {
        change.ok_or_else(|| damaged("a record in it cannot be read"))?;
        count += 1;
    }
    Ok(count)
}

/// An image that is named by its SHA-256 must have it.
fn demand_named(entry: Entry<'_>, blob: &str) -> Result<()> {
    if blob.len() != 64 || !blob.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(());
    }
    let mut sum = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match entry.bytes.read(&mut buffer)? {
            0 => break,
            read => sum.update(&buffer[..read]),
        }
    }
    match hex::encode(sum.finalize()) == blob {
        true => Ok(()),
        false => Err(damaged(&format!("the SHA-256 of {} is not its name", entry.name)).into()),
    }
}

pub(super) fn damaged(why: &str) -> Failure {
    Failure::new(Exit::Damaged, format!("the backup is damaged: {why}"))
}
