//! Where sockets come in: who gets a place, and who must give one up.

use std::{
    collections::HashMap,
    future::pending,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use session::{Entry, Limits, Lobby, Meter};
use tokio::sync::{Notify, oneshot};
use tracing::warn;

/// Pause after the operating system refused to accept, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// How often that is told.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// The entrance of one kind of callers, shared by their listeners.
pub(crate) struct Entrance {
    inner: Mutex<Inner>,
    /// Somebody has left, or has been let in.
    changed: Notify,
    start: Instant,
}

struct Inner {
    lobby: Lobby,
    /// How those are told that are silent and must go.
    bells: HashMap<u64, oneshot::Sender<()>>,
}

impl Entrance {
    pub(crate) fn new(limits: &Limits) -> Arc<Entrance> {
        Arc::new(Entrance {
            inner: Mutex::new(Inner {
                lobby: Lobby::new(limits),
                bells: HashMap::new(),
            }),
            changed: Notify::new(),
            start: Instant::now(),
        })
    }

    /// Gets a place; waits while somebody else may still say who it is, or when too many came within a second. The
    /// next ones wait in the operating system meanwhile. `None`: there is none.
    pub(crate) async fn enter(self: &Arc<Entrance>, address: IpAddr) -> Option<Guest> {
        loop {
            // Made before the look, so that no change between the two is missed.
            let changed = self.changed.notified();
            let now_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
            match self.look(address, now_ms) {
                Ok((guest, at_ms)) => {
                    if at_ms > now_ms {
                        tokio::time::sleep(Duration::from_millis(at_ms - now_ms)).await;
                    }
                    return Some(guest);
                }
                Err(Entry::Wait { until_ms }) => {
                    let patience = Duration::from_millis(until_ms.saturating_sub(now_ms).max(1));
                    let _ = tokio::time::timeout(patience, changed).await;
                }
                Err(Entry::Away) => {
                    metrics::counter!("muster_turned_away_total").increment(1);
                    return None;
                }
                Err(_) => changed.await,
            }
        }
    }

    /// A place and from when on, or what must happen before there is one.
    fn look(self: &Arc<Entrance>, address: IpAddr, now_ms: u64) -> Result<(Guest, u64), Entry> {
        let mut inner = self.inner.lock();
        match inner.lobby.enter(address, now_ms) {
            Entry::Come { place, at_ms } => {
                let (bell, silent) = oneshot::channel();
                inner.bells.insert(place, bell);
                let guest = Guest {
                    place,
                    entrance: self.clone(),
                    silent: Some(silent),
                };
                Ok((guest, at_ms))
            }
            other => {
                if let Entry::Dismiss(place) = other {
                    inner.ring(place);
                }
                Err(other)
            }
        }
    }

    /// How many hear their last words.
    pub(crate) fn parting(&self) -> usize {
        self.inner.lock().lobby.parting()
    }

    /// How often its limits were met.
    pub(crate) fn met(&self) -> Meter {
        self.inner.lock().lobby.met().clone()
    }

    /// No file can be opened: somebody whose session has ended gives up its own, or the longest silent.
    fn make_room(&self) {
        let mut inner = self.inner.lock();
        if let Some(place) = inner.lobby.dismiss_oldest() {
            inner.ring(place);
        }
    }
}

impl Inner {
    /// Tells a connection to go that is silent, or whose session has ended. Who has just been let in hears it as well:
    /// it was too late.
    fn ring(&mut self, place: u64) {
        if !self.lobby.is_parting(place) {
            metrics::counter!("muster_silent_dismissed_total").increment(1);
        }
        if let Some(bell) = self.bells.remove(&place) {
            let _ = bell.send(());
        }
    }
}

/// A socket's place, given back when this is dropped.
pub(crate) struct Guest {
    place: u64,
    entrance: Arc<Entrance>,
    /// Rings when it must go; nothing while it has a session.
    silent: Option<oneshot::Receiver<()>>,
}

impl Guest {
    /// It has said who it is, and was let in. Whether this is the first that is heard of that.
    pub(crate) fn admitted(&mut self) -> bool {
        if self.silent.is_none() {
            return false;
        }
        let mut inner = self.entrance.inner.lock();
        if inner.lobby.admitted(self.place) {
            inner.bells.remove(&self.place);
            drop(inner);
            self.silent = None;
            self.entrance.changed.notify_waiters();
            return true;
        }
        false
    }

    /// Whether it was let in.
    pub(crate) fn is_in(&self) -> bool {
        self.silent.is_none()
    }

    /// Its session has ended; it hears its last words until somebody else needs its place. False: it is closed now.
    pub(crate) fn parts(&mut self) -> bool {
        if !self.is_in() {
            // It makes way as it did before.
            return true;
        }
        let mut inner = self.entrance.inner.lock();
        if !inner.lobby.parts(self.place) {
            return false;
        }
        let (bell, told) = oneshot::channel();
        inner.bells.insert(self.place, bell);
        self.silent = Some(told);
        true
    }

    /// Whether it must go, silent as it is; whoever asks is woken when it must.
    pub(crate) fn is_dismissed(&mut self, cx: &mut Context<'_>) -> bool {
        let silent = self.silent.as_mut();
        silent.is_some_and(|bell| matches!(Pin::new(bell).poll(cx), Poll::Ready(_)))
    }

    /// Resolves when it must go.
    pub(crate) async fn dismissed(&mut self) {
        match &mut self.silent {
            Some(bell) => {
                let _ = bell.await;
            }
            None => pending().await,
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut inner = self.entrance.inner.lock();
        inner.lobby.left(self.place);
        inner.bells.remove(&self.place);
        drop(inner);
        self.entrance.changed.notify_waiters();
    }
}

/// The operating system refuses to accept: how long to wait, and what is said of it.
pub(crate) struct Refusals {
    /// Whose connections.
    whose: &'static str,
    pause: Duration,
    told: Option<Instant>,
    untold: u64,
}

impl Refusals {
    pub(crate) fn of(whose: &'static str) -> Refusals {
        Refusals {
            whose,
            pause: PAUSES.0,
            told: None,
            untold: 0,
        }
    }

    /// It accepts.
    pub(crate) fn over(&mut self) {
        self.pause = PAUSES.0;
    }

    /// Waits a while, longer each time; the longest silent gives up its descriptor meanwhile.
    pub(crate) async fn sit_out(&mut self, error: &std::io::Error, entrance: &Entrance) {
        use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
        if matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
            // The client's own doing, before anybody took notice of it.
            return;
        }
        metrics::counter!("muster_accept_errors_total").increment(1);
        self.untold += 1;
        if self.told.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
            self.told = Some(Instant::now());
            let times = std::mem::take(&mut self.untold);
            warn!(
                %error, times, whose = self.whose,
                "cannot accept connections; usually too many files are open. It goes on by itself when some \
                 are closed; if it comes again, raise LimitNOFILE (ulimit -n)"
            );
        }
        entrance.make_room();
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSES.1);
    }
}
