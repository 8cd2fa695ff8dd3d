//! A database that is opened behind the store's back.

use std::path::Path;
use std::time::{Duration, Instant};

/// For how long whoever had it open is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Opens a store's database. A thread of sled's may hold it for a moment after it was closed.
pub(crate) fn open(path: &Path) -> sled::Db {
    let begun = Instant::now();
    loop {
        let opened = sled::Config::new().path(path).segment_size(2 << 20).open();
        match opened {
            Ok(db) => return db,
            Err(error) => assert!(
                error.to_string().contains("could not acquire lock") && begun.elapsed() < PATIENCE,
                "{error}"
            ),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
