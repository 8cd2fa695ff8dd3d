//! Waking a service from outside: for what it cannot see by itself.

use std::{collections::BTreeSet, mem, sync::Arc};

use parking_lot::Mutex;

/// Wakes one service. The keys wait until a group with them is on disk.
#[derive(Clone, Default)]
pub struct Waker(Arc<Mutex<BTreeSet<String>>>);

impl Waker {
    /// Has the service woken with this key, within a quarter of a second if its store is open.
    pub fn wake(&self, key: &str) {
        self.0.lock().insert(key.to_owned());
    }

    pub(crate) fn take(&self) -> BTreeSet<String> {
        mem::take(&mut *self.0.lock())
    }

    /// Nothing came of it.
    pub(crate) fn put_back(&self, keys: BTreeSet<String>) {
        self.0.lock().extend(keys);
    }
}
