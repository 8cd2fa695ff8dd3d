//! Reading a backup to its end, without bringing it back.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    path::Path,
};

use anyhow::Result;
use contract::id::ServiceName;
use sha2::{Digest, Sha256};
use store::copy::{Chunk, changes};

use super::{
    archive::{self, Entry},
    images::Awaited,
    manifest::Manifest,
    part::Part,
};
use crate::exit::{Exit, Failure};

/// What has been read so far.
#[derive(Default)]
struct Found {
    /// Rows and writes of each database.
    counts: BTreeMap<ServiceName, (u64, u64)>,
    awaited: Awaited,
    images: BTreeSet<String>,
}

/// Reads all of it: sums, records, their number, images against their names, and whether each is there that a
/// record names.
pub(crate) fn verify(path: &Path) -> Result<Manifest> {
    let mut found = Found::default();
    let manifest = archive::read(path, &mut |entry| look(entry, &mut found))?;
    for (name, (rows, writes)) in found.counts {
        let stated = manifest.database(name).map(|one| (one.rows, one.writes));
        if stated != Some((rows, writes)) {
            let message = format!(
                "{} is damaged: the {name} service's database has {rows} records and {writes} writes, not what its manifest says",
                path.display()
            );
            return Err(Failure::new(Exit::Damaged, message).into());
        }
    }
    demand_images(path, found.awaited, &found.images)?;
    Ok(manifest)
}

/// Each image that a record names must be there.
fn demand_images(path: &Path, awaited: Awaited, there: &BTreeSet<String>) -> Result<()> {
    let awaited = awaited.by_name().into_values();
    let missing = awaited.filter(|image| !there.contains(&image.id));
    let named: Vec<_> = missing
        .map(|image| format!("{} ({})", image.release, image.id))
        .collect();
    if named.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{} lacks images, whose files were missing when it was made: {}. All else in it is sound, and can be restored; \
         then `muster store repair rollout --from FILE` puts an image back that was kept elsewhere",
        path.display(),
        named.join(", ")
    );
    Err(Failure::new(Exit::Damaged, message).into())
}

fn look(entry: Entry<'_>, found: &mut Found) -> Result<()> {
    match known(&entry)? {
        Part::Rows(name) => {
            let chunk = chunk(entry)?;
            found.counts.entry(name).or_default().0 += count(&chunk)?;
            found.awaited.take(name, &chunk);
        }
        Part::Writes(name) => {
            let chunk = chunk(entry)?;
            found.counts.entry(name).or_default().1 += count(&chunk)?;
            found.awaited.take(name, &chunk);
        }
        Part::Blob(name, blob) => {
            demand_named(entry, &blob)?;
            if name == ServiceName::Rollout {
                found.images.insert(blob);
            }
        }
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
