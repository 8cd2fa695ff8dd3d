//! Making a backup.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use contract::id::ServiceName;
use host::clock::wall_ms;
use store::copy::Side;

use super::{
    archive::Writer,
    images::Awaited,
    manifest::{Database, FORMAT, Header, Manifest, SaidOfItself},
    part::{self, CONFIG, FOLDERS},
    source::{self, Source},
};
use crate::{config::Config, exit::Failure, folder::demand_owner, up::services};

/// What was made.
pub(crate) struct Created {
    /// Its manifest.
    pub(crate) manifest: Manifest,
    /// Bytes of the file.
    pub(crate) file_bytes: u64,
}

/// Makes a backup of an installation, whether it runs or not. `say` is told what is being copied.
pub(crate) fn create(config: &Config, path: &Path, say: &dyn Fn(String)) -> Result<Created> {
    demand_owner(&config.folder.config())?;
    let header = Header {
        format: FORMAT,
        muster: env!("CARGO_PKG_VERSION").to_owned(),
        begun_ms: wall_ms(),
        site: config.site.clone(),
    };
    let mut making = Making {
        config,
        writer: Writer::create(path, header)?,
        left_out: Vec::new(),
        awaited: Awaited::default(),
        say,
    };
    making.installation()?;
    let databases = making.databases()?;
    // After the databases: an image that a row names is in its place before the row is.
    for name in ServiceName::KEEPERS {
        making.blobs(name)?;
    }
    making.note_missing_images();
    making.note_elsewhere();
    let manifest = making.writer.finish(databases, making.left_out)?;
    Ok(Created {
        manifest,
        file_bytes: fs::metadata(path)?.len(),
    })
}

struct Making<'a> {
    config: &'a Config,
    writer: Writer,
    left_out: Vec<String>,
    awaited: Awaited,
    say: &'a dyn Fn(String),
}

impl Making<'_> {
    fn installation(&mut self) -> Result<()> {
        (self.say)("keys and configuration".to_owned());
        let root = self.config.folder.path().to_owned();
        // First: it says where the rest is to go.
        self.file(&root, Path::new(CONFIG))?;
        for folder in FOLDERS {
            self.folder(&root, Path::new(folder))?;
        }
        Ok(())
    }

    fn folder(&mut self, root: &Path, below: &Path) -> Result<()> {
        for (path, kind) in entries(root, below)? {
            if kind.is_dir() {
                self.folder(root, &path)?;
            } else if kind.is_file() {
                self.file(root, &path)?;
            } else {
                self.left_out.push(format!("{}: no plain file", path.display()));
            }
        }
        Ok(())
    }

    fn file(&mut self, root: &Path, below: &Path) -> Result<()> {
        let path = root.join(below);
        let file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let metadata = file.metadata()?;
        let name = below
            .to_str()
            .with_context(|| format!("{} is no text", below.display()))?;
        let mode = metadata.permissions().mode() & 0o777;
        self.writer.add_from(name, metadata.len(), mode, file)
    }

    /// All begin, then all rows, then all are cut one right after the other.
    fn databases(&mut self) -> Result<Vec<Database>> {
        let mut sources = Vec::new();
        for name in ServiceName::KEEPERS {
            sources.extend(source::open(self.config, name)?);
        }
        for source in &mut sources {
            (self.say)(format!("the {} service's database", source.name));
            self.rows(source)?;
        }
        let mut cuts = Vec::new();
        for source in &mut sources {
            let name = source.name;
            source.incoming.cut().map_err(|error| source::told(name, error))?;
            cuts.push(wall_ms());
        }
        let sources = sources.into_iter().zip(cuts);
        sources
            .map(|(source, cut_ms)| self.writes(source, cut_ms))
            .collect()
    }

    fn rows(&mut self, source: &mut Source) -> Result<()> {
        let said = serde_json::to_vec(&said(source))?;
        self.writer.add(&part::identity(source.name), &said)?;
        let mut number = 0;
        loop {
            match next(source)? {
                Side::Rows(chunk) => {
                    self.awaited.take(source.name, &chunk);
                    self.writer.add(&part::rows(source.name, number), &chunk)?;
                }
                Side::RowsEnd => return Ok(()),
                _ => anyhow::bail!("{}: rows were to come", source.name),
            }
            number += 1;
        }
    }

    fn writes(&mut self, mut source: Source, cut_ms: i64) -> Result<Database> {
        let mut number = 0;
        loop {
            match next(&mut source)? {
                Side::Writes(chunk) => {
                    self.awaited.take(source.name, &chunk);
                    self.writer.add(&part::writes(source.name, number), &chunk)?;
                }
                Side::End(copied) => {
                    return Ok(Database {
                        service: source.name.word().to_owned(),
                        said: said(&source),
                        rows: copied.rows,
                        writes: copied.writes,
                        cut_ms,
                        running: source.running,
                    });
                }
                _ => anyhow::bail!("{}: writes were to come", source.name),
            }
            number += 1;
        }
    }

    /// Files that are whole. Uploads under way are not: their senders begin again.
    fn blobs(&mut self, name: ServiceName) -> Result<()> {
        (self.say)(format!("the {name} service's files"));
        let folder = services::files(self.config, name);
        for (below, kind) in entries(&folder, Path::new(""))? {
            let blob = below.to_string_lossy().into_owned();
            if !kind.is_file() || blob.starts_with('.') {
                continue;
            }
            let file = File::open(folder.join(&below))?;
            let bytes = file.metadata()?.len();
            self.writer
                .add_from(&part::blob(name, &blob), bytes, 0o600, file)?;
        }
        Ok(())
    }

    /// A backup is made all the same: it is the more needed.
    fn note_missing_images(&mut self) {
        let folder = services::files(self.config, ServiceName::Rollout);
        let awaited = std::mem::take(&mut self.awaited).by_name();
        let missing = awaited
            .into_values()
            .filter(|image| !folder.join(&image.id).is_file());
        self.left_out.extend(missing.map(|image| {
            let (release, id) = (image.release, image.id);
            format!("the image {release}, whose file {id} is missing: `muster store verify` says more")
        }));
    }

    /// What the configuration names and lies elsewhere must be kept by other means.
    fn note_elsewhere(&mut self) {
        let named = self
            .config
            .release_keys
            .iter()
            .chain(&self.config.passphrase_file);
        let is_inside = |path: &&PathBuf| FOLDERS.iter().any(|folder| path.starts_with(folder));
        let outside = named.filter(|path| !is_inside(path));
        self.left_out
            .extend(outside.map(|path| format!("{}, which {CONFIG} names", path.display())));
    }
}

fn next(source: &mut Source) -> Result<Side, Failure> {
    let received = source.incoming.receive();
    received.map_err(|error| source::told(source.name, error))
}

fn said(source: &Source) -> SaidOfItself {
    let identity = source.incoming.identity();
    SaidOfItself {
        schema: identity.schema,
        epoch: format!("{:016x}", identity.epoch),
        created: identity.created,
    }
}

/// What is in a folder below `root`, by its path below `root`, sorted. A folder that is not there has nothing.
fn entries(root: &Path, below: &Path) -> Result<Vec<(PathBuf, fs::FileType)>> {
    let folder = root.join(below);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        found.push((below.join(entry.file_name()), entry.file_type()?));
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(found)
}
