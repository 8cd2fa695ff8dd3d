//! The loop of the world: time passes in small steps, and in each of them everything that can happen may
//! happen, in an order that the seed decides.

mod clients;
mod faults;
mod rest;
mod services;

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, sync::Arc};

use contract::{Root, ServiceName};
use prost::Message;
use service::{Effect, Now};
use store::MemoryBlobs;

use crate::{
    clients::{
        Client, Manner, Scene,
        device::Device,
        integrator::Integrator,
        operator::Operator,
        sdk::{Port, Sdk},
    },
    dice::Dice,
    disk::Disk,
    front::Front,
    genesis::{self, Genesis, WALL_MS},
    invariant::{Invariant, Violation},
    keeper::{Keeper, Process},
    link::Link,
    network::Socket,
    plan::{Plan, SETTLE_MS, device_name, sdk_name},
    story::Story,
    witness::Witness,
};

/// The topics' root.
pub(crate) fn root() -> Root {
    // A constant that parses: a test of the contract says so.
    "muster/v1".parse().unwrap_or_else(|_| Root::default())
}

/// What a run came to, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Steps of the loop.
    pub steps: u64,
    /// Simulated time, milliseconds.
    pub time_ms: u64,
    /// Requests that services decided.
    pub decided: u64,
    /// Commits.
    pub commits: u64,
    /// Connections of clients.
    pub connections: u64,
    /// Faults that took place.
    pub faults: u64,
    /// Updates that came to their end on devices with the SDK.
    pub updates: u64,
    /// Full redo logs that were brought into the database below.
    pub turns: u64,
}

/// What a run came to.
pub struct Outcome {
    /// The invariant that did not hold, if one did not.
    pub violation: Option<Violation>,
    /// What happened; lines only where they were asked for.
    pub story: Story,
    /// Numbers.
    pub figures: Figures,
}

/// Carries out a plan. With `told`, the story has lines.
pub fn run(plan: &Plan, told: bool) -> Outcome {
    let mut story = if told { Story::written() } else { Story::default() };
    let genesis = match genesis::genesis() {
        Ok(genesis) => genesis,
        Err(error) => {
            story.tell(0, || format!("there is no beginning: {error:#}"));
            let violation = Some(Violation {
                invariant: Invariant::Progress,
                seen: format!("{error:#}"),
                at_ms: 0,
            });
            return Outcome {
                violation,
                story,
                figures: Figures::default(),
            };
        }
    };
    let mut world = World::new(plan, story, genesis);
    let violation = world.live().err();
    if let Some(violation) = &violation {
        world
            .scene
            .story
            .tell(world.scene.now_ms, || violation.to_string());
    }
    world.figures.time_ms = world.scene.now_ms;
    world.figures.updates = world.sdks.iter().map(|(device, _)| device.borrow().ends()).sum();
    world.figures.turns = world
        .places
        .values()
        .map(|place| place.keeper.disk().turns())
        .sum();
    Outcome {
        violation,
        story: world.scene.story,
        figures: world.figures,
    }
}

/// A service as the world holds it.
struct Place {
    keeper: Box<dyn Keeper>,
    link: Link,
    /// When it starts again, if it is not running.
    restart_ms: u64,
    /// When it connects again.
    connect_ms: u64,
    /// It does nothing until then.
    paused_ms: u64,
    /// Its machine loses power when it is killed next.
    power_cut: bool,
    /// How often in a row its store was refused.
    refusals: u32,
    /// Its disk is full until then; 0: it is not.
    full_until_ms: u64,
    /// Its disk is slow until then.
    slow_until_ms: u64,
    /// When its loop runs even if nothing has arrived.
    round_ms: u64,
    /// What the next round comes to.
    ending: Option<crate::keeper::Ending>,
    /// Effects under way, and when they are done.
    effects: Vec<(u64, Effect)>,
    /// The newest backup.
    backup: Option<BTreeMap<Vec<u8>, Vec<u8>>>,
}

struct Seat {
    client: Box<dyn Client>,
    socket: Option<Socket>,
    /// Its connection, this or the next one, breaks when something is under way to it.
    breaks: bool,
}

pub(crate) struct World<'a> {
    plan: &'a Plan,
    scene: Scene,
    wall_offset_ms: i64,
    entropy: Dice,
    front: Option<Front>,
    front_restart_ms: u64,
    front_tick_ms: u64,
    boots: u64,
    places: BTreeMap<ServiceName, Place>,
    seats: Vec<Seat>,
    /// The devices with the SDK, and until when each one's disk is full; 0: it is not.
    sdks: Vec<(Rc<RefCell<Sdk>>, u64)>,
    next_connection: u64,
    slow_until_ms: u64,
    next_fault: usize,
    figures: Figures,
}

/// Something that may happen in a step.
#[derive(Debug, Clone, Copy)]
enum Action {
    ToServer(usize),
    ToClient(usize),
    ClientActs(usize),
    Mail,
    Out,
    FrontTick,
    LinkUp(ServiceName),
    ToService(ServiceName),
    ToFront(ServiceName),
    Round(ServiceName),
    Query(ServiceName),
    Effects(ServiceName),
    Connect(ServiceName),
}

impl<'a> World<'a> {
    fn new(plan: &'a Plan, story: Story, genesis: &'static Genesis) -> World<'a> {
        let mut places = BTreeMap::new();
        let mut rows = BTreeMap::new();
        for (n, service) in ServiceName::KEEPERS.into_iter().enumerate() {
            let disk = Disk::new(0x1000 + n as u64, plan.seed);
            rows.insert(service, disk.rows());
            let mut keeper = keeper(service, disk, genesis);
            keeper.keep_events(plan.keep_events_ms);
            let place = Place {
                keeper,
                link: Link::default(),
                restart_ms: 0,
                connect_ms: 0,
                paused_ms: 0,
                power_cut: false,
                refusals: 0,
                full_until_ms: 0,
                slow_until_ms: 0,
                round_ms: 0,
                ending: None,
                effects: Vec::new(),
                backup: None,
            };
            places.insert(service, place);
        }
        let mut dice = Dice::new(plan.seed, 2);
        let mut seats = seats(plan, &mut dice);
        let sdks = sdks(plan);
        for (device, _) in &sdks {
            let ports = Port::of(device).into_iter();
            seats.extend(ports.map(|port| Seat {
                client: Box::new(port),
                socket: None,
                breaks: false,
            }));
        }
        World {
            plan,
            scene: Scene {
                now_ms: 0,
                witness: Witness::new(rows, plan.keep_events_ms),
                dice,
                story,
            },
            wall_offset_ms: 0,
            entropy: Dice::new(plan.seed, 3),
            front: None,
            front_restart_ms: 0,
            front_tick_ms: 0,
            boots: 0,
            places,
            seats,
            sdks,
            next_connection: 1,
            slow_until_ms: 0,
            next_fault: 0,
            figures: Figures::default(),
        }
    }

    fn now(&self) -> Now {
        Now {
            wall_ms: WALL_MS + self.scene.now_ms as i64 + self.wall_offset_ms,
            mono_ms: self.scene.now_ms,
        }
    }

    fn live(&mut self) -> Result<(), Violation> {
        let mut look_ms = self.plan.busy_ms;
        let mut healed = false;
        loop {
            let moved = self.step()?;
            self.figures.steps += 1;
            if self.scene.now_ms < self.plan.busy_ms {
                self.do_faults();
            } else if !healed {
                healed = true;
                self.heal();
            } else if self.scene.now_ms >= look_ms {
                look_ms = self.scene.now_ms + 500;
                self.demand_nothing_owed()?;
                match self.unrest() {
                    None => return self.scene.witness.at_rest(self.scene.now_ms),
                    Some(why) if self.scene.now_ms > self.plan.busy_ms + SETTLE_MS => {
                        self.scene
                            .story
                            .tell(self.scene.now_ms, || format!("no rest: {why}"));
                        // If it is a copy that differs, that says more than that something waits.
                        self.scene.witness.at_rest(self.scene.now_ms)?;
                        return Err(self.violation(Invariant::Progress, why));
                    }
                    Some(_) => {}
                }
            }
            self.scene.now_ms += if moved { self.scene.dice.between(1, 6) } else { 20 };
        }
    }

    /// Faults have ceased, and sessions that go on have given what they owe (I14).
    fn demand_nothing_owed(&self) -> Result<(), Violation> {
        let now_ms = self.scene.now_ms;
        let mut owed = self.seats.iter().filter_map(|seat| seat.client.is_owed(now_ms));
        owed.next()
            .map_or(Ok(()), |seen| Err(self.violation(Invariant::Sessions, seen)))
    }

    fn violation(&self, invariant: Invariant, seen: String) -> Violation {
        Violation {
            invariant,
            seen,
            at_ms: self.scene.now_ms,
        }
    }

    /// One step: everything that can happen gets its chance. Whether anything did.
    fn step(&mut self) -> Result<bool, Violation> {
        self.free_disks();
        self.set_clocks();
        self.start_what_is_down()?;
        self.turn_logs();
        let mut actions = self.actions();
        for n in (1..actions.len()).rev() {
            actions.swap(n, self.scene.dice.below(n as u64 + 1) as usize);
        }
        let mut moved = false;
        for (n, action) in actions.into_iter().enumerate() {
            if self.act(action)? {
                self.scene.story.mark(self.scene.now_ms << 8 | n as u64);
                moved = true;
            }
        }
        self.bury();
        let mut found = self
            .sdks
            .iter()
            .filter_map(|(device, _)| device.borrow_mut().take_found());
        found.next().map_or(Ok(moved), Err)
    }

    fn set_clocks(&self) {
        let wall_ms = self.now().wall_ms;
        for (device, _) in &self.sdks {
            device.borrow().land().set_clock(wall_ms);
        }
    }

    fn actions(&self) -> Vec<Action> {
        let mut actions = vec![Action::Mail, Action::Out, Action::FrontTick];
        for n in 0..self.seats.len() {
            actions.extend([Action::ToServer(n), Action::ToClient(n), Action::ClientActs(n)]);
        }
        for service in ServiceName::KEEPERS {
            actions.extend([
                Action::LinkUp(service),
                Action::ToService(service),
                Action::ToFront(service),
                Action::Round(service),
                Action::Query(service),
                Action::Effects(service),
                Action::Connect(service),
            ]);
        }
        actions
    }

    fn act(&mut self, action: Action) -> Result<bool, Violation> {
        match action {
            Action::ToServer(n) => Ok(self.bytes_to_server(n)),
            Action::ToClient(n) => self.bytes_to_client(n),
            Action::ClientActs(n) => self.client_acts(n),
            Action::Mail => Ok(self.take_mail()),
            Action::Out => Ok(self.deliver_out()),
            Action::FrontTick => Ok(self.front_tick()),
            Action::LinkUp(service) => Ok(self.pump_up(service)),
            Action::ToService(service) => Ok(self.message_to_service(service)),
            Action::ToFront(service) => Ok(self.envelope_to_front(service)),
            Action::Round(service) => self.round(service),
            Action::Query(service) => self.query(service),
            Action::Effects(service) => Ok(self.effects(service)),
            Action::Connect(service) => Ok(self.connect(service)),
        }
    }
}

fn sdks(plan: &Plan) -> Vec<(Rc<RefCell<Sdk>>, u64)> {
    let named = (0..plan.sdks).filter_map(|place| Some((place, sdk_name(place).parse().ok()?)));
    named
        .map(|(place, id)| (Rc::new(RefCell::new(Sdk::new(id, plan.seed, place))), 0))
        .collect()
}

fn seats(plan: &Plan, dice: &mut Dice) -> Vec<Seat> {
    let seat = |client: Box<dyn Client>| Seat {
        client,
        socket: None,
        breaks: false,
    };
    // Who goes on with his session has chance of its own, so that the rest of a seed is what it was before.
    let mut keepers = Dice::new(plan.seed, 5);
    let mut manner = |v5, qos, expiry_s| {
        let resumes = keepers.percent(50);
        let short = keepers.percent(30);
        let expiry_s = match (resumes, short) {
            (true, true) => 5,
            (true, false) => 60,
            (false, _) => expiry_s,
        };
        Manner {
            v5,
            qos,
            expiry_s,
            resumes,
        }
    };
    let mut seats = vec![
        seat(Box::new(Operator::new(
            plan.acts.clone(),
            manner(dice.percent(70), 1, 30),
        ))),
        seat(Box::new(Integrator::new(manner(dice.percent(70), 1, 30)))),
    ];
    for place in 0..plan.devices {
        if let Ok(id) = device_name(place).parse() {
            // They go on for a moment, so that what goes wrong last goes wrong with something.
            let qos = if place % 3 == 2 { 2 } else { 1 };
            let expiry_s = if place % 2 == 1 { 60 } else { 0 };
            let manner = manner(dice.percent(60), qos, expiry_s);
            let device = Device::new(id, place, manner, plan.busy_ms + 1_000);
            seats.push(seat(Box::new(device)));
        }
    }
    seats
}

fn keeper(service: ServiceName, disk: Disk, genesis: &'static Genesis) -> Box<dyn Keeper> {
    let blobs = Arc::new(MemoryBlobs::new());
    let nothing = || Box::new(|_: &Effect| Vec::new());
    match service {
        ServiceName::Provisioning => {
            let authority = genesis.authority.clone();
            let settings = provisioning::Settings::default();
            let issuers = provisioning::Issuers::new(authority, Vec::new());
            let roots = genesis.roots_pem.clone();
            let service = provisioning::Provisioning::new(settings, roots, issuers.clone());
            let effects = provisioning::Effects::new(issuers, blobs.clone());
            let run = Box::new(move |effect: &Effect| effects.run(effect));
            Box::new(Process::new(
                service,
                disk,
                blobs,
                run,
                genesis.provisioning.clone(),
            ))
        }
        ServiceName::Rollout => {
            let service = rollout::Rollout::new(genesis.release_keys.clone());
            let executor = rollout::SealExecutor { blobs: blobs.clone() };
            let run = Box::new(move |effect: &Effect| executor.run(effect));
            Box::new(Process::new(service, disk, blobs, run, Vec::new()))
        }
        ServiceName::Monitoring => {
            let service = monitoring::Monitoring::new(monitoring::Settings::default());
            Box::new(Process::new(service, disk, blobs, nothing(), Vec::new()))
        }
        ServiceName::Registry | ServiceName::FrontDoor => {
            let service = registry::Registry::new(registry::Settings::default());
            let key = artifact::SigningKey::from_seed(&[9; 32]);
            let run = Box::new(move |effect: &Effect| {
                let made = artifact::sign(artifact::RETIREMENT_TYPE, &effect.payload, &key);
                let signature = contract::v1::RetirementSignature {
                    key_id: made.keyid,
                    signature: made.sig,
                    payload_type: artifact::RETIREMENT_TYPE.into(),
                };
                signature.encode_to_vec()
            });
            Box::new(Process::new(service, disk, blobs, run, genesis.registry.clone()))
        }
    }
}
