//! Which blocks of an image have arrived, so that a download goes on where it stopped.
//!
//! The map says where bytes are, not that they are right: once it is complete,
//! [`ImageCheck`](crate::ImageCheck) reads the whole image.
//!
//! At rest a map is: `MSBM`, format 1, block size (u32), size (u64), one bit a block with the first block
//! in the lowest bit of the first octet, and the first 8 octets of the SHA-256 of all that. Numbers are
//! big-endian.

use std::ops::RangeInclusive;

use sha2::{Digest, Sha256};

/// The block sizes that may be used.
pub const BLOCK_SIZES: RangeInclusive<u32> = 512..=32_768;

/// The most blocks an image may have; their map then takes half a mebibyte.
pub const BLOCKS_MAX: u64 = 1 << 22;

const MAGIC: &[u8; 5] = b"MSBM\x01";
const HEADER_LEN: usize = 17;
const SEAL_LEN: usize = 8;

/// Which blocks of an image are present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockMap {
    size: u64,
    block_size: u32,
    blocks: u64,
    present: u64,
    bits: Vec<u8>,
}

/// Why a map cannot be made, or a block not be entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// The block size lies outside [`BLOCK_SIZES`].
    #[error("a block has 512 to 32768 bytes")]
    BlockSize,
    /// The image is empty, or would have more than [`BLOCKS_MAX`] blocks.
    #[error("an image has 1 to {BLOCKS_MAX} blocks")]
    ImageSize,
    /// No block starts at this offset.
    #[error("no block starts at this offset")]
    Offset,
    /// The block at this offset has another length.
    #[error("the block at this offset has {expected} bytes")]
    Length {
        /// Its length.
        expected: u32,
    },
    /// The bytes are no map, or were altered.
    #[error("the map of blocks is damaged")]
    Damaged,
}

impl BlockMap {
    /// A map of an image of which nothing is present yet.
    pub fn new(size: u64, block_size: u32) -> Result<BlockMap, BlockError> {
        if !BLOCK_SIZES.contains(&block_size) {
            return Err(BlockError::BlockSize);
        }
        let blocks = size.div_ceil(block_size.into());
        if !(1..=BLOCKS_MAX).contains(&blocks) {
            return Err(BlockError::ImageSize);
        }
        let octets = usize::try_from(blocks.div_ceil(8)).map_err(|_| BlockError::ImageSize)?;
        Ok(BlockMap {
            size,
            block_size,
            blocks,
            present: 0,
            bits: vec![0; octets],
        })
    }

    /// Enters one block; returns whether it was missing until now.
    pub fn insert(&mut self, offset: u64, len: u32) -> Result<bool, BlockError> {
        let block = offset / u64::from(self.block_size);
        if block >= self.blocks || !offset.is_multiple_of(self.block_size.into()) {
            return Err(BlockError::Offset);
        }
        let expected = self.len_of(block);
        if len != expected {
            return Err(BlockError::Length { expected });
        }
        let is_new = !self.has(block);
        if is_new {
            let (octet, bit) = place(block);
            self.bits[octet] |= bit;
            self.present += 1;
        }
        Ok(is_new)
    }

    /// The blocks still missing, as offset and length, in order.
    pub fn missing(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        let missing = (0..self.blocks).filter(|block| !self.has(*block));
        missing.map(|block| (block * u64::from(self.block_size), self.len_of(block)))
    }

    /// Whether no block is missing.
    pub fn complete(&self) -> bool {
        self.present == self.blocks
    }

    /// How many blocks are present, of how many.
    pub fn progress(&self) -> (u64, u64) {
        (self.present, self.blocks)
    }

    /// The size of the image.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The size of every block but the last, which may be shorter.
    pub fn block_size(&self) -> u32 {
        self.block_size
    }

    /// Writes the map, to be read after a restart.
    pub fn to_bytes(&self) -> Vec<u8> {
        let numbers = [&self.block_size.to_be_bytes()[..], &self.size.to_be_bytes()].concat();
        let mut bytes = [&MAGIC[..], &numbers, &self.bits].concat();
        let seal = Sha256::digest(&bytes);
        bytes.extend_from_slice(&seal[..SEAL_LEN]);
        bytes
    }

    /// Reads a map that [`BlockMap::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<BlockMap, BlockError> {
        let (contents, seal) = bytes.split_last_chunk::<SEAL_LEN>().ok_or(BlockError::Damaged)?;
        if !Sha256::digest(contents).starts_with(seal) || !contents.starts_with(MAGIC) {
            return Err(BlockError::Damaged);
        }
        let (header, bits) = contents
            .split_first_chunk::<HEADER_LEN>()
            .ok_or(BlockError::Damaged)?;
        let (numbers, size) = header.split_last_chunk::<8>().ok_or(BlockError::Damaged)?;
        let block_size = numbers.last_chunk::<4>().ok_or(BlockError::Damaged)?;
        let map = BlockMap::new(u64::from_be_bytes(*size), u32::from_be_bytes(*block_size));
        let mut map = map.map_err(|_| BlockError::Damaged)?;
        map.take_bits(bits)?;
        Ok(map)
    }

    fn take_bits(&mut self, bits: &[u8]) -> Result<(), BlockError> {
        if bits.len() != self.bits.len() {
            return Err(BlockError::Damaged);
        }
        self.bits.copy_from_slice(bits);
        self.present = (0..self.blocks).map(|block| u64::from(self.has(block))).sum();
        let set: u64 = bits.iter().map(|octet| u64::from(octet.count_ones())).sum();
        if set == self.present {
            Ok(())
        } else {
            Err(BlockError::Damaged)
        }
    }

    fn has(&self, block: u64) -> bool {
        let (octet, bit) = place(block);
        self.bits.get(octet).is_some_and(|octet| octet & bit != 0)
    }

    fn len_of(&self, block: u64) -> u32 {
        let rest = self.size - block * u64::from(self.block_size);
        u32::try_from(rest).map_or(self.block_size, |rest| rest.min(self.block_size))
    }
}

/// The octet of the map and the bit in it that stand for a block, which is below [`BLOCKS_MAX`].
fn place(block: u64) -> (usize, u8) {
    ((block / 8) as usize, 1 << (block % 8))
}
