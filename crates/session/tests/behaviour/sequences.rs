//! A client that remembers its session, over connections that break at any moment: whatever it publishes at
//! QoS 2 is asked of the service once, and whatever it is sent arrives once, in order.

use std::collections::{BTreeMap, BTreeSet};

use contract::{
    Kind,
    id::ServiceName,
    v1::{Changed, Frame},
};
use proptest::prelude::*;

use crate::{
    packets::{self, Got, Hello, answer},
    world::{ROOT, World, up},
};

#[derive(Debug, Clone, Copy)]
enum Step {
    /// The client publishes something new.
    Publish,
    /// The service answers one of the requests that wait.
    Answer(usize),
    /// A service sends the device something.
    Order,
    /// The client reads what has come, and answers it.
    Read,
    /// The connection breaks; what has come and was not read is lost.
    Break,
    /// The client connects again, if it is not connected.
    Connect,
    /// It connects again though it is, and takes over.
    TakeOver,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Publish),
        3 => any::<usize>().prop_map(Step::Answer),
        2 => Just(Step::Order),
        4 => Just(Step::Read),
        2 => Just(Step::Break),
        3 => Just(Step::Connect),
        1 => Just(Step::TakeOver),
    ]
}

/// What the client remembers.
#[derive(Default)]
struct Memory {
    /// Its publishes by packet id, and whether they were received; in the order in which they were sent.
    sent: Vec<(u16, u32, bool)>,
    next_id: u16,
    published: u32,
    /// Messages whose packet ids are in use.
    unreleased: BTreeSet<u16>,
    /// What has arrived.
    orders: Vec<u32>,
}

struct Story {
    world: World,
    v5: bool,
    memory: Memory,
    device: Option<u64>,
    waiting: Vec<Frame>,
    asked: BTreeMap<Vec<u8>, u32>,
    ordered: u32,
}

impl Story {
    fn begin(v5: bool) -> Story {
        let mut story = Story {
            world: World::new(),
            v5,
            memory: Memory::default(),
            device: None,
            waiting: Vec::new(),
            asked: BTreeMap::new(),
            ordered: 0,
        };
        let device = story.world.dial(Kind::Device, "pump-7", "01");
        story.world.send(device, &Hello::kept(v5, 600).packet());
        let filter = format!("{ROOT}/devices/pump-7/down/rollout/#");
        story
            .world
            .send(device, &packets::subscribe_with(v5, 1, &[], &filter, 2));
        story.device = Some(device);
        story
    }

    fn act(&mut self, step: Step) {
        match step {
            Step::Publish => self.publish(),
            Step::Answer(n) => self.answer(n),
            Step::Order => {
                self.ordered += 1;
                let payload = self.ordered.to_string();
                self.world.order(&payload);
            }
            Step::Read => self.read(),
            Step::Break => {
                if let Some(device) = self.device.take() {
                    self.world.close(device);
                }
            }
            Step::Connect if self.device.is_none() => self.connect(None),
            Step::TakeOver => {
                let former = self.device.take();
                self.connect(former);
            }
            Step::Connect => {}
        }
        let asked = self.world.requests(ServiceName::Registry);
        for request in &asked {
            *self.asked.entry(request.payload.to_vec()).or_default() += 1;
        }
        self.waiting.extend(asked);
    }

    fn say(&mut self, bytes: &[u8]) {
        if let Some(device) = self.device {
            let got = self.world.send(device, bytes);
            self.hear(got);
        }
    }

    fn publish(&mut self) {
        // As many as the server lets be under way.
        if self.device.is_none() || self.memory.sent.len() >= 60 {
            return;
        }
        self.memory.next_id += 1;
        self.memory.published += 1;
        let (id, n) = (self.memory.next_id, self.memory.published);
        self.memory.sent.push((id, n, false));
        self.say(&self.report(id, n));
    }

    fn report(&self, id: u16, n: u32) -> Vec<u8> {
        let topic = up("devices/pump-7", "registry/report");
        packets::publish(self.v5, 2, id, &topic, n.to_string().as_bytes())
    }

    fn answer(&mut self, n: usize) {
        if self.waiting.is_empty() {
            return;
        }
        let request = self.waiting.remove(n % self.waiting.len());
        self.world
            .reply(ServiceName::Registry, &request, &Changed::default());
    }

    fn read(&mut self) {
        if let Some(device) = self.device {
            let got = self.world.got(device);
            self.hear(got);
        }
    }

    fn hear(&mut self, got: Vec<Got>) {
        for got in got {
            match got.kind & 0xF0 {
                0x30 => {
                    let id = got.publish_id();
                    if self.memory.unreleased.insert(id) {
                        let payload = String::from_utf8(got.message(self.v5).1).unwrap();
                        self.memory.orders.push(payload.parse().unwrap());
                    }
                    self.say(&answer(0x50, id, 0));
                }
                0x50 => {
                    let id = got.packet_id();
                    assert_eq!(got.reason(), 0);
                    if let Some(sent) = self.memory.sent.iter_mut().find(|sent| sent.0 == id) {
                        sent.2 = true;
                    }
                    self.say(&answer(0x62, id, 0));
                }
                0x60 => {
                    self.memory.unreleased.remove(&got.packet_id());
                    self.say(&answer(0x70, got.packet_id(), 0));
                }
                0x70 => self.memory.sent.retain(|sent| sent.0 != got.packet_id()),
                _ => panic!("{got:?}"),
            }
        }
    }

    /// Connects; what was not completed is sent again, in order.
    fn connect(&mut self, former: Option<u64>) {
        let device = self.world.dial(Kind::Device, "pump-7", "01");
        let mut got = self.world.send(device, &Hello::kept(self.v5, 600).packet());
        if let Some(former) = former {
            assert!(got.is_empty(), "the session has not parted yet");
            self.world.close(former);
            got = self.world.got(device);
        }
        let connack = got.remove(0);
        assert_eq!((connack.kind, connack.body[0], connack.body[1]), (0x20, 1, 0));
        self.device = Some(device);
        let again: Vec<_> = self.memory.sent.clone();
        for (id, n, received) in again {
            match received {
                true => self.say(&answer(0x62, id, 0)),
                false => self.say(&packets::again(self.report(id, n))),
            }
        }
        self.hear(got);
    }

    /// All is answered and read, over a connection that holds.
    fn come_to_rest(&mut self) {
        self.act(Step::Connect);
        for _ in 0..200 {
            self.act(Step::Answer(0));
            self.act(Step::Read);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn everything_happens_once_and_in_order(v5: bool, steps in prop::collection::vec(step(), 1..80)) {
        let mut story = Story::begin(v5);
        for step in steps {
            story.act(step);
            let over = story.device.and_then(|device| story.world.over(device));
            prop_assert_eq!(over, None);
        }
        story.come_to_rest();
        let once: BTreeMap<_, _> = (1..=story.memory.published).map(|n| (n.to_string().into_bytes(), 1)).collect();
        prop_assert_eq!(&story.asked, &once, "each publish is one request");
        prop_assert!(story.memory.sent.is_empty(), "each is complete: {:?}", &story.memory.sent);
        prop_assert_eq!(&story.memory.orders, &(1..=story.ordered).collect::<Vec<_>>());
    }
}
