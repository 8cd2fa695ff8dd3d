//! What goes wrong, as the plan says, and how it is put right again.

use contract::ServiceName;
use session::Leaving;

use super::World;
use crate::{
    disk::Fate,
    keeper::Ending,
    plan::Fault,
    planted::{self, Mistake},
};

impl World<'_> {
    pub(super) fn do_faults(&mut self) {
        while let Some((at, fault)) = self.plan.faults.get(self.next_fault).copied() {
            if at > self.scene.now_ms {
                return;
            }
            self.next_fault += 1;
            self.figures.faults += 1;
            self.scene
                .story
                .tell(self.scene.now_ms, || format!("fault: {fault:?}"));
            self.do_fault(fault);
        }
    }

    fn do_fault(&mut self, fault: Fault) {
        match fault {
            Fault::KillService(service) => self.end_next_round(service),
            Fault::DiskFails(service) => {
                let fate = self.fate();
                self.set_ending(service, Ending::DiskFails(fate));
            }
            Fault::DiskFull(service, ms) => {
                if let Some(place) = self.places.get_mut(&service) {
                    place.keeper.disk().run_out();
                    place.full_until_ms = self.scene.now_ms + ms;
                }
            }
            Fault::DiskSlow(service, ms) => {
                if let Some(place) = self.places.get_mut(&service) {
                    place.slow_until_ms = self.scene.now_ms + ms;
                }
            }
            Fault::Pause(service, ms) => {
                if let Some(place) = self.places.get_mut(&service) {
                    place.paused_ms = self.scene.now_ms + ms;
                }
            }
            Fault::PowerCut(service) => {
                if let Some(place) = self.places.get_mut(&service) {
                    place.power_cut = true;
                }
                self.end_next_round(service);
            }
            Fault::FlipLog(service) => self.flip_log(service),
            Fault::CutService(service) => self.cut_link(service, Leaving::Lost),
            Fault::EndTurn { service, steps, how } => {
                if let Some(place) = self.places.get(&service) {
                    place.keeper.disk().end_turn(steps, how);
                }
            }
            Fault::Stop(service, power) => {
                if let Some(place) = self
                    .places
                    .get_mut(&service)
                    .filter(|place| place.keeper.is_running())
                {
                    place.keeper.disk().stop();
                    place.power_cut |= power;
                    self.kill_service(service);
                }
            }
            Fault::BackUp(service) => {
                if let Some(place) = self.places.get_mut(&service) {
                    place.backup = Some(place.keeper.disk().backup());
                }
            }
            Fault::Restore(service) => self.restore(service),
            Fault::KillFrontDoor => self.kill_front_door(),
            Fault::KillAll => {
                self.kill_front_door();
                for service in ServiceName::KEEPERS {
                    self.kill_service(service);
                }
            }
            Fault::CutClient(n) => self.hang_up(n, false),
            Fault::CutAmid(n) => {
                if let Some(seat) = self.seats.get_mut(n) {
                    seat.breaks = true;
                }
            }
            Fault::Silence(n, ms) => {
                let until = self.scene.now_ms + ms;
                if let Some(socket) = self.seats.get_mut(n).and_then(|seat| seat.socket.as_mut()) {
                    socket.silent_until_ms = until;
                }
            }
            Fault::Unplug(n) => {
                self.hang_up(n, false);
                if let Some(seat) = self.seats.get_mut(n) {
                    seat.client.lose_power();
                }
            }
            Fault::EndDevice { device, steps, power } => {
                if let Some((device, _)) = self.sdks.get(device) {
                    device.borrow_mut().end_after(steps, power);
                }
            }
            Fault::DeviceFull(device, ms) => {
                let until = self.scene.now_ms + ms;
                if let Some((device, full_until_ms)) = self.sdks.get_mut(device) {
                    device.borrow().land().files.set_full(true);
                    *full_until_ms = until;
                }
            }
            Fault::DeviceFlip(device) => {
                if let Some((device, _)) = self.sdks.get(device) {
                    device.borrow().land().files.flip_next();
                }
            }
            Fault::SlowNetwork(ms) => self.slow_until_ms = self.scene.now_ms + ms,
            Fault::Clock(ms) => {
                self.wall_offset_ms += ms;
                self.scene.witness.clock_jumped(self.wall_offset_ms);
            }
        }
    }

    fn fate(&mut self) -> Fate {
        match self.scene.dice.below(10) {
            0..4 => Fate::Lost,
            4..8 => Fate::Kept,
            _ => Fate::After(self.scene.dice.below(6)),
        }
    }

    fn flip_log(&mut self, service: ServiceName) {
        self.kill_service(service);
        let power = self.scene.dice.percent(50);
        let Some(place) = self.places.get(&service) else {
            return;
        };
        let disk = place.keeper.disk();
        if power {
            disk.cut_power();
        }
        let (file, at) = disk.flip();
        self.scene.story.tell(self.scene.now_ms, || {
            format!("a bit flips at {at} of {service}'s {file} (power cut: {power})")
        });
    }

    fn end_next_round(&mut self, service: ServiceName) {
        let fate = self.fate();
        let ending = match self.scene.dice.below(3) {
            0 => Ending::KilledUndecided,
            1 => Ending::KilledCommitting(fate),
            _ => Ending::KilledPublishing {
                frames: self.scene.dice.below(10).saturating_sub(4) as usize,
                picky: self.scene.dice.percent(60),
            },
        };
        self.set_ending(service, ending);
    }

    fn set_ending(&mut self, service: ServiceName, ending: Ending) {
        if let Some(place) = self.places.get_mut(&service) {
            place.ending = Some(ending);
        }
    }

    fn kill_front_door(&mut self) {
        if self.front.take().is_none() {
            return;
        }
        self.front_restart_ms = self.scene.now_ms + self.scene.dice.between(20, 4_000);
        for seat in &mut self.seats {
            if let Some(socket) = &mut seat.socket {
                socket.server_gone = true;
                socket.closed_by_server = true;
            }
        }
        for service in ServiceName::KEEPERS {
            self.cut_link(service, Leaving::Lost);
        }
    }

    /// The newest backup takes the place of the state: another history.
    fn restore(&mut self, service: ServiceName) {
        self.kill_service(service);
        let Some(place) = self.places.get_mut(&service) else {
            return;
        };
        let Some(backup) = place.backup.clone() else {
            return;
        };
        let disk = place.keeper.disk();
        let reused = planted::is(Mistake::SequenceReused);
        disk.restore(backup, disk.epoch() + u64::from(!reused) * 0x1_0000);
        self.scene.witness.restored(service);
    }

    /// Disks that are full no longer.
    pub(super) fn free_disks(&mut self) {
        self.free_devices(false);
        for place in self.places.values_mut() {
            if place.full_until_ms > 0 && place.full_until_ms <= self.scene.now_ms {
                place.full_until_ms = 0;
                place.keeper.disk().set_full(false);
            }
        }
    }

    /// Devices' disks that are full no longer.
    pub(super) fn free_devices(&mut self, all: bool) {
        for (device, full_until_ms) in &mut self.sdks {
            if *full_until_ms > 0 && (all || *full_until_ms <= self.scene.now_ms) {
                *full_until_ms = 0;
                device.borrow().land().files.set_full(false);
            }
        }
    }

    /// Faults cease. What is broken may stay broken until its part notices, and a death that waits for its
    /// moment may still come.
    pub(super) fn heal(&mut self) {
        self.scene.story.tell(self.scene.now_ms, || "faults cease".into());
        self.slow_until_ms = 0;
        self.wall_offset_ms = 0;
        self.free_devices(true);
        for place in self.places.values_mut() {
            place.keeper.disk().set_full(false);
            place.paused_ms = 0;
            place.slow_until_ms = 0;
        }
    }
}
