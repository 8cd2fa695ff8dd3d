//! The thread that reads what is for one service, for as long as its connection lasts.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
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

use super::{LOOK, Parcel, Router, open, spawn, up_topic};
use crate::shared::Shared;

/// How long the router may take to subscribe a link.
const SUBSCRIBE: Duration = Duration::from_secs(5);

/// A service's link; dropped with its connection.
pub(crate) struct ServiceRouterLink {
    stop: Arc<AtomicBool>,
}

impl Drop for ServiceRouterLink {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

pub(super) fn start(
    service: ServiceName,
    (mut tx, mut rx): (LinkTx, LinkRx),
    deliver: mpsc::UnboundedSender<Parcel>,
    router: Arc<Router>,
    shared: &Arc<Shared>,
) -> Result<ServiceRouterLink, String> {
    tx.subscribe(up_topic(service)).map_err(|e| e.to_string())?;
    await_subscribed(&mut rx)?;
    let stop = Arc::new(AtomicBool::new(false));
    let link = ServiceRouterLink { stop: stop.clone() };
    let shared = Arc::downgrade(shared);
    let runtime = tokio::runtime::Handle::current();
    spawn(&format!("muster-up-{service}"), move || {
        let reader = Reader {
            service,
            router,
            deliver,
            stop,
        };
        match reader.read(&mut rx) {
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
    Ok(link)
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
    service: ServiceName,
    router: Arc<Router>,
    deliver: mpsc::UnboundedSender<Parcel>,
    stop: Arc<AtomicBool>,
}

impl Reader {
    fn read(&self, rx: &mut LinkRx) -> Result<(), String> {
        let mut last = 0;
        let stopped = || self.stop.load(Ordering::Acquire);
        loop {
            match rx.recv_deadline(Instant::now() + LOOK) {
                Ok(Some(Notification::Forward(forward))) => {
                    let (_, envelope) = open(&forward.publish.payload, &mut last)?;
                    let parcel = Parcel {
                        envelope,
                        service: self.service,
                        router: self.router.clone(),
                    };
                    // A connection that is gone takes no more; the window sends it again to the next.
                    let _ = self.deliver.send(parcel);
                }
                Ok(Some(Notification::Unschedule)) if !stopped() => rx.ready().map_err(|e| e.to_string())?,
                Ok(_) => {}
                // Nothing is left to read: it may go.
                Err(LinkError::RecvTimeout(flume::RecvTimeoutError::Timeout)) if stopped() => return Ok(()),
                Err(LinkError::RecvTimeout(flume::RecvTimeoutError::Timeout)) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

fn die(shared: &Weak<Shared>, why: String) {
    if let Some(shared) = shared.upgrade() {
        shared.die(why);
    }
}
