//! What is committed while a copy is made, in a file that has no name: it goes with the process.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use service::store::Batch;

use super::chunk;
use super::wire::CopyError;

const NAME: &str = "copy.spool";
/// Room that is left to the databases: what they refuse to go below, and once more.
const LEFT_BYTES: u64 = 128 << 20;
/// How often it is looked whether there still is.
const LOOK_EVERY: u64 = 4 << 20;
/// Bytes handed on at once.
const PIECE: usize = 1 << 20;

/// The file, as long as it can be written.
pub(super) struct Spool {
    folder: PathBuf,
    file: Result<BufWriter<File>, String>,
    bytes: u64,
    looked_at: u64,
    count: u64,
}

impl Spool {
    pub(super) fn begin(folder: &Path) -> io::Result<Spool> {
        let path = folder.join(NAME);
        // Of a process that was killed between the two lines below.
        let _ = fs::remove_file(&path);
        let mut options = File::options();
        let file = options
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        fs::remove_file(&path)?;
        Ok(Spool {
            folder: folder.to_owned(),
            file: Ok(BufWriter::new(file)),
            bytes: 0,
            looked_at: 0,
            count: 0,
        })
    }

    /// Notes a batch that is committed. When that fails the copy is lost, and nothing else.
    pub(super) fn note(&mut self, batch: &Batch) {
        let Ok(file) = &mut self.file else { return };
        let mut record = Vec::new();
        for (key, value) in batch.iter() {
            chunk::write(&mut record, key, value);
            self.count += 1;
        }
        let noted = file.write_all(&record);
        self.bytes += record.len() as u64;
        if let Err(error) = noted.and_then(|()| self.demand_room()) {
            self.file = Err(error.to_string());
        }
    }

    fn demand_room(&mut self) -> io::Result<()> {
        if self.bytes - self.looked_at < LOOK_EVERY {
            return Ok(());
        }
        self.looked_at = self.bytes;
        match fs4::available_space(&self.folder)? {
            room if room < LEFT_BYTES => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Hands on all that was noted, in whole changes.
    pub(super) fn each(
        &mut self,
        hand_on: &mut dyn FnMut(&[u8]) -> Result<(), CopyError>,
    ) -> Result<(), CopyError> {
        let file = self
            .file
            .as_mut()
            .map_err(|why| CopyError::NotNoted(why.clone()))?;
        file.flush()?;
        let file = file.get_mut();
        file.seek(SeekFrom::Start(0))?;
        let (mut held, mut buffer) = (Vec::new(), vec![0; PIECE]);
        loop {
            let read = file.read(&mut buffer)?;
            held.extend_from_slice(&buffer[..read]);
            if read == 0 {
                break;
            }
            let whole = whole(&held);
            hand_on(&held[..whole])?;
            held.drain(..whole);
        }
        match held.is_empty() {
            true => Ok(()),
            false => Err(CopyError::NotNoted("what was noted ends too early".to_owned())),
        }
    }
}

/// The length of the changes that are whole.
fn whole(bytes: &[u8]) -> usize {
    let rest = chunk::changes(bytes).flatten().map(|(key, value)| {
        let value = value.map_or(0, |value| 4 + value.len());
        4 + key.len() + 1 + value
    });
    rest.sum()
}
