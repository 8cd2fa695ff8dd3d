//! Runs any service: inbox, decide, commit, acknowledge, publish.
//!
//! One writer thread owns the store of a service. It takes what has arrived, lets the service's
//! [`service::HostLoop`] decide it as one group, commits the group with one flush and fsync, and only then
//! publishes what follows. Queries run on read threads; their answers go out between two commits, when
//! everything they may have seen is on disk. Effects run on threads of their own.
//!
//! When a commit fails, nothing of it is published: the bus is left, so that the front door keeps every
//! unanswered request in its window, and the store is opened anew until it works. An engine that does not come back from
//! a call is told by the health check, and ends the process after five minutes.
#![forbid(unsafe_code)]

pub mod clock;
mod effects;
mod inbox;
mod metric;
mod offline;
mod readers;
mod status;
mod trouble;
mod waker;
mod watch;
mod writer;

use std::sync::Arc;

use bus::BusConfig;
use service::{
    Effect, Service,
    store::{Blobs, Store, StoreError},
};
use tokio_util::sync::CancellationToken;

pub use self::metric::METRICS;
pub use clock::{Clock, SystemClock};
pub use offline::{Offline, OfflineError};
pub use status::{HostStatus, StatusCell};
pub use waker::Waker;

/// Carries out a service's effects. May block; is called at least once for each effect.
pub trait Executor: Send + Sync + 'static {
    /// Does it, and says what it came to.
    fn run(&self, effect: &Effect) -> Vec<u8>;

    /// Whether it may take long: those have a thread of their own, one after the other, and hold up no others.
    fn takes_long(&self, effect: &Effect) -> bool {
        let _ = effect;
        false
    }
}

/// For services without effects.
pub struct NoEffects;

impl Executor for NoEffects {
    fn run(&self, _effect: &Effect) -> Vec<u8> {
        Vec::new()
    }
}

/// Opens the service's store; called again after a failed commit.
pub type OpenStore = Box<dyn Fn() -> Result<Arc<dyn Store>, StoreError> + Send>;

/// What a service needs to run.
pub struct HostConfig {
    /// The installation's name.
    pub site: String,
    /// The bus, which also knows the topics' root.
    pub bus: BusConfig,
    /// Threads that answer queries.
    pub readers: usize,
    /// Requests in one group, at most.
    pub group: usize,
    /// Requests that an empty service decides once: verb and payload.
    pub bootstrap: Vec<(String, Vec<u8>)>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How long entries of the audit log are kept; zero is for ever.
    pub audit_keep: std::time::Duration,
    /// How long events are kept; zero is for ever.
    pub events_keep: std::time::Duration,
    /// How many events are kept; 0 is any number.
    pub events_most: u64,
}

/// A running service.
pub struct Host {
    thread: std::thread::JoinHandle<()>,
    status: StatusCell,
    waker: Waker,
}

/// Starts a service on a thread of its own. The store is opened before this returns, so that a state
/// folder that is locked, damaged or too new is an error here; a full disk is waited for.
pub fn start<S: Service>(
    service: S,
    config: HostConfig,
    open: OpenStore,
    blobs: Arc<dyn Blobs>,
    executor: Arc<dyn Executor>,
    shutdown: CancellationToken,
) -> Result<Host, StoreError> {
    let first = match open() {
        Ok(store) => Some(store),
        Err(StoreError::Full { path }) => {
            tracing::error!(service = %S::NAME, %path, "the disk is full; the service waits for space");
            None
        }
        Err(error) => return Err(error),
    };
    let (status, waker) = (StatusCell::default(), Waker::default());
    let runtime = tokio::runtime::Handle::current();
    runtime.spawn(watch::watch(S::NAME.word(), status.clone(), shutdown.clone()));
    let parts = writer::Parts {
        service: Arc::new(service),
        config,
        open,
        blobs,
        executor,
        shutdown,
        runtime,
        status: status.clone(),
        waker: waker.clone(),
    };
    let thread = std::thread::Builder::new()
        .name(format!("muster-{}", S::NAME))
        .spawn(move || writer::run(&parts, first))
        .map_err(|e| StoreError::Engine(format!("no thread for {}: {e}", S::NAME)))?;
    Ok(Host {
        thread,
        status,
        waker,
    })
}

impl Host {
    /// How it is.
    pub fn status(&self) -> HostStatus {
        self.status.get()
    }

    /// A handle to the status that outlives this one.
    pub fn status_cell(&self) -> StatusCell {
        self.status.clone()
    }

    /// Wakes it.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Waits until the service has committed what it took and closed its store.
    pub fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("a service's thread ended by a panic");
        }
    }
}
