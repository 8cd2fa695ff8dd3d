//! The writer thread: one store, one order.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bus::{Bus, BusEvent};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use service::{
    Amount, Context, Group, HostLoop, Input, Measure, Released, Service, Settings,
    store::{Blobs, Store, StoreError},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    Executor, HostConfig, OpenStore, StatusCell, Waker,
    clock::OsEntropy,
    effects,
    inbox::Arrival,
    readers::{self, Desk, Job},
    trouble::Trouble,
};

/// The longest the thread sleeps: beacons and shutdown are at most this late.
const TICK: Duration = Duration::from_millis(250);
/// Pause between attempts to open a store that failed.
const REOPEN: Duration = Duration::from_millis(500);

/// All a writer thread needs.
pub(crate) struct Parts<S: Service> {
    pub(crate) service: Arc<S>,
    pub(crate) config: HostConfig,
    pub(crate) open: OpenStore,
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) executor: Arc<dyn Executor>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) status: StatusCell,
    pub(crate) waker: Waker,
}

/// Runs until the shutdown, opening the store anew whenever it failed.
pub(crate) fn run<S: Service>(parts: &Parts<S>, mut store: Option<Arc<dyn Store>>) {
    let mut trouble = Trouble::default();
    while !parts.shutdown.is_cancelled() {
        let Some(open) = store.take().or_else(|| reopen(parts, &mut trouble)) else {
            continue;
        };
        match Term::begin(parts, open).and_then(|mut term| {
            let ended = term.serve();
            term.end();
            ended
        }) {
            Ok(()) => {}
            Err(error) => {
                if trouble.is_told("commit", &error, Instant::now()) {
                    error!(service = %S::NAME, %error, "the store failed; nothing of the last group was acknowledged");
                }
                parts.status.update(|s| {
                    s.open = false;
                    s.connected = false;
                    s.trouble = error.to_string();
                });
            }
        }
    }
    info!(service = %S::NAME, "stopped");
}

fn reopen<S: Service>(parts: &Parts<S>, trouble: &mut Trouble) -> Option<Arc<dyn Store>> {
    std::thread::sleep(REOPEN);
    // A store without room would fail at the first commit: it is waited for.
    let opened = (parts.open)().and_then(|store| store.has_room().map(|()| store));
    match opened {
        Ok(store) => {
            if trouble.is_over() {
                info!(service = %S::NAME, "the store is open again");
            }
            Some(store)
        }
        Err(error) => {
            if trouble.is_told("open", &error, Instant::now()) {
                warn!(service = %S::NAME, %error, "the store does not open yet; it is tried again twice a second");
            }
            parts.status.update(|s| s.trouble = error.to_string());
            None
        }
    }
}

/// What the read threads share.
fn desk<S: Service>(
    parts: &Parts<S>,
    host_loop: &HostLoop<S>,
    store: &Arc<dyn Store>,
    inbox: &Sender<Arrival>,
) -> Desk<S> {
    let (service, settings) = host_loop.shared();
    Desk {
        service,
        settings,
        store: store.clone(),
        blobs: parts.blobs.clone(),
        clock: parts.config.clock.clone(),
        inbox: inbox.clone(),
    }
}

/// Tells whoever watches.
fn tell(measure: &Measure) {
    let labels = measure
        .labels
        .iter()
        .map(|(name, value)| metrics::Label::from_static_parts(name, value));
    let labels: Vec<_> = labels.collect();
    match measure.amount {
        Amount::Counted(more) => metrics::counter!(measure.name, labels).increment(more),
        Amount::Took(seconds) => metrics::histogram!(measure.name, labels).record(seconds),
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The time from opening a store to its closing or failing.
struct Term<'a, S: Service> {
    parts: &'a Parts<S>,
    host_loop: HostLoop<S>,
    store: Arc<dyn Store>,
    inbox: Receiver<Arrival>,
    bus: Bus,
    bus_task: tokio::task::JoinHandle<()>,
    bus_end: CancellationToken,
    connection: Option<u64>,
    jobs: Option<Sender<Job<S::Request>>>,
    readers: Vec<std::thread::JoinHandle<()>>,
    effects: effects::Queues,
}

impl<'a, S: Service> Term<'a, S> {
    fn begin(parts: &'a Parts<S>, store: Arc<dyn Store>) -> Result<Term<'a, S>, StoreError> {
        let config = &parts.config;
        let settings = Settings {
            root: config.bus.root.clone(),
            site: config.site.clone(),
            epoch: store.epoch(),
        };
        let host_loop = HostLoop::open(parts.service.clone(), settings, &*store)?
            .keeping_audit(milliseconds(config.audit_keep))
            .keeping_events(milliseconds(config.events_keep), config.events_most);
        let (outside, inbox) = unbounded();
        let desk = desk(parts, &host_loop, &store, &outside);
        let (jobs, readers) = readers::start(desk, config.readers);
        let effects = effects::start(S::NAME.word(), &parts.executor, &outside);
        for effect in host_loop.pending_effects(&*store)? {
            effects.send(effect);
        }
        let bus_end = CancellationToken::new();
        let _inside = parts.runtime.enter();
        let deliver = move |event| {
            let _ = outside.send(Arrival::Bus(event));
        };
        let (bus, bus_task) = bus::connect(config.bus.clone(), deliver, bus_end.clone());
        parts.status.update(|s| {
            s.open = true;
            s.trouble.clear();
        });
        let jobs = Some(jobs);
        let connection = None;
        Ok(Term {
            parts,
            host_loop,
            store,
            inbox,
            bus,
            bus_task,
            bus_end,
            connection,
            jobs,
            readers,
            effects,
        })
    }

    fn serve(&mut self) -> Result<(), StoreError> {
        self.round(vec![Input::Bootstrap(self.parts.config.bootstrap.clone())])?;
        while !self.parts.shutdown.is_cancelled() {
            let inputs = match self.inbox.recv_timeout(self.patience()) {
                Ok(first) => self.gather(first)?,
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(StoreError::Engine("the inbox is gone".into()));
                }
            };
            self.woken_round(inputs)?;
        }
        Ok(())
    }

    /// A round with what the shell wakes the service with; after a failed one it is woken again.
    fn woken_round(&mut self, mut inputs: Vec<Input>) -> Result<(), StoreError> {
        let woken = self.parts.waker.take();
        inputs.extend(woken.iter().cloned().map(Input::Woken));
        self.round(inputs)
            .inspect_err(|_| self.parts.waker.put_back(woken))
    }

    /// How long nothing needs to be done.
    fn patience(&self) -> Duration {
        let now = self.parts.config.clock.now().wall_ms;
        let until_wake = self.host_loop.next_wake().map(|at| at.saturating_sub(now).max(0));
        until_wake.map_or(TICK, |ms| TICK.min(Duration::from_millis(ms.unsigned_abs())))
    }

    /// Takes everything that has arrived, up to a group.
    fn gather(&mut self, first: Arrival) -> Result<Vec<Input>, StoreError> {
        let mut inputs = Vec::new();
        self.sort_in(first, &mut inputs)?;
        while inputs.len() < self.parts.config.group {
            let Ok(next) = self.inbox.try_recv() else { break };
            self.sort_in(next, &mut inputs)?;
        }
        Ok(inputs)
    }

    fn sort_in(&mut self, arrival: Arrival, inputs: &mut Vec<Input>) -> Result<(), StoreError> {
        match arrival {
            Arrival::Bus(BusEvent::Frames(frames)) => inputs.extend(frames.into_iter().map(Input::Frame)),
            Arrival::Bus(BusEvent::Taken { event }) => inputs.push(Input::Taken { event }),
            Arrival::Bus(BusEvent::Connected { connection }) => {
                self.connection = Some(connection);
                inputs.push(Input::Connected);
            }
            Arrival::Bus(BusEvent::Disconnected { .. }) => {
                self.connection = None;
                inputs.push(Input::Disconnected);
            }
            Arrival::Effect { id, result } => inputs.push(Input::EffectDone { id, result }),
            // No commit is under way: whatever the read saw is on disk.
            Arrival::Answer { connection, frames } => self.bus.publish(connection, frames, 0),
            Arrival::ReadFailed(why) => return Err(StoreError::Engine(why)),
        }
        Ok(())
    }

    /// Decides, commits, publishes.
    fn round(&mut self, inputs: Vec<Input>) -> Result<(), StoreError> {
        self.parts.status.round_begins(Instant::now());
        let done = self.do_round(inputs);
        self.parts.status.round_ends();
        done
    }

    fn do_round(&mut self, inputs: Vec<Input>) -> Result<(), StoreError> {
        let mut entropy = OsEntropy;
        let now = self.parts.config.clock.now();
        let mut cx = Context {
            now,
            entropy: &mut entropy,
            site: &self.parts.config.site,
        };
        let group = self.host_loop.decide(inputs, &*self.store, &mut cx)?;
        let released = self.commit(group)?;
        self.publish(released);
        let (connected, whole) = (self.connection.is_some(), self.host_loop.is_whole());
        let (events, _) = self.host_loop.heads();
        self.parts.status.update(|s| {
            s.connected = connected;
            s.whole = whole;
            s.events = events;
        });
        Ok(())
    }

    #[cfg(not(feature = "planted-early-answer"))]
    fn commit(&self, group: Group<S::Request>) -> Result<Released<S::Request>, StoreError> {
        let group = match group.without_writes() {
            Ok(released) => return Ok(released),
            Err(group) => group,
        };
        let begun = Instant::now();
        let keys = group.batch().len();
        let proof = self.store.commit(group.batch())?;
        let released = group.committed(&proof);
        let service = S::NAME.word();
        metrics::histogram!("muster_commit_seconds", "service" => service)
            .record(begun.elapsed().as_secs_f64());
        metrics::histogram!("muster_commit_keys", "service" => service).record(keys as f64);
        self.parts.status.update(|s| {
            s.commits += 1;
            s.decided += released.decided as u64;
        });
        Ok(released)
    }

    /// The planted mistake: what follows from a group goes out before the group is on disk.
    #[cfg(feature = "planted-early-answer")]
    fn commit(&self, group: Group<S::Request>) -> Result<Released<S::Request>, StoreError> {
        let batch = group.batch().clone();
        let _begun = Instant::now();
        let mut released = group.committed(&service::store::Durable::attest());
        if let Some(connection) = self.connection {
            self.bus
                .publish(connection, std::mem::take(&mut released.frames), released.head);
        }
        if !batch.is_empty() {
            std::thread::sleep(Duration::from_millis(30));
            self.store.commit(&batch)?;
        }
        Ok(released)
    }

    fn publish(&self, released: Released<S::Request>) {
        for warning in &released.warnings {
            warn!(service = %S::NAME, "{warning}");
        }
        released.measures.iter().for_each(tell);
        let service = S::NAME.word();
        metrics::counter!("muster_decided_total", "service" => service).increment(released.decided as u64);
        for effect in released.effects {
            self.effects.send(effect);
        }
        let Some(connection) = self.connection else { return };
        if let Some(jobs) = &self.jobs {
            for query in released.queries {
                let _ = jobs.send(Job { connection, query });
            }
        }
        if !released.frames.is_empty() {
            self.bus.publish(connection, released.frames, released.head);
        }
    }

    /// Leaves the bus, and lets go of the store so that it can be opened again.
    fn end(self) {
        let Term {
            bus_end,
            bus_task,
            jobs,
            readers,
            parts,
            bus,
            effects,
            store,
            ..
        } = self;
        drop((jobs, effects));
        for reader in readers {
            let _ = reader.join();
        }
        bus_end.cancel();
        drop(bus);
        let _ = parts.runtime.block_on(bus_task);
        drop(store);
    }
}
