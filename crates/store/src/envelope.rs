//! The bytes a value is stored as: a format byte, a checksum over key and payload, the payload.
//!
//! sled checks its pages, but serves a page written by a bug or stitched together by a torn recovery
//! as readily as any other. The key is part of the sum, so a value under a wrong key is found too.

use service::store::{StoreError, printable};

const FORMAT: u8 = 1;

/// What an envelope adds to a payload.
pub(crate) const OVERHEAD: usize = 5;

/// Puts the envelope of `payload` under `key` into `out`, replacing what it held.
pub(crate) fn seal(key: &[u8], payload: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.push(FORMAT);
    out.extend_from_slice(&checksum(key, payload).to_le_bytes());
    out.extend_from_slice(payload);
}

/// The payload of `record`, if it is what was written under `key`.
pub(crate) fn open<'a>(key: &[u8], record: &'a [u8]) -> Result<&'a [u8], StoreError> {
    let Some((&[format, a, b, c, d], payload)) = record.split_first_chunk::<OVERHEAD>() else {
        return Err(damaged(key, "it is too short"));
    };
    if format != FORMAT {
        return Err(damaged(key, "its format is unknown"));
    }
    if checksum(key, payload) != u32::from_le_bytes([a, b, c, d]) {
        return Err(damaged(key, "its checksum does not fit"));
    }
    Ok(payload)
}

/// The checksum that `record` bears, right or not; zero where it is too short for one.
pub(crate) fn stated_checksum(record: &[u8]) -> u64 {
    match record {
        [_, a, b, c, d, ..] => u64::from(u32::from_le_bytes([*a, *b, *c, *d])),
        _ => 0,
    }
}

/// The error that names a damaged record.
pub(crate) fn damaged(key: &[u8], reason: &'static str) -> StoreError {
    StoreError::Damaged {
        key: printable(key).to_string(),
        reason,
    }
}

fn checksum(key: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::{open, seal};

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let mut record = Vec::new();
        seal(b"key", b"payload", &mut record);
        assert_eq!(open(b"key", &record).unwrap(), b"payload");
        assert!(open(b"kez", &record).is_err());
        for bit in 0..record.len() * 8 {
            let mut bad = record.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(open(b"key", &bad).is_err(), "bit {bit}");
        }
        for length in 0..record.len() {
            assert!(open(b"key", &record[..length]).is_err(), "cut to {length}");
        }
    }
}
