//! A client's socket: bytes under way in both directions, which can be cut anywhere.

use std::collections::VecDeque;

use crate::clients::Mqtt;

/// The socket between a client and the front door.
pub(crate) struct Socket {
    /// The front door's number of the connection.
    pub(crate) id: u64,
    pub(crate) mqtt: Mqtt,
    pub(crate) to_server: VecDeque<u8>,
    pub(crate) to_client: VecDeque<u8>,
    /// Until then nothing arrives, and nobody is told.
    pub(crate) silent_until_ms: u64,
    /// The server has closed it; what is under way to the client still arrives.
    pub(crate) closed_by_server: bool,
    /// The server has never heard of it, or not any more.
    pub(crate) server_gone: bool,
}

impl Socket {
    pub(crate) fn new(id: u64, mqtt: Mqtt) -> Socket {
        Socket {
            id,
            mqtt,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            silent_until_ms: 0,
            closed_by_server: false,
            server_gone: false,
        }
    }

    /// What the client wants to say is under way.
    pub(crate) fn send(&mut self) {
        self.to_server.extend(self.mqtt.out.drain(..));
    }
}

/// Takes up to `most` bytes.
pub(crate) fn take(queue: &mut VecDeque<u8>, most: usize) -> Vec<u8> {
    let most = most.min(queue.len());
    queue.drain(..most).collect()
}
