//! Downloads that stop, go on, repeat themselves, and find their map damaged.

use std::collections::BTreeSet;

use artifact::{BLOCKS_MAX, BlockError, BlockMap};
use proptest::prelude::*;

#[test]
fn maps_out_of_bounds() {
    for (size, block_size, refusal) in [
        (1, 511, BlockError::BlockSize),
        (1, 32_769, BlockError::BlockSize),
        (1, 0, BlockError::BlockSize),
        (0, 512, BlockError::ImageSize),
        (BLOCKS_MAX * 512 + 1, 512, BlockError::ImageSize),
        (u64::MAX, 32_768, BlockError::ImageSize),
    ] {
        assert_eq!(
            BlockMap::new(size, block_size),
            Err(refusal),
            "{size} in blocks of {block_size}"
        );
    }
    assert!(BlockMap::new(BLOCKS_MAX * 512, 512).is_ok());
}

#[test]
fn blocks_that_are_none() {
    let mut map = BlockMap::new(1_300, 512).unwrap();
    for (offset, len, refusal) in [
        (1, 512, BlockError::Offset),
        (1_536, 512, BlockError::Offset),
        (u64::MAX, 512, BlockError::Offset),
        (0, 511, BlockError::Length { expected: 512 }),
        (0, 1_024, BlockError::Length { expected: 512 }),
        (1_024, 512, BlockError::Length { expected: 276 }),
        (1_024, 0, BlockError::Length { expected: 276 }),
    ] {
        assert_eq!(map.insert(offset, len), Err(refusal), "{len} at {offset}");
    }
    assert_eq!(map.progress(), (0, 3));
}

#[test]
fn a_damaged_map_is_noticed() {
    let mut map = BlockMap::new(10_000, 512).unwrap();
    map.insert(512, 512).unwrap();
    let good = map.to_bytes();
    assert_eq!(BlockMap::from_bytes(&good), Ok(map));
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(BlockMap::from_bytes(&bad), Err(BlockError::Damaged), "bit {bit}");
    }
    for len in 0..good.len() {
        assert_eq!(
            BlockMap::from_bytes(&good[..len]),
            Err(BlockError::Damaged),
            "{len} bytes"
        );
    }
    assert_eq!(
        BlockMap::from_bytes(&[&good[..], b"\0"].concat()),
        Err(BlockError::Damaged)
    );
}

proptest! {
    /// Against a set of offsets as the model: blocks in any order, with repeats, and a restart after each.
    #[test]
    fn a_map_is_a_set_of_blocks(
        size in 1u64..60_000,
        block_size in 512u32..5_000,
        picks in prop::collection::vec(any::<prop::sample::Index>(), 0..200),
    ) {
        let mut map = BlockMap::new(size, block_size).unwrap();
        let blocks: Vec<(u64, u32)> = map.missing().collect();
        prop_assert_eq!(blocks.iter().map(|(_, len)| u64::from(*len)).sum::<u64>(), size);
        let mut model = BTreeSet::new();
        for pick in picks {
            let (offset, len) = blocks[pick.index(blocks.len())];
            prop_assert_eq!(map.insert(offset, len), Ok(model.insert(offset)));
            map = BlockMap::from_bytes(&map.to_bytes()).unwrap();
        }
        let missing: Vec<_> = blocks.iter().copied().filter(|(offset, _)| !model.contains(offset)).collect();
        prop_assert_eq!(map.missing().collect::<Vec<_>>(), missing);
        prop_assert_eq!(map.complete(), model.len() == blocks.len());
        prop_assert_eq!(map.progress(), (model.len() as u64, blocks.len() as u64));
    }

    #[test]
    fn fetching_what_is_missing_completes_a_map(size in 1u64..200_000, block_size in 512u32..=32_768) {
        let mut map = BlockMap::new(size, block_size).unwrap();
        let missing: Vec<_> = map.missing().collect();
        for (offset, len) in missing {
            prop_assert!(!map.complete());
            prop_assert_eq!(map.insert(offset, len), Ok(true));
        }
        prop_assert!(map.complete());
    }

    #[test]
    fn no_bytes_make_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        prop_assert_eq!(BlockMap::from_bytes(&bytes), Err(BlockError::Damaged));
    }
}
