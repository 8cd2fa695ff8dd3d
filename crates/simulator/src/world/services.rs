//! Steps of the services and of what lies between them and the front door.

use contract::ServiceName;
use service::{Effect, Input, store::StoreError};
use session::{Leaving, Limits};

use super::{Place, World};
use crate::{
    disk::Turned,
    front::Front,
    invariant::{Invariant, Violation},
    keeper::{Circumstances, Ending},
    link::ToService,
};

/// A service's loop runs at least so often, milliseconds.
const TICK_MS: u64 = 250;
/// Refusals of a damaged store, one after the other, until an operator brings back what there was.
const REFUSALS: u32 = 3;
/// Envelopes on their way to a service; the router's budget.
const ON_THE_WAY: usize = 4;
/// How long an effect takes at most, milliseconds.
const EFFECT_MS: u64 = 120;

impl World<'_> {
    fn place(&mut self, service: ServiceName) -> Option<&mut Place> {
        let now_ms = self.scene.now_ms;
        self.places
            .get_mut(&service)
            .filter(|place| place.paused_ms <= now_ms)
    }

    /// What is down and due comes up.
    pub(super) fn start_what_is_down(&mut self) -> Result<(), Violation> {
        if self.front.is_none() && self.scene.now_ms >= self.front_restart_ms {
            self.boots += 1;
            self.front = Some(Front::new(self.boots, Limits::default()));
            let boots = self.boots;
            self.scene.story.tell(self.scene.now_ms, || {
                format!("the front door starts, boot {boots}")
            });
        }
        let now_ms = self.scene.now_ms;
        for (service, place) in &mut self.places {
            if place.keeper.is_running() || now_ms < place.restart_ms || place.paused_ms > now_ms {
                continue;
            }
            let started = place.keeper.start();
            if let Some(seen) = place.keeper.disk().take_found() {
                return Err(Violation {
                    invariant: Invariant::Stores,
                    seen: format!("{service}: {seen}"),
                    at_ms: now_ms,
                });
            }
            match started {
                Ok(effects) => {
                    place.refusals = 0;
                    self.scene.story.tell(now_ms, || {
                        format!("{service} starts; effects to run again: {}", effects.len())
                    });
                    place.effects = effects.into_iter().map(|effect| (now_ms + 5, effect)).collect();
                    place.connect_ms = now_ms;
                }
                Err(error) => {
                    self.scene
                        .story
                        .tell(now_ms, || format!("{service} does not start: {error}"));
                    place.restart_ms = now_ms + 500;
                    if matches!(error, StoreError::Damaged { .. }) {
                        place.refusals += 1;
                    }
                    if place.refusals >= REFUSALS {
                        self.scene
                            .story
                            .tell(now_ms, || format!("{service}'s store is brought back as it was"));
                        place.keeper.disk().mend();
                    }
                }
            }
        }
        Ok(())
    }

    /// Full logs on their way into the database get their chance, beside what the services do.
    pub(super) fn turn_logs(&mut self) {
        for service in ServiceName::KEEPERS {
            let now_ms = self.scene.now_ms;
            let place = self
                .places
                .get_mut(&service)
                .filter(|place| place.paused_ms <= now_ms);
            let Some(place) = place.filter(|place| place.keeper.is_running()) else {
                continue;
            };
            let story = &mut self.scene.story;
            match place.keeper.disk().turn_on() {
                Turned::Idle | Turned::Moved(Some(_)) => {}
                Turned::Moved(None) => {
                    story.tell(now_ms, || format!("{service}'s full log is in its database"));
                }
                // It is noticed by whoever needs the store next.
                Turned::Failed(error) => {
                    story.tell(now_ms, || {
                        format!("{service}'s disk fails beside its work: {error}")
                    });
                }
                Turned::Ends { power } => {
                    story.tell(now_ms, || {
                        format!("{service} ends amid a turn (power cut: {power})")
                    });
                    place.power_cut |= power;
                    self.kill_service(service);
                }
            }
        }
    }

    pub(super) fn front_tick(&mut self) -> bool {
        let now = self.now();
        if self.scene.now_ms < self.front_tick_ms {
            return false;
        }
        self.front_tick_ms = self.scene.now_ms + 200;
        if let Some(front) = &mut self.front {
            front.tick(now);
        }
        false
    }

    pub(super) fn take_mail(&mut self) -> bool {
        let now = self.now();
        let Some(front) = &mut self.front else {
            return false;
        };
        let mut moved = false;
        for id in front.with_mail() {
            if self.scene.dice.percent(60) {
                front.take_mail(id, self.scene.dice.between(1, 8) as usize, now);
                moved = true;
            }
        }
        moved
    }

    pub(super) fn deliver_out(&mut self) -> bool {
        let now = self.now();
        let Some(front) = self.front.as_mut().filter(|front| front.has_out()) else {
            return false;
        };
        if self.scene.dice.percent(70) {
            front.deliver_out(now);
        }
        true
    }

    /// What the door has for a service gets on its way.
    pub(super) fn pump_up(&mut self, service: ServiceName) -> bool {
        let Some(front) = &mut self.front else {
            return false;
        };
        let Some(place) = self.places.get_mut(&service) else {
            return false;
        };
        let link = &mut place.link;
        if !link.up || link.to_service.len() >= ON_THE_WAY || !front.door.has_frames(service) {
            return false;
        }
        if self.scene.dice.percent(70)
            && let Some((over, frames)) = front.envelope_for(service)
            && over == link.door_link
        {
            link.to_service.push_back(ToService::Frames(frames));
        }
        true
    }

    pub(super) fn message_to_service(&mut self, service: ServiceName) -> bool {
        let luck = self.scene.dice.percent(70);
        let Some(place) = self.place(service) else {
            return false;
        };
        if place.link.to_service.is_empty() {
            return false;
        }
        if luck && let Some(message) = place.link.to_service.pop_front() {
            match message {
                ToService::Connected => {
                    let generation = place.link.generation;
                    place.keeper.connected(generation);
                    place.keeper.arrive(Input::Connected);
                }
                ToService::Frames(frames) => {
                    for frame in frames {
                        place.keeper.arrive(Input::Frame(frame));
                    }
                }
                ToService::Taken(event) => place.keeper.arrive(Input::Taken { event }),
            }
        }
        true
    }

    pub(super) fn envelope_to_front(&mut self, service: ServiceName) -> bool {
        let luck = self.scene.dice.percent(70);
        let Some(front) = &mut self.front else {
            return false;
        };
        let Some(place) = self.places.get_mut(&service) else {
            return false;
        };
        if place.link.to_front.is_empty() {
            return false;
        }
        if luck && let Some((frames, head)) = place.link.to_front.pop_front() {
            front.publish_out(service, frames);
            if head > 0 {
                place.link.to_service.push_back(ToService::Taken(head));
            }
        }
        true
    }

    pub(super) fn round(&mut self, service: ServiceName) -> Result<bool, Violation> {
        let now = self.now();
        let luck = self.scene.dice.percent(60);
        let now_ms = self.scene.now_ms;
        let Some(place) = self.place(service).filter(|place| place.keeper.is_running()) else {
            return Ok(false);
        };
        let woken = place.keeper.next_wake().is_some_and(|at| at <= now.wall_ms);
        let due = place.keeper.has_arrivals() || woken || now_ms >= place.round_ms;
        if !due || !luck {
            return Ok(due);
        }
        place.round_ms = now_ms + TICK_MS;
        let ending = place.ending.take().unwrap_or(Ending::Whole);
        let Some(place) = self.places.get_mut(&service) else {
            return Ok(false);
        };
        let cx = Circumstances {
            now,
            entropy: &mut self.entropy,
        };
        // The connection that a dying process had is the one it published over.
        let before = place.keeper.connection();
        match place.keeper.round(ending, cx) {
            Ok(round) => {
                let connection = place.keeper.connection().or(before);
                self.figures.decided += round.decided as u64;
                self.figures.commits += u64::from(round.committed);
                if round.committed && place.slow_until_ms > now_ms {
                    // What follows on a commit that takes long begins late.
                    place.paused_ms = place.paused_ms.max(now_ms + self.scene.dice.between(30, 500));
                }
                let alive = place.keeper.is_running();
                if round.unused {
                    place.ending = Some(ending);
                }
                if connection == Some(place.link.generation) && place.link.up {
                    place.link.publish(round.frames, round.head, &mut self.scene.dice);
                }
                for effect in round.effects {
                    let done_ms = now_ms + self.scene.dice.between(1, EFFECT_MS);
                    place.effects.push((done_ms, effect));
                }
                if !alive {
                    self.scene
                        .story
                        .tell(now_ms, || format!("{service} is killed: {ending:?}"));
                    self.flush_to_front(service);
                    self.kill_service(service);
                }
            }
            Err(error) => {
                self.scene
                    .story
                    .tell(now_ms, || format!("{service}'s disk fails: {error}"));
                self.lose_store(service);
            }
        }
        self.scene.witness.look(service, self.scene.now_ms)?;
        Ok(true)
    }

    /// What a dying process has written to its socket still arrives.
    fn flush_to_front(&mut self, service: ServiceName) {
        let (Some(front), Some(place)) = (&mut self.front, self.places.get_mut(&service)) else {
            return;
        };
        while let Some((frames, _)) = place.link.to_front.pop_front() {
            front.publish_out(service, frames);
        }
    }

    /// The process is killed.
    pub(super) fn kill_service(&mut self, service: ServiceName) {
        let restart_ms = self.scene.now_ms + self.scene.dice.between(20, 4_000);
        if let Some(place) = self.places.get_mut(&service) {
            place.keeper.kill();
            if std::mem::take(&mut place.power_cut) {
                place.keeper.disk().cut_power();
            }
            place.effects.clear();
            place.restart_ms = restart_ms;
        }
        self.cut_link(service, Leaving::Lost);
    }

    /// The disk has failed: the service says goodbye and opens its store anew.
    fn lose_store(&mut self, service: ServiceName) {
        if let Some(place) = self.places.get_mut(&service) {
            place.keeper.kill();
            place.effects.clear();
            place.restart_ms = self.scene.now_ms + 500;
        }
        self.cut_link(service, Leaving::Goodbye);
    }

    /// The connection is gone; both sides notice.
    pub(super) fn cut_link(&mut self, service: ServiceName, leaving: Leaving) {
        let connect_ms = self.scene.now_ms + self.scene.dice.between(10, 1_500);
        let Some(place) = self.places.get_mut(&service) else {
            return;
        };
        place.connect_ms = connect_ms;
        if !place.link.cut() {
            return;
        }
        place.keeper.arrive(Input::Disconnected);
        if let Some(front) = &mut self.front {
            front.link_down(service, leaving);
        }
    }

    pub(super) fn connect(&mut self, service: ServiceName) -> bool {
        let now = self.now();
        let Some(front) = &mut self.front else {
            return false;
        };
        let Some(place) = self.places.get_mut(&service) else {
            return false;
        };
        let wants = place.keeper.is_running() && !place.link.up && self.scene.now_ms >= place.connect_ms;
        if !wants || place.paused_ms > self.scene.now_ms {
            return false;
        }
        place.link.generation += 1;
        place.link.up = true;
        place.link.to_service.push_back(ToService::Connected);
        place.link.door_link = front.link_up(service, now);
        true
    }

    pub(super) fn query(&mut self, service: ServiceName) -> Result<bool, Violation> {
        let now = self.now();
        let luck = self.scene.dice.percent(50);
        let at_ms = self.scene.now_ms;
        let Some(place) = self.place(service).filter(|place| place.keeper.has_queries()) else {
            return Ok(false);
        };
        if !luck {
            return Ok(true);
        }
        match place.keeper.answer(now) {
            Ok((connection, frames)) => {
                if connection == Some(place.link.generation) && place.link.up {
                    place.link.to_front.push_back((frames, 0));
                }
                Ok(true)
            }
            // A turn of its log has failed beside it.
            Err(_) if !place.keeper.disk().is_sound() => {
                self.lose_store(service);
                Ok(true)
            }
            Err(error) => Err(Violation {
                invariant: Invariant::Final,
                seen: format!("{service} cannot read its store: {error}"),
                at_ms,
            }),
        }
    }

    /// Effects that are done come back as results; sometimes twice, since at least once is all that holds.
    pub(super) fn effects(&mut self, service: ServiceName) -> bool {
        let now_ms = self.scene.now_ms;
        let twice = self.scene.dice.percent(15);
        let again_ms = now_ms + self.scene.dice.between(1, 400);
        let Some(place) = self.place(service) else {
            return false;
        };
        let Some(at) = place.effects.iter().position(|(done_ms, _)| *done_ms <= now_ms) else {
            return !place.effects.is_empty();
        };
        let (_, effect) = place.effects.remove(at);
        let result = place.keeper.run_effect(&effect);
        place.keeper.arrive(Input::EffectDone {
            id: effect.id.clone(),
            result,
        });
        if twice {
            place.effects.push((again_ms, Effect { ..effect }));
        }
        true
    }
}
