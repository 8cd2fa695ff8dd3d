//! What a client keeps of its session from one connection to the next (MQTT 5, section 4.1).

use std::collections::{BTreeMap, BTreeSet};

/// A client's half of its session.
pub(crate) struct Memory {
    next_id: u16,
    /// Publishes without an acknowledgement, in their order: topic and payload.
    pub(super) open: BTreeMap<u16, (String, Vec<u8>)>,
    /// QoS 2, its own publishes: the PUBREC has come, the PUBCOMP has not.
    pub(super) received: BTreeSet<u16>,
    /// QoS 2, the server's: its PUBREC was sent, the PUBREL has not come.
    pub(super) unreleased: BTreeSet<u16>,
    /// QoS 2, the server's: the PUBCOMP was sent, and perhaps lost.
    pub(super) completed: BTreeSet<u16>,
    /// What it subscribes to has been granted.
    pub(super) subscribed: bool,
}

impl Default for Memory {
    fn default() -> Memory {
        Memory {
            next_id: 1,
            open: BTreeMap::new(),
            received: BTreeSet::new(),
            unreleased: BTreeSet::new(),
            completed: BTreeSet::new(),
            subscribed: false,
        }
    }
}

impl Memory {
    /// The next packet id.
    pub(super) fn take_id(&mut self) -> u16 {
        let id = self.next_id;
        self.next_id = if id == u16::MAX { 1 } else { id + 1 };
        id
    }
}
