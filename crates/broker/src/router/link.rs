//! The thread that reads what is for one service, for as long as its connection lasts.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use contract::id::ServiceName;
use rumqttd::{
    Notification,
    local::{LinkError, LinkRx, LinkTx},
    protocol::{Disconnect, DisconnectReasonCode, Packet},
};
use tokio::sync::mpsc;

use super::{LOOK, Opened, Parcel, Router, open, spawn, up_topic};
use crate::shared::Shared;

/// How long the router may take to subscribe a link.
const SUBSCRIBE: Duration = Duration::from_secs(5);

/// Where a link leads.
pub(super) struct Place {
    pub(super) service: ServiceName,
    pub(super) generation: u64,
    pub(super) deliver: mpsc::UnboundedSender<Parcel>,
    pub(super) router: Arc<Router>,
}

/// A service's link; dropped with its connection.
pub(crate) struct ServiceRouterLink {
    stop: Arc<AtomicBool>,
    link: Arc<AtomicU64>,
}

impl ServiceRouterLink {
    /// What the door sends over this link of the service passes from now on; whatever was taken for an older
    /// one does not. To be called while the door is held.
    pub(crate) fn begin(&self, link: u64) {
        self.link.store(link, Ordering::Release);
    }
}

impl Drop for ServiceRouterLink {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

pub(super) fn start(
    place: Place,
    mut tx: LinkTx,
    mut rx: LinkRx,
    shared: &Arc<Shared>,
) -> Result<ServiceRouterLink, String> {
    let service = place.service;
    tx.subscribe(up_topic(service)).map_err(|e| e.to_string())?;
    await_subscribed(&mut rx)?;
    let (stop, link) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let handle = ServiceRouterLink {
        stop: stop.clone(),
        link: link.clone(),
    };
    let shared = Arc::downgrade(shared);
    let watched = shared.clone();
    let runtime = tokio::runtime::Handle::current();
    spawn(&format!("muster-up-{service}"), &watched, move || {
        let reader = Reader { place, stop, link };
        match reader.read(&mut tx, &mut rx) {
            Ok(()) => {
                // A link that is not asked for more is let go; it must not say `ready` after that.
                let goodbye = Disconnect {
                    reason_code: DisconnectReasonCode::NormalDisconnection,
                };
                let _ = runtime.block_on(tx.send(Packet::Disconnect(goodbye, None)));
            }
            Err(why) => die(&shared, why),
        }
    })?;
    Ok(handle)
}

fn await_subscribed(rx: &mut LinkRx) -> Result<(), String> {
    let until = Instant::now() + SUBSCRIBE;
    loop {
        let notification = rx.recv_deadline(until).map_err(|e| e.to_string())?;
        let Some(notification) = notification else {
            continue;
        };
        if matches!(notification, Notification::Unschedule) {
            rx.ready().map_err(|e| e.to_string())?;
            continue;
        }
        if matches!(Option::<Packet>::from(notification), Some(Packet::SubAck(..))) {
            return Ok(());
        }
    }
}

/// The thread.
struct Reader {
    place: Place,
    stop: Arc<AtomicBool>,
    link: Arc<AtomicU64>,
}

impl Reader {
    fn read(&self, tx: &mut LinkTx, rx: &mut LinkRx) -> Result<(), String> {
        let mut last = 0;
        let mut leaving = false;
        loop {
            if !leaving && self.stop.load(Ordering::Acquire) {
                // Nothing more comes; what is left is read to its end.
                leaving = true;
                tx.unsubscribe(up_topic(self.place.service))
                    .map_err(|e| e.to_string())?;
            }
            match rx.recv_deadline(Instant::now() + LOOK) {
                Ok(Some(Notification::Forward(forward))) => {
                    self.deliver(open(&forward.publish.payload, &mut last)?)
                }
                Ok(Some(Notification::Unschedule)) => rx.ready().map_err(|e| e.to_string())?,
                Ok(_) => {}
                Err(LinkError::RecvTimeout(flume::RecvTimeoutError::Timeout)) if leaving => return Ok(()),
                Err(LinkError::RecvTimeout(flume::RecvTimeoutError::Timeout)) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn deliver(&self, opened: Opened) {
        let Place {
            service,
            generation,
            deliver,
            router,
        } = &self.place;
        let parcel = Parcel {
            envelope: opened.envelope,
            service: *service,
            generation: *generation,
            router: router.clone(),
        };
        // What was taken for an older link is sent again over this one, in its order.
        if opened.link == self.link.load(Ordering::Acquire) && !self.stop.load(Ordering::Acquire) {
            let _ = deliver.send(parcel);
        }
    }
}

fn die(shared: &Weak<Shared>, why: String) {
    if let Some(shared) = shared.upgrade() {
        shared.die(why);
    }
}
