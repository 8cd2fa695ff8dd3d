//! The thread that reads `out` and puts it before the door.

use std::{
    sync::{Arc, Weak},
    time::Instant,
};

use contract::v1::Envelope;
use prost::Message;
use rumqttd::{
    Notification,
    local::{LinkError, LinkRx, LinkTx},
};

use super::{HEADER, LOOK, Opened, Router, open, spawn};
use crate::shared::Shared;

pub(super) fn start(
    mut tx: LinkTx,
    rx: LinkRx,
    shared: &Arc<Shared>,
    router: &Arc<Router>,
) -> Result<(), String> {
    tx.subscribe("out").map_err(|e| e.to_string())?;
    let (shared, router) = (Arc::downgrade(shared), Arc::downgrade(router));
    let watched = shared.clone();
    spawn("muster-router-out", &watched, move || {
        // The sending half is kept: the link lives as long as both.
        let _tx = tx;
        if let Err(why) = read(rx, &shared, &router)
            && let Some(shared) = shared.upgrade()
        {
            shared.die(why);
        }
    })
}

fn read(mut rx: LinkRx, shared: &Weak<Shared>, router: &Weak<Router>) -> Result<(), String> {
    let mut last = 0;
    loop {
        let notification = match rx.recv_deadline(Instant::now() + LOOK) {
            Ok(notification) => notification,
            Err(LinkError::RecvTimeout(flume::RecvTimeoutError::Timeout)) => None,
            Err(error) => return Err(error.to_string()),
        };
        let (Some(shared), Some(router)) = (shared.upgrade(), router.upgrade()) else {
            return Ok(());
        };
        match notification {
            Some(Notification::Forward(forward)) => {
                let message = forward.publish.payload;
                let Opened {
                    service: from,
                    envelope,
                    ..
                } = open(&message, &mut last)?;
                router.out.free(envelope.len() + HEADER);
                match Envelope::decode(envelope) {
                    Ok(envelope) => shared.with_door(|door, now| {
                        for frame in envelope.frames {
                            door.on_frame(from, frame, now);
                        }
                    }),
                    Err(error) => tracing::error!(service = %from, %error, "what is no envelope was dropped"),
                }
            }
            Some(Notification::Unschedule) => rx.ready().map_err(|e| e.to_string())?,
            _ => {}
        }
    }
}
