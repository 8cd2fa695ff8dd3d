//! The one who hears it all on Mosquitto, as the registry does on Muster.

use std::{cell::Cell, rc::Rc};

use anyhow::Result;
use tokio::task::{AbortHandle, spawn_local};

use crate::wire::{Connection, Login, mqtt};

const BUFFER_BYTES: usize = 256 * 1024;

/// A QoS 0 subscriber that counts.
pub(crate) struct Subscriber {
    heard: Rc<Cell<u64>>,
    task: AbortHandle,
}

impl Subscriber {
    pub(crate) async fn start(login: &Login, filter: &str) -> Result<Subscriber> {
        let mut connection = Connection::open(login).await?.with_buffer(BUFFER_BYTES);
        connection.subscribe(filter, 0).await?;
        let heard = Rc::new(Cell::new(0));
        let task = spawn_local(listen(connection, heard.clone()));
        Ok(Subscriber {
            heard,
            task: task.abort_handle(),
        })
    }

    /// How many publishes came through.
    pub(crate) fn heard(&self) -> u64 {
        self.heard.get()
    }
}

async fn listen(mut connection: Connection, heard: Rc<Cell<u64>>) -> Result<()> {
    loop {
        connection.fill().await?;
        connection.take(|packet| heard.set(heard.get() + u64::from(packet.kind() == mqtt::PUBLISH)))?;
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.task.abort();
    }
}
