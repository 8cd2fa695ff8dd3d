//! The world's clients: devices, an operator and an integrator, each a program with a memory of what it was
//! promised.

mod codec;
pub(crate) mod device;
pub(crate) mod integrator;
mod memory;
mod mqtt;
pub(crate) mod operator;
pub(crate) mod sdk;

use contract::Principal;
use session::Peer;

pub(crate) use self::{
    memory::Memory,
    mqtt::{Got, Manner, Mqtt},
};
use crate::{invariant::Violation, witness::Witness};

/// What a client knows of the world while it acts.
pub(crate) struct Scene {
    /// Simulated time, milliseconds.
    pub(crate) now_ms: u64,
    pub(crate) witness: Witness,
    pub(crate) dice: crate::dice::Dice,
    pub(crate) story: crate::story::Story,
}

/// How a client wants to connect.
pub(crate) struct Dial {
    pub(crate) peer: Peer,
    pub(crate) mqtt: Mqtt,
}

/// A program on the far side of the network.
pub(crate) trait Client {
    /// How it connects, if it wants to.
    fn dial(&mut self, scene: &mut Scene) -> Option<Dial>;

    /// Something has come over its connection. False: it hangs up.
    fn on_got(&mut self, got: Got, mqtt: &mut Mqtt, scene: &mut Scene) -> Result<bool, Violation>;

    /// Time to act. False: it hangs up.
    fn act(&mut self, mqtt: &mut Mqtt, scene: &mut Scene) -> Result<bool, Violation>;

    /// Its connection is gone; what its library had of it.
    fn on_lost(&mut self, last: Mqtt, scene: &mut Scene);

    /// It loses power: only what it keeps on its disk stays.
    fn lose_power(&mut self) {}

    /// What it still waits for, when everything should have come.
    fn waits_for(&self, witness: &Witness) -> Option<String>;

    /// What its session has owed it for longer than anything takes once faults have ceased.
    fn is_owed(&self, _now_ms: u64) -> Option<String> {
        None
    }
}

/// The filter of everything that is for a principal.
pub(crate) fn down_filter(who: &Principal) -> String {
    crate::world::root().down_filter(who)
}
