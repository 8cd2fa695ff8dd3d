//! The file itself: parts one after the other, compressed, each with its sum in the last one.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::manifest::{Database, FORMAT, HEADER, Header, Listed, MANIFEST, Manifest};
use crate::{
    exit::{Exit, Failure},
    folder,
};

/// zstd's own default: more costs several times the work for a few per cent.
const LEVEL: i32 = 3;
/// The largest header or manifest.
const TEXT_BYTES: u64 = 256 << 20;

type Sink = zstd::Encoder<'static, BufWriter<File>>;

/// A backup under way, beside where it will lie.
pub(super) struct Writer {
    tar: tar::Builder<Sink>,
    header: Header,
    parts: Vec<Listed>,
    path: PathBuf,
    beside: Beside,
}

/// The unfinished file; it goes unless it is kept.
struct Beside(Option<PathBuf>);

impl Drop for Beside {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            let _ = fs::remove_file(path);
        }
    }
}

impl Writer {
    /// Begins a backup. A file that is there is not written over.
    pub(super) fn create(path: &Path, header: Header) -> Result<Writer> {
        if path.exists() {
            let message = format!("{} is there already; nothing was changed", path.display());
            return Err(Failure::new(Exit::Conflict, message).into());
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let beside = path.with_file_name(format!("{name}.part"));
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)
            .with_context(|| format!("cannot write {}", beside.display()))?;
        let kept = Beside(Some(beside));
        let mut sink = zstd::Encoder::new(BufWriter::new(file), LEVEL)?;
        sink.include_checksum(true)?;
        let mut writer = Writer {
            tar: tar::Builder::new(sink),
            parts: Vec::new(),
            path: path.to_owned(),
            beside: kept,
            header,
        };
        let text = serde_json::to_vec(&writer.header)?;
        writer.add(HEADER, &text)?;
        Ok(writer)
    }

    /// Adds a part.
    pub(super) fn add(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.add_from(name, bytes.len() as u64, 0o600, bytes)
    }

    /// Adds a part of which the length is known.
    pub(super) fn add_from(&mut self, name: &str, bytes: u64, mode: u32, from: impl Read) -> Result<()> {
        let mut summed = Summed::of(from.take(bytes));
        append(&mut self.tar, name, bytes, mode, &mut summed)
            .with_context(|| format!("{name} cannot be written"))?;
        if summed.bytes != bytes {
            anyhow::bail!("{name} became shorter while it was read; try again");
        }
        self.parts.push(summed.listed(name));
        Ok(())
    }

    /// Writes the manifest, and puts the file in its place.
    pub(super) fn finish(mut self, databases: Vec<Database>, left_out: Vec<String>) -> Result<Manifest> {
        let manifest = Manifest {
            header: self.header,
            databases,
            parts: self.parts,
            left_out,
        };
        let text = serde_json::to_vec(&manifest)?;
        append(&mut self.tar, MANIFEST, text.len() as u64, 0o600, text.as_slice())?;
        let file = self.tar.into_inner()?.finish()?;
        file.into_inner()
            .map_err(io::IntoInnerError::into_error)?
            .sync_all()?;
        if let Some(beside) = &self.beside.0 {
            fs::rename(beside, &self.path)?;
        }
        self.beside.0 = None;
        let folder = self.path.parent().filter(|above| !above.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(manifest)
    }
}

fn append(
    tar: &mut tar::Builder<Sink>,
    name: &str,
    bytes: u64,
    mode: u32,
    from: impl Read,
) -> io::Result<()> {
    let mut head = tar::Header::new_gnu();
    head.set_size(bytes);
    head.set_mode(mode);
    tar.append_data(&mut head, name, from)
}

/// A part that is being read.
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    /// Whether only the owner may read it.
    pub(super) is_secret: bool,
    /// Its bytes.
    pub(super) bytes: &'a mut dyn Read,
}

/// Reads a backup from its beginning to its end, and holds it against its manifest. What `visit` was given is
/// to be believed only when this has returned.
pub(super) fn read(path: &Path, visit: &mut dyn FnMut(Entry<'_>) -> Result<()>) -> Result<Manifest> {
    let mut walk = Walk {
        path,
        listed: Vec::new(),
        manifest: None,
    };
    let mut tar = tar::Archive::new(open(path)?);
    let entries = tar.entries().map_err(|error| walk.damaged(&error.to_string()))?;
    for entry in entries {
        let entry = entry.map_err(|error| walk.damaged(&error.to_string()))?;
        walk.take(entry, visit)?;
    }
    let mut rest = [0; 1024];
    let mut behind = tar.into_inner();
    loop {
        match behind.read(&mut rest) {
            Ok(0) => break,
            Ok(read) if rest[..read].iter().all(|byte| *byte == 0) => {}
            Ok(_) => return Err(walk.damaged("there is something behind its end").into()),
            Err(error) => return Err(walk.damaged(&error.to_string()).into()),
        }
    }
    walk.compare()
}

fn open(path: &Path) -> Result<zstd::Decoder<'static, BufReader<File>>> {
    let unreadable = |error: io::Error| folder::unreadable(path, &error);
    let mut file = BufReader::new(File::open(path).map_err(unreadable)?);
    let begins = io::BufRead::fill_buf(&mut file).map(|bytes| bytes.starts_with(&MAGIC));
    match begins.map_err(unreadable)? {
        true => Ok(zstd::Decoder::with_buffer(file)?),
        false => Err(Failure::usage(format!("{} is no backup of Muster", path.display())).into()),
    }
}

/// What each zstd file begins with (RFC 8878, section 3.1.1).
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

struct Walk<'a> {
    path: &'a Path,
    listed: Vec<Listed>,
    manifest: Option<Manifest>,
}

impl Walk<'_> {
    fn take<R: Read>(
        &mut self,
        mut entry: tar::Entry<'_, R>,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<()>,
    ) -> Result<()> {
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if self.manifest.is_some() || !entry.header().entry_type().is_file() {
            return Err(self
                .damaged(&format!("`{}` has no place in it", name.escape_debug()))
                .into());
        }
        let is_secret = entry.header().mode().unwrap_or_default() & 0o077 == 0;
        if name == MANIFEST {
            let text = self.text(&mut entry)?;
            self.manifest =
                Some(serde_json::from_slice(&text).map_err(|error| self.damaged(&error.to_string()))?);
            return Ok(());
        }
        let mut bytes = Summed::of(&mut entry);
        let visited = match self.listed.is_empty() {
            true => self.demand_known(&name, &mut bytes),
            false => visit(Entry {
                name: &name,
                is_secret,
                bytes: &mut bytes,
            }),
        };
        let drained = io::copy(&mut bytes, &mut io::sink());
        if let Some(why) = bytes.failed.take() {
            return Err(self.damaged(&format!("in the midst of {name}: {why}")).into());
        }
        drained?;
        visited?;
        self.listed.push(bytes.listed(&name));
        Ok(())
    }

    /// The first part says whether the rest can be read.
    fn demand_known(&self, name: &str, bytes: &mut dyn Read) -> Result<()> {
        let no_backup = || Failure::usage(format!("{} is no backup of Muster", self.path.display()));
        if name != HEADER {
            return Err(no_backup().into());
        }
        let text = self.text(bytes)?;
        let header: serde_json::Value = serde_json::from_slice(&text).map_err(|_| no_backup())?;
        match header["format"].as_u64() {
            Some(format) if format <= u64::from(FORMAT) => Ok(()),
            Some(format) => {
                let made = header["muster"].as_str().unwrap_or_default();
                let message = format!(
                    "{} has format {format}, this version knows up to {FORMAT}; use Muster {} or a newer one",
                    self.path.display(),
                    made.escape_debug()
                );
                Err(Failure::new(Exit::Conflict, message).into())
            }
            None => Err(no_backup().into()),
        }
    }

    fn text(&self, from: &mut dyn Read) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        let read = from.take(TEXT_BYTES).read_to_end(&mut text);
        read.map_err(|error| self.damaged(&error.to_string()))?;
        Ok(text)
    }

    fn compare(self) -> Result<Manifest> {
        let Some(manifest) = &self.manifest else {
            return Err(self.damaged("it is cut off").into());
        };
        let mut found = self.listed.iter();
        for part in &manifest.parts {
            match found.next() {
                Some(one) if one == part => {}
                Some(one) if one.name == part.name => {
                    return Err(self.odd(&format!("{} is not what was written", part.name)).into());
                }
                _ => return Err(self.odd(&format!("{} is missing", part.name)).into()),
            }
        }
        if let Some(more) = found.next() {
            return Err(self
                .odd(&format!("{} was not written by Muster", more.name))
                .into());
        }
        self.manifest.context("the manifest")
    }

    /// Damaged behind what has been read.
    fn damaged(&self, why: &str) -> Failure {
        let behind = match self.listed.last() {
            Some(part) => format!(", behind {}", part.name),
            None => String::new(),
        };
        self.odd(&format!("{why}{behind}"))
    }

    fn odd(&self, why: &str) -> Failure {
        Failure::new(
            Exit::Damaged,
            format!("{} is damaged: {why}", self.path.display()),
        )
    }
}

/// Sums what is read through it.
struct Summed<R> {
    from: R,
    sum: Sha256,
    bytes: u64,
    failed: Option<String>,
}

impl<R: Read> Summed<R> {
    fn of(from: R) -> Summed<R> {
        Summed {
            from,
            sum: Sha256::new(),
            bytes: 0,
            failed: None,
        }
    }

    fn listed(self, name: &str) -> Listed {
        Listed {
            name: name.to_owned(),
            bytes: self.bytes,
            sha256: hex::encode(self.sum.finalize()),
        }
    }
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into);
        let read = read.inspect_err(|error| self.failed = Some(error.to_string()))?;
        self.sum.update(&into[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

/// Writes a part to a file of its own, on disk when this returns.
pub(super) fn unpack(entry: &mut Entry<'_>, to: &Path) -> Result<()> {
    let folder = to.parent().context("a path without a folder")?;
    crate::folder::make_private(folder)?;
    let mode = if entry.is_secret { 0o600 } else { 0o644 };
    let file = File::options().write(true).create_new(true).mode(mode).open(to);
    let mut file = BufWriter::new(file.with_context(|| format!("cannot write {}", to.display()))?);
    io::copy(entry.bytes, &mut file).with_context(|| format!("cannot write {}", to.display()))?;
    file.flush()?;
    file.get_ref().sync_all()?;
    Ok(File::open(folder)?.sync_all()?)
}
