//! Threads that carry out effects, one after the other: one thread for those that take long, one for all others.

use std::{
    any::Any,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use service::Effect;

use crate::{Executor, inbox::Arrival};

/// First and longest pause before an effect whose executor panicked is tried again. Long enough that a panic
/// that comes every time does not fill the log; short enough that a certificate does not wait for a restart.
const PAUSES: Pauses = Pauses {
    first: Duration::from_secs(1),
    longest: Duration::from_secs(300),
};
/// With nothing to try again the thread only listens.
const NOTHING_DUE: Duration = Duration::from_secs(3600);

#[derive(Clone, Copy)]
struct Pauses {
    first: Duration,
    longest: Duration,
}

impl Pauses {
    /// Doubles from one failure to the next.
    fn after(self, failures: u32) -> Duration {
        let doubled = self.first.saturating_mul(1 << failures.saturating_sub(1).min(20));
        doubled.min(self.longest)
    }
}

/// An effect, and how often its executor has panicked.
struct Attempt {
    effect: Effect,
    failures: u32,
}

/// The effects that are to be carried out: those that take long beside all others.
pub(crate) struct Queues {
    executor: Arc<dyn Executor>,
    short: Sender<Effect>,
    long: Sender<Effect>,
}

impl Queues {
    pub(crate) fn send(&self, effect: Effect) {
        let queue = match self.executor.takes_long(&effect) {
            true => &self.long,
            false => &self.short,
        };
        // Without its thread it waits for the next start.
        let _ = queue.send(effect);
    }
}

/// Starts a thread for each queue; dropping them ends it.
pub(crate) fn start(service: &'static str, executor: &Arc<dyn Executor>, inbox: &Sender<Arrival>) -> Queues {
    let queue = |name: &str| thread(service, name, executor.clone(), inbox.clone());
    Queues {
        short: queue("effects"),
        long: queue("long-effects"),
        executor: executor.clone(),
    }
}

fn thread(
    service: &'static str,
    name: &str,
    executor: Arc<dyn Executor>,
    inbox: Sender<Arrival>,
) -> Sender<Effect> {
    let (orders, queue) = unbounded();
    let mut worker = Worker {
        service,
        executor,
        inbox,
        pauses: PAUSES,
        later: BTreeMap::new(),
        numbers: 0,
    };
    let spawned = std::thread::Builder::new()
        .name(format!("{service}-{name}"))
        .spawn(move || worker.carry_out(&queue));
    if let Err(error) = spawned {
        tracing::error!(%error, "no thread for effects; they wait for the next start");
    }
    orders
}

struct Worker {
    service: &'static str,
    executor: Arc<dyn Executor>,
    inbox: Sender<Arrival>,
    pauses: Pauses,
    /// To be tried again, by time; the number keeps those of one instant apart.
    later: BTreeMap<(Instant, u64), Attempt>,
    numbers: u64,
}

/// Nobody takes results any more.
struct Ended;

impl Worker {
    fn carry_out(&mut self, queue: &Receiver<Effect>) {
        loop {
            let attempt = match queue.recv_timeout(self.patience()) {
                Ok(effect) => Some(Attempt { effect, failures: 0 }),
                Err(RecvTimeoutError::Timeout) => self.due(),
                // What has not come to a result is on disk and begins anew at the next start.
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if attempt.is_some_and(|attempt| self.run(attempt).is_err()) {
                return;
            }
        }
    }

    fn patience(&self) -> Duration {
        let next = self.later.first_key_value();
        next.map_or(NOTHING_DUE, |((at, _), _)| {
            at.saturating_duration_since(Instant::now())
        })
    }

    fn due(&mut self) -> Option<Attempt> {
        let first = self.later.first_entry()?;
        (first.key().0 <= Instant::now()).then(|| first.remove())
    }

    fn run(&mut self, attempt: Attempt) -> Result<(), Ended> {
        match catch_unwind(AssertUnwindSafe(|| self.executor.run(&attempt.effect))) {
            Ok(result) => {
                let id = attempt.effect.id;
                self.inbox.send(Arrival::Effect { id, result }).map_err(|_| Ended)
            }
            Err(panic) => {
                self.postpone(attempt, &*panic);
                Ok(())
            }
        }
    }

    fn postpone(&mut self, attempt: Attempt, panic: &(dyn Any + Send)) {
        let failures = attempt.failures.saturating_add(1);
        let pause = self.pauses.after(failures);
        let Effect { id, kind, .. } = &attempt.effect;
        tracing::error!(
            service = self.service, effect = %id, %kind, failures, again_in = ?pause, panic = message(panic),
            "an effect's executor panicked; whoever waits for its result waits on, and it is tried again"
        );
        metrics::counter!("muster_effect_panics_total", "service" => self.service).increment(1);
        self.numbers += 1;
        self.later.insert(
            (Instant::now() + pause, self.numbers),
            Attempt { failures, ..attempt },
        );
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("it did not say why")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Panics on effects of the kind `bad`, so many times.
    struct Panics {
        left: AtomicU32,
    }

    impl Executor for Panics {
        fn run(&self, effect: &Effect) -> Vec<u8> {
            let panics = effect.kind == "bad"
                && self
                    .left
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                    .is_ok();
            assert!(!panics, "no entropy today");
            effect.payload.clone()
        }
    }

    fn effect(id: &str, kind: &str) -> Effect {
        Effect {
            id: id.into(),
            kind: kind.into(),
            payload: id.as_bytes().to_vec(),
        }
    }

    fn worker(panics: u32, pause: Duration) -> (Worker, Receiver<Arrival>) {
        let (inbox, results) = unbounded();
        let worker = Worker {
            service: "test",
            executor: Arc::new(Panics { left: panics.into() }),
            inbox,
            pauses: Pauses {
                first: pause,
                longest: 4 * pause,
            },
            later: BTreeMap::new(),
            numbers: 0,
        };
        (worker, results)
    }

    fn next(results: &Receiver<Arrival>) -> (String, Vec<u8>) {
        match results.recv_timeout(Duration::from_secs(20)) {
            Ok(Arrival::Effect { id, result }) => (id, result),
            _ => panic!("no result came"),
        }
    }

    #[test]
    fn what_panicked_is_tried_again_and_holds_up_nothing_else() {
        let (mut worker, results) = worker(2, Duration::from_millis(200));
        let (orders, queue) = unbounded();
        let begun = Instant::now();
        for order in [effect("e-1", "bad"), effect("e-2", "good")] {
            orders.send(order).unwrap();
        }
        let thread = std::thread::spawn(move || worker.carry_out(&queue));
        assert_eq!(next(&results), ("e-2".into(), b"e-2".to_vec()));
        assert_eq!(next(&results), ("e-1".into(), b"e-1".to_vec()));
        assert!(
            begun.elapsed() >= Duration::from_millis(600),
            "after 200 ms, then 400 ms"
        );
        drop(orders);
        thread.join().unwrap();
    }

    /// Holds what takes long until it is told to go on.
    struct Slow(Receiver<()>);

    impl Executor for Slow {
        fn run(&self, effect: &Effect) -> Vec<u8> {
            if self.takes_long(effect) {
                self.0.recv().unwrap();
            }
            Vec::new()
        }

        fn takes_long(&self, effect: &Effect) -> bool {
            effect.kind == "long"
        }
    }

    #[test]
    fn what_takes_long_keeps_its_order_and_holds_up_nothing_else() {
        let (go_on, held) = unbounded();
        let (inbox, results) = unbounded();
        let executor: Arc<dyn Executor> = Arc::new(Slow(held));
        let queues = start("test", &executor, &inbox);
        for (id, kind) in [("e-1", "long"), ("e-2", "long"), ("e-3", "short")] {
            queues.send(effect(id, kind));
        }
        assert_eq!(next(&results).0, "e-3");
        for id in ["e-1", "e-2"] {
            go_on.send(()).unwrap();
            assert_eq!(next(&results).0, id);
        }
    }

    #[test]
    fn the_end_does_not_wait_for_what_is_tried_again() {
        let (mut worker, _results) = worker(u32::MAX, Duration::from_secs(3600));
        let (orders, queue) = unbounded();
        orders.send(effect("e-1", "bad")).unwrap();
        drop(orders);
        worker.carry_out(&queue);
        assert_eq!(worker.later.len(), 1);
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let seconds = |failures| PAUSES.after(failures).as_secs();
        assert_eq!([1, 2, 3, 9, 10, u32::MAX].map(seconds), [1, 2, 4, 256, 300, 300]);
    }
}
