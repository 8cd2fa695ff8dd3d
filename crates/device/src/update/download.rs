//! Which blocks to ask for, and which to believe.

use artifact::{BlockError, BlockMap};
use contract::v1::Block;

use super::journal::Job;

/// Blocks asked for at once. So many are fetched again after a cut.
pub(crate) const WINDOW: usize = 8;

/// A download, as far as it is.
#[derive(Debug, Clone)]
pub(crate) struct Download {
    artifact_id: String,
    map: BlockMap,
}

/// What a block that arrived is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// The bytes that belong at this offset.
    Good { offset: u64, data: Vec<u8> },
    /// Not what was asked for, or altered on its way.
    Bad(&'static str),
}

impl Download {
    /// Goes on from the map that was kept, if it is this image's; else begins.
    pub(crate) fn resume(job: &Job, kept: Option<&[u8]>) -> Result<Download, BlockError> {
        let fresh = BlockMap::new(job.image.size, job.block_size)?;
        let same = |map: &BlockMap| map.size() == fresh.size() && map.block_size() == fresh.block_size();
        let kept = kept
            .and_then(|bytes| BlockMap::from_bytes(bytes).ok())
            .filter(same);
        Ok(Download {
            artifact_id: job.artifact_id.clone(),
            map: kept.unwrap_or(fresh),
        })
    }

    /// What to ask for next, as offset and length; nothing once the image is whole.
    pub(crate) fn window(&self) -> Vec<(u64, u32)> {
        self.map.missing().take(WINDOW).collect()
    }

    /// Looks at a block that was asked for.
    pub(crate) fn look(&self, (offset, length): (u64, u32), block: Block) -> Arrived {
        if block.artifact_id != self.artifact_id {
            return Arrived::Bad("a block of another image");
        }
        if block.offset != offset || block.data.len() as u64 != u64::from(length) {
            return Arrived::Bad("a block of another place or length");
        }
        if crc32fast::hash(&block.data) != block.crc32 {
            return Arrived::Bad("a block that was altered on its way");
        }
        Arrived::Good {
            offset,
            data: block.data,
        }
    }

    /// The bytes at this offset are on disk.
    pub(crate) fn stored(&mut self, offset: u64, length: u32) -> Result<(), BlockError> {
        self.map.insert(offset, length).map(drop)
    }

    /// The map, to be kept.
    pub(crate) fn map(&self) -> Vec<u8> {
        self.map.to_bytes()
    }

    /// How much is there.
    pub(crate) fn percent(&self) -> u32 {
        let (present, blocks) = self.map.progress();
        u32::try_from(present * 100 / blocks.max(1)).unwrap_or(100)
    }
}
