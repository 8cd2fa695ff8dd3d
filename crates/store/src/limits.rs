//! What a record may be. The same for every engine, so that a test on one speaks for all.

use service::store::{Batch, StoreError, printable};

/// The longest key.
pub const MAX_KEY_BYTES: usize = 512;

/// The longest value; what is longer belongs into a blob.
pub const MAX_VALUE_BYTES: usize = 64 * 1024;

/// The most that one batch may write, keys and values together: it is one record of the redo log.
pub const MAX_BATCH_BYTES: usize = 256 << 20;

/// Refuses a batch that is too large, or holds a key or a value out of bounds, before anything is
/// written.
pub fn check(batch: &Batch) -> Result<(), StoreError> {
    batch.iter().try_for_each(|(key, value)| {
        check_key(key)?;
        value.map_or(Ok(()), |value| check_value(key, value))
    })?;
    check_total(batch)
}

fn check_total(batch: &Batch) -> Result<(), StoreError> {
    let bytes = |(key, value): (&[u8], Option<&[u8]>)| key.len() + value.map_or(0, <[u8]>::len);
    let total: usize = batch.iter().map(bytes).sum();
    if total <= MAX_BATCH_BYTES {
        return Ok(());
    }
    Err(StoreError::Engine(format!(
        "a batch has {total} bytes, one commit takes {MAX_BATCH_BYTES}; commit it in parts"
    )))
}

fn check_key(key: &[u8]) -> Result<(), StoreError> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        let length = key.len();
        return Err(StoreError::Engine(format!(
            "a key has 1 to {MAX_KEY_BYTES} bytes, this one {length}"
        )));
    }
    if crate::meta::is_own(key) {
        return Err(StoreError::Engine(format!(
            "the key {} is the store's own",
            printable(key)
        )));
    }
    Ok(())
}

fn check_value(key: &[u8], value: &[u8]) -> Result<(), StoreError> {
    if value.len() <= MAX_VALUE_BYTES {
        return Ok(());
    }
    Err(StoreError::Engine(format!(
        "the value under {} has {} bytes, a record holds {MAX_VALUE_BYTES}; keep it as a blob",
        printable(key),
        value.len()
    )))
}
