//! rumqttd's router, held so that none of its traps can spring.
//!
//! It knows five topics: `up/{service}` for each keeper, and `out`. One thread publishes all that goes in;
//! one reads `out`; one reads each service's link. All publish and subscribe at QoS 0. A message is an
//! envelope behind a number: a gap means that the router's log overran, which ends the front door.

mod link;
mod outlet;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::{BufMut, Bytes, BytesMut};
use contract::{id::ServiceName, v1::Envelope};
use prost::Message;
use rumqttd::{
    RouterConfig,
    local::{LinkBuilder, LinkRx, LinkTx},
};
use tokio::sync::{Notify, mpsc};

pub(crate) use self::link::ServiceRouterLink;
use crate::shared::Shared;

/// What may lie in one topic, bytes: well below what its log holds.
const BUDGET: usize = 256 * 1024;
/// One segment of a topic's log, and how many there are. All of it is memory once it was full, read or not, and the oldest
/// segment goes as a whole.
///
/// None may go that was not read. A topic whose budget is all but spent still gets what each of the four services has in one
/// read ([`READ_BYTES`](crate::services::READ_BYTES)), and the end of one envelope, which may be as large as it likes and ends a
/// segment. The log counts 19 bytes more for a message than the budget: a third, where messages are small.
const SEGMENT: (usize, usize) = (32 * 1024, 21);
/// Frames and bytes of one envelope to a service.
const ENVELOPE: (usize, usize) = (1_024, 64 * 1024);
/// How often a thread looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(200);
/// What stands before each message: the service, the message's number, the number of the service's link.
const HEADER: usize = 17;

/// Wakes the publishing thread; ringing twice is ringing once.
#[derive(Default)]
pub(crate) struct Bell {
    rung: AtomicBool,
    jobs: OnceLock<flume::Sender<Job>>,
}

impl Bell {
    pub(crate) fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel)
            && let Some(jobs) = self.jobs.get()
        {
            let _ = jobs.send(Job::Look);
        }
    }
}

enum Job {
    /// There is something for a service.
    Look,
    /// An envelope from a service.
    Out { from: ServiceName, envelope: Bytes },
}

/// Bytes that lie in one topic.
#[derive(Default)]
pub(crate) struct Budget {
    bytes: AtomicUsize,
    /// The newest link that reads this topic.
    generation: AtomicU64,
    room: Notify,
}

impl Budget {
    fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    fn free(&self, bytes: usize) {
        let less = |held: usize| Some(held.saturating_sub(bytes));
        let _ = self.bytes.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
        self.room.notify_waiters();
    }

    /// A new link reads only what comes after it: nothing lies here.
    fn begin(&self, generation: u64) {
        self.generation.store(generation, Ordering::Release);
        self.bytes.store(0, Ordering::Release);
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.bytes.load(Ordering::Acquire) >= BUDGET
    }

    /// Waits until there is room.
    pub(crate) async fn wait(&self) {
        while self.is_spent() {
            let room = self.room.notified();
            if !self.is_spent() {
                return;
            }
            // A wake-up between the look and the wait is made good by looking again.
            let _ = tokio::time::timeout(Duration::from_millis(50), room).await;
        }
    }
}

/// An envelope for a service; dropped when it has been written, which frees what it took.
pub(crate) struct Parcel {
    pub(crate) envelope: Bytes,
    service: ServiceName,
    /// Which of the service's links it came over: the budget of a newer one is not its to free.
    generation: u64,
    router: Arc<Router>,
}

impl Drop for Parcel {
    fn drop(&mut self) {
        let budget = self.router.up(self.service);
        if budget.generation.load(Ordering::Acquire) == self.generation {
            budget.free(self.envelope.len() + HEADER);
            let _ = self.router.jobs.send(Job::Look);
        }
    }
}

type MakeLink = Box<dyn Fn(&str) -> Result<(LinkTx, LinkRx), String> + Send + Sync>;

/// The router and what goes in and out of it.
pub(crate) struct Router {
    make_link: MakeLink,
    jobs: flume::Sender<Job>,
    /// What lies in `out`.
    pub(crate) out: Budget,
    /// What lies in each `up/{service}`, until it is written to the service's socket.
    up: [Budget; 4],
}

impl Router {
    /// Starts the router and its threads.
    pub(crate) fn start(shared: &Arc<Shared>) -> Result<Arc<Router>, String> {
        let config = RouterConfig {
            max_connections: 64,
            max_outgoing_packet_count: 200,
            max_segment_size: SEGMENT.0,
            max_segment_count: SEGMENT.1,
            ..RouterConfig::default()
        };
        let hub = rumqttd::Router::new(0, config).spawn();
        let make_link: MakeLink = Box::new(move |name| {
            let link = LinkBuilder::new(name, hub.clone()).build();
            link.map(|(tx, rx, _)| (tx, rx)).map_err(|e| e.to_string())
        });
        let (tx, rx) = make_link("front-door")?;
        let (jobs, queue) = flume::unbounded();
        let router = Arc::new(Router {
            make_link,
            jobs: jobs.clone(),
            out: Budget::default(),
            up: Default::default(),
        });
        let _ = shared.bell.jobs.set(jobs);
        outlet::start(tx, rx, shared, &router)?;
        let (publisher, _) = (router.make_link)("publisher")?;
        let (weak, own) = (Arc::downgrade(shared), router.clone());
        let watched = weak.clone();
        spawn("muster-router-in", &watched, move || {
            let mut inlet = Inlet {
                tx: publisher,
                router: own,
                sent: [0; 5],
            };
            while let Ok(job) = queue.recv() {
                let Some(shared) = weak.upgrade() else { return };
                if let Err(why) = inlet.work(job, &shared) {
                    return shared.die(why);
                }
            }
        })?;
        Ok(router)
    }

    /// An envelope from a service goes to everybody it is for.
    pub(crate) fn publish_out(&self, from: ServiceName, envelope: Bytes) {
        self.out.add(envelope.len() + HEADER);
        let _ = self.jobs.send(Job::Out { from, envelope });
    }

    /// What lies before a service, until it is written to its socket.
    fn up(&self, service: ServiceName) -> &Budget {
        &self.up[place(service)]
    }

    /// A link that reads what is for a service; blocks until the router has subscribed it.
    pub(crate) fn link(
        self: &Arc<Router>,
        service: ServiceName,
        generation: u64,
        deliver: mpsc::UnboundedSender<Parcel>,
        shared: &Arc<Shared>,
    ) -> Result<ServiceRouterLink, String> {
        let (tx, rx) = (self.make_link)(&format!("{service}-{generation}"))?;
        self.up(service).begin(generation);
        let place = link::Place {
            service,
            generation,
            deliver,
            router: self.clone(),
        };
        link::start(place, tx, rx, shared)
    }
}

/// The thread that publishes.
struct Inlet {
    tx: LinkTx,
    router: Arc<Router>,
    /// The last number in each topic.
    sent: [u64; 5],
}

impl Inlet {
    fn work(&mut self, job: Job, shared: &Shared) -> Result<(), String> {
        match job {
            Job::Out { from, envelope } => self.publish(4, from, 0, &envelope),
            Job::Look => {
                shared.bell.rung.store(false, Ordering::Release);
                for service in ServiceName::KEEPERS {
                    self.send_to(service, shared)?;
                }
                Ok(())
            }
        }
    }

    fn send_to(&mut self, service: ServiceName, shared: &Shared) -> Result<(), String> {
        while !self.router.up(service).is_spent() {
            let (link, frames) = shared.take_frames(service, ENVELOPE.0, ENVELOPE.1);
            if frames.is_empty() {
                return Ok(());
            }
            let envelope = Envelope { frames }.encode_to_vec();
            self.router.up(service).add(envelope.len() + HEADER);
            self.publish(place(service), service, link, &envelope)?;
        }
        Ok(())
    }

    fn publish(
        &mut self,
        topic: usize,
        service: ServiceName,
        link: u64,
        envelope: &[u8],
    ) -> Result<(), String> {
        self.sent[topic] += 1;
        let mut message = BytesMut::with_capacity(HEADER + envelope.len());
        message.put_u8(place(service) as u8);
        message.put_u64(self.sent[topic]);
        message.put_u64(link);
        message.put_slice(envelope);
        let name = if topic == 4 {
            Bytes::from_static(b"out")
        } else {
            Bytes::from(up_topic(service))
        };
        self.tx
            .publish(name, message.freeze())
            .map(|_| ())
            .map_err(|e| e.to_string())
    }
}

/// A message of the router's, taken apart.
struct Opened {
    service: ServiceName,
    /// Over which link of the service it was meant to go; 0 for what comes from one.
    link: u64,
    envelope: Bytes,
}

/// Takes a message apart and holds its number against the last.
fn open(message: &Bytes, last: &mut u64) -> Result<Opened, String> {
    let number = |from: usize| {
        message
            .get(from..from + 8)?
            .try_into()
            .map(u64::from_be_bytes)
            .ok()
    };
    let (Some(&service), Some(sent), Some(link)) = (message.first(), number(1), number(9)) else {
        return Err("a message without a number".into());
    };
    if *last != 0 && sent != *last + 1 {
        return Err(format!("the router lost messages: {sent} after {last}"));
    }
    *last = sent;
    let service = ServiceName::KEEPERS
        .get(usize::from(service))
        .copied()
        .ok_or("a message of nobody")?;
    Ok(Opened {
        service,
        link,
        envelope: message.slice(HEADER..),
    })
}

fn up_topic(service: ServiceName) -> String {
    format!("up/{service}")
}

fn place(service: ServiceName) -> usize {
    ServiceName::KEEPERS
        .iter()
        .position(|keeper| *keeper == service)
        .unwrap_or_default()
}

/// A thread whose end by a panic ends the front door, rather than leaving it half alive.
fn spawn(name: &str, shared: &Weak<Shared>, work: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let (thread, shared) = (name.to_owned(), shared.clone());
    let guarded = move || {
        if catch_unwind(AssertUnwindSafe(work)).is_err()
            && let Some(shared) = shared.upgrade()
        {
            shared.die(format!("the thread {thread} panicked"));
        }
    };
    let spawned = std::thread::Builder::new().name(name.into()).spawn(guarded);
    spawned.map(|_| ()).map_err(|e| format!("no thread {name}: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(service: u8, number: u64) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_u8(service);
        bytes.put_u64(number);
        bytes.put_u64(3);
        bytes.put_slice(b"x");
        bytes.freeze()
    }

    #[test]
    fn no_segment_goes_that_was_not_read() {
        let (bytes, segments) = SEGMENT;
        let small = BUDGET + ServiceName::KEEPERS.len() * crate::services::READ_BYTES;
        let spanned = (small + small / 3).div_ceil(bytes) + ServiceName::KEEPERS.len() + 1;
        assert!(spanned <= segments, "{spanned}");
    }

    #[test]
    fn a_gap_is_noticed() {
        let mut last = 0;
        let opened = open(&message(1, 5), &mut last).unwrap();
        assert_eq!(
            (opened.service, opened.link, &opened.envelope[..]),
            (ServiceName::Provisioning, 3, &b"x"[..])
        );
        assert!(open(&message(1, 6), &mut last).is_ok());
        assert!(open(&message(1, 8), &mut last).is_err());
        assert!(open(&Bytes::from_static(b"short"), &mut last).is_err());
    }
}
