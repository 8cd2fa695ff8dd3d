//! What sled and the operating system report, sorted by what can be done about it.

use std::any::Any;
use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use service::store::StoreError;

/// A failure below the store.
#[derive(Debug)]
pub enum Fault {
    /// The disk or the quota is full.
    Full,
    /// Someone else holds the database.
    Locked,
    /// The engine found its own files damaged.
    Corrupt(String),
    /// The engine panicked: what it holds in memory is not to be trusted.
    Panicked(String),
    /// Anything else.
    Other(String),
    /// What is told as it is.
    Told(StoreError),
}

impl Fault {
    /// What the caller of the store is told.
    pub(crate) fn told(self, path: &Path) -> StoreError {
        let path = path.display().to_string();
        match self {
            Fault::Full => StoreError::Full { path },
            Fault::Locked => StoreError::Locked { path },
            Fault::Corrupt(what) => {
                tracing::error!(%path, %what, "the engine cannot read its own files");
                StoreError::Damaged {
                    key: path,
                    reason: "the engine cannot read its own files",
                }
            }
            Fault::Panicked(what) => StoreError::Engine(format!("{path}: the engine panicked: {what}")),
            Fault::Other(what) => StoreError::Engine(format!("{path}: {what}")),
            Fault::Told(error) => error,
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        Fault::Told(error)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Fault::Full,
            _ => Fault::Other(error.to_string()),
        }
    }
}

impl From<sled::Error> for Fault {
    fn from(error: sled::Error) -> Fault {
        match error {
            // sled gives the lock's refusal no kind of its own.
            sled::Error::Io(error) if error.to_string().contains("could not acquire lock") => Fault::Locked,
            sled::Error::Io(error) => error.into(),
            sled::Error::Corruption { at, .. } => Fault::Corrupt(format!("corruption at {at:?}")),
            // Its own settings, which it wrote as this version does, make no sense to it.
            sled::Error::Unsupported(what) => Fault::Corrupt(what),
            other => Fault::Other(other.to_string()),
        }
    }
}

thread_local! {
    static IN_THE_ENGINE: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is in a call into an engine, whose panic becomes an error. For a panic hook: sled panics
/// where a disk fails a sync.
pub fn panic_becomes_an_error() -> bool {
    IN_THE_ENGINE.get()
}

/// Runs a call into sled; a panic in there becomes a fault. (The release profile unwinds as well.)
pub(crate) fn guarded<T>(call: impl FnOnce() -> sled::Result<T>) -> Result<T, Fault> {
    contained(call)?.map_err(Fault::from)
}

/// Runs a call into an engine, whose panic becomes a fault.
pub(crate) fn contained<T>(call: impl FnOnce() -> T) -> Result<T, Fault> {
    let outer = IN_THE_ENGINE.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(call));
    IN_THE_ENGINE.set(outer);
    outcome.map_err(|payload| Fault::Panicked(panic_text(payload.as_ref())))
}

/// Lets the panics of the engines print nothing: they are told as errors of whoever called. For programs that
/// read damaged files for a person who is to see what is damaged, and no more.
pub fn quiet_engine_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic_becomes_an_error() {
            usual(panic);
        }
    }));
}

/// What a panic said.
fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Fault, guarded, panic_becomes_an_error};

    #[test]
    fn a_panic_in_the_engine_is_a_fault() {
        let fault = guarded(|| -> sled::Result<()> { panic!("cannot find pid") });
        assert!(matches!(fault, Err(Fault::Panicked(text)) if text == "cannot find pid"));
        assert!(!panic_becomes_an_error());
    }
}
