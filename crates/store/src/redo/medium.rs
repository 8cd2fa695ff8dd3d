//! Where the bytes of a log lie.

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// A file, or whatever plays one.
pub trait Medium: Debug {
    /// How long it is, bytes.
    fn length(&self) -> io::Result<u64>;

    /// Cuts it, or lets it grow by zeros.
    fn set_length(&self, length: u64) -> io::Result<()>;

    /// Writes all of `bytes` at this place. It is on the disk only after [`Self::sync`].
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;

    /// Fills `bytes` with what lies at this place; all of it must be there.
    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()>;

    /// All that is in it.
    fn read_all(&self) -> io::Result<Vec<u8>>;

    /// Makes what was written, and the length, outlive a power cut.
    fn sync(&self) -> io::Result<()>;

    /// A number that nobody can guess. What is played takes it from its seed.
    fn stamp(&self) -> u64 {
        rand::random()
    }
}

impl Medium for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.read_exact_at(bytes, at)
    }

    fn read_all(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.length()? as usize];
        self.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
