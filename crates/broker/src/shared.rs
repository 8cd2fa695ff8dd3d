//! The door behind one mutex, and what goes out of it.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
    task::Waker,
    time::Instant,
};

use contract::{Root, id::ServiceName, v1::Frame};
use parking_lot::Mutex;
use service::Now;
use session::{Check, Connection, Door, DoorStatus};
use tokio::sync::{
    mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    watch,
};

use crate::{config::WallClock, mailbox::Mailboxes, repeats::Lines, router::Bell};

/// What all tasks and threads of a front door share.
pub(crate) struct Shared {
    door: Mutex<Inner>,
    next_connection: AtomicU64,
    clock: WallClock,
    start: Instant,
    pub(crate) root: Root,
    pub(crate) bell: Bell,
    checks: UnboundedSender<Check>,
    lines: Lines,
    dead: watch::Sender<Option<String>>,
}

struct Inner {
    door: Door,
    mailboxes: Mailboxes,
}

impl Shared {
    /// The same, and the passwords that are to be compared; the door bounds how many.
    pub(crate) fn new(door: Door, clock: WallClock, root: Root) -> (Shared, UnboundedReceiver<Check>) {
        let (checks, to_compare) = unbounded_channel();
        let shared = Shared {
            checks,
            lines: Lines::default(),
            door: Mutex::new(Inner {
                door,
                mailboxes: Mailboxes::default(),
            }),
            next_connection: AtomicU64::new(1),
            clock,
            start: Instant::now(),
            root,
            bell: Bell::default(),
            dead: watch::channel(None).0,
        };
        (shared, to_compare)
    }

    pub(crate) fn now(&self) -> Now {
        let mono_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        Now {
            wall_ms: (self.clock)(),
            mono_ms,
        }
    }

    /// The instant behind a monotonic time of the door's.
    pub(crate) fn instant(&self, mono_ms: u64) -> Instant {
        self.start + std::time::Duration::from_millis(mono_ms)
    }

    pub(crate) fn next_connection(&self) -> u64 {
        self.next_connection.fetch_add(1, Ordering::Relaxed)
    }

    /// Does something with the door; what it has to say afterwards goes where it belongs.
    pub(crate) fn with_door<T>(&self, work: impl FnOnce(&mut Door, Now) -> T) -> T {
        let now = self.now();
        let mut inner = self.door.lock();
        let result = work(&mut inner.door, now);
        let Inner { door, mailboxes } = &mut *inner;
        let woken = mailboxes.hand_out(door.take_posts());
        let checks = door.take_checks();
        let work_left = ServiceName::KEEPERS
            .iter()
            .any(|service| door.has_frames(*service));
        drop(inner);
        for check in checks {
            // Fails at the end alone, when nobody is let in any more.
            let _ = self.checks.send(check);
        }
        woken.into_iter().for_each(Waker::wake);
        if work_left {
            self.bell.ring();
        }
        result
    }

    /// What is to be sent to a service now.
    pub(crate) fn take_frames(&self, service: ServiceName, frames: usize, bytes: usize) -> (u64, Vec<Frame>) {
        self.door.lock().door.take_frames(service, frames, bytes)
    }

    /// Grants what a connection wishes. A mailbox is opened first, so that nothing meant for it is missed.
    pub(crate) fn serve(&self, connection: &mut Connection) {
        self.with_door(|door, now| door.serve(connection, now));
    }

    /// Opens a connection's mailbox.
    pub(crate) fn open_mailbox(&self, connection: u64) -> crate::mailbox::Mailbox {
        self.door.lock().mailboxes.open(connection)
    }

    pub(crate) fn close_mailbox(&self, connection: u64) {
        self.door.lock().mailboxes.close(connection);
    }

    pub(crate) fn status(&self) -> DoorStatus {
        let now = self.now();
        self.door.lock().door.status(now)
    }

    pub(crate) fn tell_metrics(&self, status: &DoorStatus) {
        metrics::gauge!("muster_sessions").set(status.sessions as f64);
        metrics::gauge!("muster_kept_sessions").set(status.kept as f64);
        metrics::counter!("muster_kept_events_dropped_total").absolute(status.counts.made_way);
        metrics::gauge!("muster_facts_stale").set(f64::from(u8::from(status.stale)));
        metrics::counter!("muster_requests_total").absolute(status.counts.requests);
        metrics::counter!("muster_refused_total").absolute(status.counts.refused);
        metrics::counter!("muster_delivered_total").absolute(status.counts.delivered);
        metrics::counter!("muster_data_total").absolute(status.counts.handed_out);
        metrics::counter!("muster_stray_frames_total").absolute(status.counts.strays);
        for (limit, met) in &status.met {
            metrics::counter!("muster_limits_met_total", "limit" => *limit).absolute(*met);
        }
        for (service, linked, waiting) in &status.lanes {
            let service = service.word();
            metrics::gauge!("muster_service_linked", "service" => service).set(f64::from(u8::from(*linked)));
            metrics::gauge!("muster_window", "service" => service).set(*waiting as f64);
        }
    }

    /// Whether a line about somebody who was refused, or let go, is written; else it is counted.
    pub(crate) fn tells(&self, why: &str, who: &str, from: IpAddr) -> bool {
        self.lines.tells(why, who, from, self.now().mono_ms)
    }

    /// What was only counted, when its time has come.
    pub(crate) fn tell_repeats(&self) {
        self.lines.tell_due(self.now().mono_ms);
    }

    /// The same, when nobody comes any more.
    pub(crate) fn tell_repeats_at_last(&self) {
        self.lines.tell_rest(self.now().mono_ms);
    }

    /// The front door cannot go on.
    pub(crate) fn die(&self, why: String) {
        tracing::error!(%why, "the front door cannot go on");
        self.dead.send_replace(Some(why));
    }

    pub(crate) async fn died(&self) -> String {
        let mut dead = self.dead.subscribe();
        let why = dead.wait_for(Option::is_some).await;
        why.ok().and_then(|why| why.clone()).unwrap_or_default()
    }
}
