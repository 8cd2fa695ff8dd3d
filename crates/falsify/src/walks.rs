//! What can be walked whole: each change of one place.

/// The bytes, cut before each of their ends.
pub fn every_cut(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..bytes.len()).map(|length| bytes[..length].to_vec())
}

/// The bytes, with each bit flipped in turn.
pub fn every_flip(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..bytes.len() * 8).map(|bit| {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    })
}

/// The bytes, with each byte in turn as parsers like it least: the ends of its range, one more, one less, its
/// highest bit.
pub fn every_byte(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..bytes.len()).flat_map(|at| {
        let was = bytes[at];
        [
            0,
            0x7F,
            0x80,
            0xFF,
            was.wrapping_add(1),
            was.wrapping_sub(1),
            was ^ 0x80,
        ]
        .map(|byte| {
            let mut changed = bytes.to_vec();
            changed[at] = byte;
            changed
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_its_turn() {
        assert_eq!(
            every_cut(b"ab").collect::<Vec<_>>(),
            [b"".to_vec(), b"a".to_vec()]
        );
        assert_eq!(
            every_flip(b"\x01").map(|bytes| bytes[0]).collect::<Vec<_>>(),
            [0, 3, 5, 9, 17, 33, 65, 129]
        );
        assert_eq!(every_byte(b"ab").count(), 14);
    }
}
