//! Steps of the clients and their sockets.

use super::{Seat, World};
use contract::v1::Restriction;
use session::Known;

use crate::{
    front::Front,
    invariant::{Invariant, Violation},
    network::{Socket, take},
};

impl World<'_> {
    fn network_luck(&mut self) -> bool {
        let percent = if self.scene.now_ms < self.slow_until_ms {
            6
        } else {
            75
        };
        self.scene.dice.percent(percent)
    }

    /// Some bytes arrive at the front door.
    pub(super) fn bytes_to_server(&mut self, n: usize) -> bool {
        let luck = self.network_luck();
        let now = self.now();
        let Some(socket) = self.seats.get_mut(n).and_then(|seat| seat.socket.as_mut()) else {
            return false;
        };
        socket.send();
        if socket.to_server.is_empty() {
            return false;
        }
        if !luck || socket.silent_until_ms > self.scene.now_ms {
            return true;
        }
        let Some(front) = self.front.as_mut().filter(|front| front.has(socket.id)) else {
            socket.to_server.clear();
            socket.server_gone = true;
            return true;
        };
        if !front.wants(socket.id) {
            return false;
        }
        let whole = self.scene.dice.percent(70);
        let length = socket.to_server.len();
        let most = if whole {
            length
        } else {
            self.scene.dice.between(1, length as u64) as usize
        };
        let bytes = take(&mut socket.to_server, most);
        self.scene.story.mark(bytes.len() as u64);
        front.receive(socket.id, &bytes, now);
        true
    }

    /// Some bytes arrive at the client, which acts on them.
    pub(super) fn bytes_to_client(&mut self, n: usize) -> Result<bool, Violation> {
        let luck = self.network_luck();
        let World {
            seats, front, scene, ..
        } = self;
        let Some(seat) = seats.get_mut(n) else {
            return Ok(false);
        };
        let Seat {
            client,
            socket: slot,
            breaks,
        } = seat;
        let Some(socket) = slot else { return Ok(false) };
        if let Some(front) = front {
            socket.to_client.extend(front.output(socket.id));
        }
        let ended = socket.closed_by_server || socket.server_gone;
        if socket.silent_until_ms > scene.now_ms || (socket.to_client.is_empty() && !ended) {
            return Ok(false);
        }
        if !luck {
            return Ok(true);
        }
        if socket.to_client.is_empty() {
            if let Some(socket) = slot.take() {
                client.on_lost(socket.mqtt, scene);
            }
            return Ok(true);
        }
        let length = socket.to_client.len();
        let breaks = std::mem::take(breaks);
        let most = if breaks {
            scene.dice.below(length as u64) as usize
        } else if scene.dice.percent(70) {
            length
        } else {
            scene.dice.between(1, length as u64) as usize
        };
        let bytes = take(&mut socket.to_client, most);
        for got in socket.mqtt.receive(&bytes, scene.now_ms) {
            let stays = client.on_got(got, &mut socket.mqtt, scene)?;
            if let Some(device) = scene.witness.take_told_restricted() {
                demand_known(front.as_ref(), &device, scene.now_ms)?;
            }
            if !stays {
                socket.mqtt.goodbye();
                socket.send();
                self.hang_up(n, true);
                return Ok(true);
            }
        }
        if breaks {
            self.hang_up(n, false);
        }
        Ok(true)
    }

    /// The client ends its connection. What it said last may still arrive; through a network that is silent nothing
    /// does, and the front door does not know that it has gone.
    pub(super) fn hang_up(&mut self, n: usize, politely: bool) {
        let now = self.now();
        let heard = politely && self.scene.dice.percent(70);
        let World {
            seats, front, scene, ..
        } = self;
        let Some(seat) = seats.get_mut(n) else { return };
        let Some(mut socket) = seat.socket.take() else {
            return;
        };
        let silent = socket.silent_until_ms > scene.now_ms;
        if let Some(front) = front.as_mut().filter(|_| !silent) {
            if heard && front.wants(socket.id) {
                let last = take(&mut socket.to_server, usize::MAX);
                front.receive(socket.id, &last, now);
            }
            front.close(socket.id, now);
        }
        seat.client.on_lost(socket.mqtt, scene);
    }

    pub(super) fn client_acts(&mut self, n: usize) -> Result<bool, Violation> {
        let luck = self.scene.dice.percent(30);
        let now = self.now();
        let World {
            seats,
            front,
            scene,
            next_connection,
            figures,
            ..
        } = self;
        let Some(seat) = seats.get_mut(n).filter(|_| luck) else {
            return Ok(false);
        };
        let Some(socket) = &mut seat.socket else {
            let Some(dial) = seat.client.dial(scene) else {
                return Ok(false);
            };
            let id = *next_connection;
            *next_connection += 1;
            let taken = front
                .as_mut()
                .is_some_and(|front| front.accept(id, dial.peer, now));
            if taken {
                figures.connections += 1;
                seat.socket = Some(Socket::new(id, dial.mqtt));
            } else {
                seat.client.on_lost(dial.mqtt, scene);
            }
            return Ok(taken);
        };
        if socket.mqtt.is_dead(scene.now_ms) {
            self.hang_up(n, false);
            return Ok(true);
        }
        let stays = seat.client.act(&mut socket.mqtt, scene)?;
        let spoke = !socket.mqtt.out.is_empty();
        if !stays {
            self.hang_up(n, true);
        }
        Ok(spoke)
    }

    /// Connections that the server has ended are closed; what it said last is under way.
    pub(super) fn bury(&mut self) {
        let now = self.now();
        let Some(front) = &mut self.front else { return };
        for id in front.over() {
            let last = front.output(id);
            front.close(id, now);
            let ended = self.seats.iter_mut().filter_map(|seat| seat.socket.as_mut());
            if let Some(socket) = ended.into_iter().find(|socket| socket.id == id) {
                socket.to_client.extend(last);
                socket.closed_by_server = true;
            }
        }
    }
}

/// Whoever hears that a device is restricted must not see the front door let it act (I5).
fn demand_known(front: Option<&Front>, device: &str, at_ms: u64) -> Result<(), Violation> {
    let known = front.and_then(|front| front.door.copies().device(device));
    if known.is_none_or(|known| known.restriction != Restriction::None) {
        return Ok(());
    }
    Err(Violation {
        invariant: Invariant::ShutOut,
        seen: format!("the operator heard that {device} is restricted, and the front door does not know it"),
        at_ms,
    })
}
