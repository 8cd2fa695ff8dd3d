//! The store as one round reads it. Nobody else writes until the round is committed, so that what was read once is not
//! looked up again: the rules and types that every request of a group is held against.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
};

use crate::store::{Pair, Read, StoreError};

/// Rows that are kept for the round, the first that are read: as many as a full group looks up more than once.
const ROWS: usize = 4 * 1024;
/// The largest of them.
const ROW_BYTES: usize = 4 * 1024;
/// What all of them may have, keys included.
const ALL_BYTES: usize = 1024 * 1024;

/// What was read, kept for a round.
pub(super) struct Steady<'a> {
    base: &'a dyn Read,
    rows: RefCell<HashMap<Vec<u8>, Option<Vec<u8>>>>,
    bytes: Cell<usize>,
}

impl<'a> Steady<'a> {
    pub(super) fn new(base: &'a dyn Read) -> Steady<'a> {
        Steady {
            base,
            rows: RefCell::default(),
            bytes: Cell::default(),
        }
    }
}

impl Read for Steady<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(known) = self.rows.borrow().get(key) {
            return Ok(known.clone());
        }
        let value = self.base.get(key)?;
        let mut rows = self.rows.borrow_mut();
        let size = value.as_ref().map_or(0, Vec::len);
        let bytes = self.bytes.get() + key.len() + size;
        if rows.len() < ROWS && size <= ROW_BYTES && bytes <= ALL_BYTES {
            self.bytes.set(bytes);
            rows.insert(key.to_vec(), value.clone());
        }
        Ok(value)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StoreError> {
        self.base.scan(prefix, after, limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says how often it was asked for `there`, which is all that it has.
    #[derive(Default)]
    struct Counted(Cell<usize>);

    impl Read for Counted {
        fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            self.0.set(self.0.get() + 1);
            match key {
                b"bad" => Err(StoreError::Engine("no".into())),
                b"large" => Ok(Some(vec![0; ROW_BYTES + 1])),
                key if key.starts_with(b"wide") => Ok(Some(vec![0; ROW_BYTES])),
                b"there" => Ok(Some(vec![7])),
                _ => Ok(None),
            }
        }

        fn scan(&self, _: &[u8], _: Option<&[u8]>, _: usize) -> Result<Vec<Pair>, StoreError> {
            Ok(Vec::new())
        }
    }

    #[test]
    fn a_row_is_read_once_a_round_whether_it_is_there_or_not() {
        let base = Counted::default();
        let steady = Steady::new(&base);
        for _ in 0..3 {
            assert_eq!(steady.get(b"there"), Ok(Some(vec![7])));
            assert_eq!(steady.get(b"missing"), Ok(None));
        }
        assert_eq!(base.0.get(), 2);
        // Another round reads anew.
        assert_eq!(Steady::new(&base).get(b"there"), Ok(Some(vec![7])));
        assert_eq!(base.0.get(), 3);
    }

    #[test]
    fn what_is_kept_is_bounded_and_no_error_is() {
        let base = Counted::default();
        let steady = Steady::new(&base);
        for _ in 0..2 {
            assert!(steady.get(b"bad").is_err());
            assert!(steady.get(b"large").is_ok());
        }
        assert_eq!(base.0.get(), 4);
        for n in 0..2 * ROWS {
            assert_eq!(steady.get(&n.to_be_bytes()), Ok(None));
        }
        assert_eq!(steady.rows.borrow().len(), ROWS);
        let steady = Steady::new(&base);
        for n in 0..ROWS {
            assert!(steady.get(format!("wide {n}").as_bytes()).is_ok());
        }
        assert_eq!(steady.rows.borrow().len(), ALL_BYTES / ROW_BYTES - 1);
    }
}
