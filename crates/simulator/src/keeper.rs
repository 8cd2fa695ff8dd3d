//! One service's process: its loop and its store, with the shell's order of things around them. What the
//! host does with threads, the world does one step at a time.

use std::{collections::VecDeque, sync::Arc};

use contract::v1::{Frame, Purpose};
use service::{
    Context, Effect, HostLoop, Input, Query, QueryContext, Service, Settings,
    store::{Blobs, Store, StoreError},
};

use crate::{
    dice::Dice,
    disk::{Disk, Fate, SimStore},
    genesis::SITE,
    planted::{self, Mistake},
};

/// How a round ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// As it should.
    Whole,
    /// The process is killed after it has decided and before it commits.
    KilledUndecided,
    /// It is killed within the commit; the disk has all of it or nothing.
    KilledCommitting(Fate),
    /// It is killed when the commit is durable and this many frames have been published. If it is picky, only
    /// in a round that tells a fact or an event.
    KilledPublishing { frames: usize, picky: bool },
    /// The disk fails, and the process lives on.
    DiskFails(Fate),
}

/// What a round came to.
#[derive(Default)]
pub(crate) struct Round {
    /// To be published, in this order.
    pub(crate) frames: Vec<Frame>,
    /// The last event among them, or before them.
    pub(crate) head: u64,
    /// To be run.
    pub(crate) effects: Vec<Effect>,
    /// How many requests were decided.
    pub(crate) decided: usize,
    /// Whether the batch is on disk.
    pub(crate) committed: bool,
    /// The ending was not for this round: it waits for the next.
    pub(crate) unused: bool,
}

/// What a process knows of the time and of chance.
pub(crate) struct Circumstances<'a> {
    pub(crate) now: service::Now,
    pub(crate) entropy: &'a mut Dice,
}

/// A service's process, whichever service it is.
pub(crate) trait Keeper {
    fn disk(&self) -> &Disk;

    /// For how long it keeps its events from the next start on, milliseconds; 0 is for ever.
    fn keep_events(&mut self, keep_ms: u64);

    /// Starts; the effects without a result are to be run again.
    fn start(&mut self) -> Result<Vec<Effect>, StoreError>;

    /// Kills it: all memory is gone.
    fn kill(&mut self);

    fn is_running(&self) -> bool;

    /// Something arrives.
    fn arrive(&mut self, input: Input);

    fn has_arrivals(&self) -> bool;

    /// Over which connection it hears from now on.
    fn connected(&mut self, generation: u64);

    /// The connection that it knows.
    fn connection(&self) -> Option<u64>;

    /// Decides, commits, and hands over what follows. An error leaves the process without a store.
    fn round(&mut self, ending: Ending, cx: Circumstances<'_>) -> Result<Round, StoreError>;

    /// Answers one query, if there is one that waits; and the connection over which it was asked.
    fn answer(&mut self, now: service::Now) -> Result<(Option<u64>, Vec<Frame>), StoreError>;

    fn has_queries(&self) -> bool;

    /// Runs an effect.
    fn run_effect(&self, effect: &Effect) -> Vec<u8>;

    /// When it must run again even if nothing arrives, milliseconds since 1970.
    fn next_wake(&self) -> Option<i64>;

    /// Whether it holds everything of those it follows.
    fn is_whole(&self) -> bool;
}

type RunEffect = Box<dyn Fn(&Effect) -> Vec<u8>>;

/// The process of one service.
pub(crate) struct Process<S: Service> {
    service: Arc<S>,
    disk: Disk,
    blobs: Arc<dyn Blobs>,
    run: RunEffect,
    bootstrap: Vec<(String, Vec<u8>)>,
    alive: Option<Alive<S>>,
    /// Requests decided in one group, at most.
    group: usize,
    keep_events_ms: u64,
}

struct Alive<S: Service> {
    host: HostLoop<S>,
    store: SimStore,
    inbox: VecDeque<Input>,
    queries: VecDeque<(Option<u64>, Query<S::Request>)>,
    connection: Option<u64>,
}

impl<S: Service> Process<S> {
    pub(crate) fn new(
        service: S,
        disk: Disk,
        blobs: Arc<dyn Blobs>,
        run: RunEffect,
        bootstrap: Vec<(String, Vec<u8>)>,
    ) -> Process<S> {
        Process {
            service: Arc::new(service),
            disk,
            blobs,
            run,
            bootstrap,
            alive: None,
            group: 64,
            keep_events_ms: 0,
        }
    }

    /// Commits a group as the round's ending wants it. `Ok(None)`: the process is dead.
    fn commit(
        &self,
        group: service::Group<S::Request>,
        store: &SimStore,
        ending: Ending,
    ) -> Result<Option<service::Released<S::Request>>, StoreError> {
        let group = match group.without_writes() {
            Ok(released) => return Ok(Some(released)),
            Err(group) => group,
        };
        match ending {
            Ending::KilledUndecided => return Ok(None),
            Ending::KilledCommitting(fate) | Ending::DiskFails(fate) => {
                let half = planted::is(Mistake::HalfAGroup) && matches!(ending, Ending::KilledCommitting(_));
                self.disk.set_fate(if half { Fate::Half } else { fate });
            }
            Ending::Whole | Ending::KilledPublishing { .. } => {}
        }
        if planted::is(Mistake::EarlyAnswer) {
            let batch = group.batch().clone();
            let released = group.committed(&service::store::Durable::attest());
            // What follows is on its way already; whether the disk has it is another matter.
            let _ = store.commit(&batch);
            return Ok(Some(released));
        }
        let proof = store.commit(group.batch());
        match (proof, ending) {
            (Ok(proof), _) => Ok(Some(group.committed(&proof))),
            (Err(_), Ending::KilledCommitting(_)) => Ok(None),
            (Err(error), _) => Err(error),
        }
    }
}

impl<S: Service> Keeper for Process<S> {
    fn disk(&self) -> &Disk {
        &self.disk
    }

    fn keep_events(&mut self, keep_ms: u64) {
        self.keep_events_ms = keep_ms;
    }

    fn start(&mut self) -> Result<Vec<Effect>, StoreError> {
        let store = self.disk.open()?;
        let settings = Settings {
            root: crate::world::root(),
            site: SITE.into(),
            epoch: store.epoch(),
        };
        let host =
            HostLoop::open(self.service.clone(), settings, &store)?.keeping_events(self.keep_events_ms, 0);
        let effects = host.pending_effects(&store)?;
        let inbox = VecDeque::from([Input::Bootstrap(self.bootstrap.clone())]);
        self.alive = Some(Alive {
            host,
            store,
            inbox,
            queries: VecDeque::new(),
            connection: None,
        });
        Ok(effects)
    }

    fn kill(&mut self) {
        self.alive = None;
    }

    fn is_running(&self) -> bool {
        self.alive.is_some()
    }

    fn arrive(&mut self, input: Input) {
        if let Some(alive) = &mut self.alive {
            alive.inbox.push_back(input);
        }
    }

    fn has_arrivals(&self) -> bool {
        self.alive.as_ref().is_some_and(|alive| !alive.inbox.is_empty())
    }

    fn round(&mut self, ending: Ending, cx: Circumstances<'_>) -> Result<Round, StoreError> {
        let Some(mut alive) = self.alive.take() else {
            return Ok(Round::default());
        };
        let most = self.group.min(alive.inbox.len());
        let inputs: Vec<_> = alive.inbox.drain(..most).collect();
        let mut cx = Context {
            now: cx.now,
            entropy: cx.entropy,
            site: SITE,
        };
        let group = alive.host.decide(inputs, &alive.store, &mut cx)?;
        let Some(mut released) = self.commit(group, &alive.store, ending)? else {
            return Ok(Round::default());
        };
        let telling = |frame: &Frame| matches!(frame.purpose(), Purpose::Fact | Purpose::Event);
        let picky = matches!(ending, Ending::KilledPublishing { picky: true, .. });
        let unused = picky && !released.frames.iter().any(telling);
        if let Ending::KilledPublishing { frames, .. } = ending
            && !unused
        {
            released.frames.truncate(frames);
            return Ok(Round {
                frames: released.frames,
                committed: true,
                ..Round::default()
            });
        }
        let connection = alive.connection;
        let queries = released.queries.into_iter().map(|query| (connection, query));
        alive.queries.extend(queries);
        self.alive = Some(alive);
        Ok(Round {
            frames: released.frames,
            head: released.head,
            effects: released.effects,
            decided: released.decided,
            committed: true,
            unused,
        })
    }

    fn connected(&mut self, generation: u64) {
        if let Some(alive) = &mut self.alive {
            alive.connection = Some(generation);
        }
    }

    fn connection(&self) -> Option<u64> {
        self.alive.as_ref().and_then(|alive| alive.connection)
    }

    fn answer(&mut self, now: service::Now) -> Result<(Option<u64>, Vec<Frame>), StoreError> {
        let Some(alive) = &mut self.alive else {
            return Ok((None, Vec::new()));
        };
        let Some((connection, query)) = alive.queries.pop_front() else {
            return Ok((None, Vec::new()));
        };
        let (service, settings) = alive.host.shared();
        let cx = QueryContext {
            now,
            blobs: &*self.blobs,
        };
        let done = query.run(&*service, &settings, &alive.store, &cx)?;
        Ok((connection, done.frames))
    }

    fn has_queries(&self) -> bool {
        self.alive.as_ref().is_some_and(|alive| !alive.queries.is_empty())
    }

    fn run_effect(&self, effect: &Effect) -> Vec<u8> {
        (self.run)(effect)
    }

    fn next_wake(&self) -> Option<i64> {
        self.alive.as_ref().and_then(|alive| alive.host.next_wake())
    }

    fn is_whole(&self) -> bool {
        self.alive.as_ref().is_some_and(|alive| alive.host.is_whole())
    }
}
