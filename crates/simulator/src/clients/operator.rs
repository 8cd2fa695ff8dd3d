//! The operator: a list of things to do, each sent under its own name until it is answered.

use std::collections::VecDeque;

use contract::{ServiceName, topic::Leaf, v1};
use serde_json::{Value, json};

use super::{Client, Dial, Got, Manner, Memory, Mqtt, Scene, down_filter};
use crate::{
    genesis::{self, OPERATOR},
    invariant::{Invariant, Violation},
    plan::Act,
    witness::{Witness, orders::Order},
};

/// Orders under way at the same time.
const WINDOW: usize = 6;
/// An order without an answer is sent once more after this time, milliseconds.
const IMPATIENT_MS: u64 = 15_000;
/// Longer than it takes, without faults, from an acknowledgement to the answer, milliseconds.
const OWED_MS: u64 = 60_000;

struct Open {
    /// It belongs to a release, whose steps are taken one after the other.
    is_release: bool,
    request_id: String,
    topic: String,
    payload: Value,
    sent_ms: u64,
    packet_id: Option<u16>,
    /// Its answer is made outside of the service, and is lost with the process that had it.
    is_promised: bool,
    /// Over which of its sessions it was acknowledged, and when, milliseconds: that session has the answer.
    owed: Option<(u64, u64)>,
}

/// The operator.
pub(crate) struct Operator {
    acts: VecDeque<(u64, Act)>,
    open: Vec<Open>,
    count: u64,
    pause_ms: u64,
    manner: Manner,
    memory: Option<Memory>,
    /// Counts its sessions.
    session: u64,
    /// Since when it is connected, milliseconds.
    since_ms: Option<u64>,
}

impl Operator {
    pub(crate) fn new(acts: Vec<(u64, Act)>, manner: Manner) -> Operator {
        Operator {
            acts: acts.into(),
            open: Vec::new(),
            count: 0,
            pause_ms: 0,
            manner,
            memory: None,
            session: 0,
            since_ms: None,
        }
    }

    fn up(service: ServiceName, verb: &str) -> String {
        let who = format!("operators/{OPERATOR}").parse();
        who.map_or_else(
            |_| String::new(),
            |who| crate::world::root().up(&who, service, verb),
        )
    }

    /// The next thing to do becomes an order.
    fn order(&mut self, act: &Act, mqtt: &mut Mqtt, scene: &mut Scene) {
        self.count += 1;
        let request_id = format!("o-{}", self.count);
        let (service, verb, mut payload) = spell(act, self.count);
        payload["request_id"] = json!(request_id);
        let topic = Operator::up(service, verb);
        scene.story.tell(scene.now_ms, || {
            format!("{OPERATOR} orders {request_id}: {act:?}")
        });
        scene
            .witness
            .ordered(Order::new(&request_id, act.clone(), service, scene.now_ms));
        let packet_id = Some(mqtt.publish(&topic, payload.to_string().as_bytes()));
        self.open.push(Open {
            is_release: is_release(act),
            is_promised: matches!(act, Act::MakeBatch | Act::Revoke(_) | Act::SealImage(_)),
            owed: None,
            request_id,
            topic,
            payload,
            sent_ms: scene.now_ms,
            packet_id,
        });
    }

    /// Another session has begun: whatever was asked over a former one is asked again.
    fn ask_again(&mut self, mqtt: &mut Mqtt, now_ms: u64) {
        self.session += 1;
        self.open.iter_mut().for_each(|open| open.send(mqtt, now_ms));
    }

    /// It has waited for long. Who goes on with his session leaves to it what it owes.
    fn insist(&mut self, mqtt: &mut Mqtt, now_ms: u64) {
        let trusts = self.manner.resumes;
        let late = |open: &&mut Open| now_ms.saturating_sub(open.sent_ms) >= IMPATIENT_MS;
        for open in self.open.iter_mut().filter(late) {
            let owed = open.packet_id.is_some() || open.owed.is_some() && !open.is_promised;
            if !(trusts && owed) {
                open.send(mqtt, now_ms);
            }
        }
    }

    fn on_answer(&mut self, leaf: Leaf, payload: &[u8], scene: &mut Scene) -> Result<(), Violation> {
        let value: Value = serde_json::from_slice(payload).unwrap_or_default();
        let request_id = value["request_id"].as_str().unwrap_or_default().to_owned();
        if request_id.is_empty() {
            return Ok(());
        }
        scene.story.tell(scene.now_ms, || {
            let shown: String = value.to_string().chars().take(120).collect();
            format!("{OPERATOR} hears {leaf:?} to {request_id}: {shown}")
        });
        scene
            .witness
            .answered(&request_id, leaf == Leaf::Accepted, &value, scene.now_ms)?;
        self.open.retain(|open| open.request_id != request_id);
        Ok(())
    }
}

impl Open {
    fn send(&mut self, mqtt: &mut Mqtt, now_ms: u64) {
        self.packet_id = Some(mqtt.publish(&self.topic, self.payload.to_string().as_bytes()));
        self.sent_ms = now_ms;
        self.owed = None;
    }
}

fn is_release(act: &Act) -> bool {
    matches!(
        act,
        Act::OpenImage(_) | Act::SendImage(_) | Act::SealImage(_) | Act::RollOut { .. } | Act::Steer { .. }
    )
}

fn rollout_id(release: u64, turn: u64) -> String {
    format!("to-{release}-{turn}")
}

/// How an act is said on the wire.
fn spell(act: &Act, count: u64) -> (ServiceName, &'static str, Value) {
    use ServiceName::{Monitoring, Provisioning, Registry, Rollout};
    let on_device = |device: &str| json!({ "device_id": device, "reason": "the plan says so" });
    match act {
        Act::MakeBatch => {
            let csr = genesis::request("lot", genesis::BATCH_KEY).unwrap_or_default();
            let expires = (genesis::WALL_MS + 300 * 24 * 3_600_000).to_string();
            (
                Provisioning,
                "put-claim",
                json!({ "batch": "lot", "csr": csr, "uses": 1000, "expires_ms": expires }),
            )
        }
        Act::Register(device) => (Registry, "register", json!({ "device_id": device })),
        Act::Rename(device) => (
            Registry,
            "change",
            json!({ "device_id": device, "name": format!("name {count}") }),
        ),
        Act::Suspend(device) => (Registry, "suspend", on_device(device)),
        Act::Quarantine(device) => (Registry, "quarantine", on_device(device)),
        Act::Release(device) => (Registry, "release", on_device(device)),
        Act::Retire(device, wait_ms) => {
            let mut payload = on_device(device);
            payload["wait_ms"] = json!(wait_ms.to_string());
            (Registry, "retire", payload)
        }
        Act::Revoke(device) => (
            Provisioning,
            "revoke",
            json!({ "kind": "devices", "id": device, "reason": "superseded" }),
        ),
        Act::Group(device) => (
            Registry,
            "put-group",
            json!({ "group_id": format!("group-of-{device}"), "description": format!("{count}") }),
        ),
        Act::Rule => (
            Monitoring,
            "put-rule",
            json!({ "rule": {
                "rule_id": "hot",
                "metric": "temperature",
                "comparison": "COMPARISON_ABOVE",
                "threshold": 80.0 + count as f64,
            } }),
        ),
        Act::OpenImage(release) => {
            let signed = Some(genesis::release(*release).1);
            let open = v1::OpenArtifact {
                signed,
                ..v1::OpenArtifact::default()
            };
            (
                Rollout,
                "open-artifact",
                serde_json::to_value(open).unwrap_or_default(),
            )
        }
        Act::SendImage(release) => {
            let put = v1::PutBlock {
                artifact_id: genesis::release(*release).0,
                data: genesis::image(*release),
                ..v1::PutBlock::default()
            };
            (
                Rollout,
                "put-block",
                serde_json::to_value(put).unwrap_or_default(),
            )
        }
        Act::SealImage(release) => (
            Rollout,
            "seal-artifact",
            json!({ "artifact_id": genesis::release(*release).0 }),
        ),
        Act::Steer { verb, release, turn } => (
            Rollout,
            verb,
            json!({ "rollout_id": rollout_id(*release, *turn) }),
        ),
        Act::RollOut {
            release,
            devices,
            turn,
        } => (
            Rollout,
            "create",
            json!({
                "rollout_id": rollout_id(*release, *turn),
                "artifact_id": genesis::release(*release).0,
                "device_ids": devices,
                "waves": [100],
            }),
        ),
        Act::List => (Registry, "list", json!({})),
    }
}

impl Client for Operator {
    fn dial(&mut self, scene: &mut Scene) -> Option<Dial> {
        if scene.now_ms < self.pause_ms {
            return None;
        }
        let peer = genesis::genesis().ok()?.operator.clone();
        let who = format!("operators/{OPERATOR}").parse().ok()?;
        let filters = vec![down_filter(&who)];
        let mqtt = Mqtt::begin(self.manner, OPERATOR, filters, self.memory.take(), scene.now_ms);
        Some(Dial { peer, mqtt })
    }

    fn on_got(&mut self, got: Got, mqtt: &mut Mqtt, scene: &mut Scene) -> Result<bool, Violation> {
        match got {
            Got::Ready => {
                self.since_ms = Some(scene.now_ms);
                self.ask_again(mqtt, scene.now_ms);
                Ok(true)
            }
            Got::Resumed => {
                self.since_ms = Some(scene.now_ms);
                scene
                    .story
                    .tell(scene.now_ms, || format!("{OPERATOR} goes on with its session"));
                Ok(true)
            }
            Got::Acknowledged { id, reason } => {
                if let Some(open) = self.open.iter_mut().find(|open| open.packet_id == Some(id)) {
                    open.packet_id = None;
                    open.owed = (reason < 0x80).then_some((self.session, scene.now_ms));
                }
                Ok(true)
            }
            Got::Message { topic, payload, .. } => {
                if let Some(contract::Topic::Down { leaf, .. }) = crate::world::root().parse_topic(&topic)
                    && leaf != Leaf::Push
                {
                    self.on_answer(leaf, &payload, scene)?;
                }
                Ok(true)
            }
            Got::Refused(code) => {
                scene
                    .story
                    .tell(scene.now_ms, || format!("{OPERATOR} is not let in ({code:#x})"));
                self.pause_ms = scene.now_ms + 1_000;
                Ok(false)
            }
            Got::Connected | Got::Granted { .. } => Ok(true),
            Got::LetGo(_) => Ok(false),
            Got::Broken(what) => Err(Violation {
                invariant: Invariant::Answered,
                seen: format!("{OPERATOR}: {what}"),
                at_ms: scene.now_ms,
            }),
        }
    }

    fn act(&mut self, mqtt: &mut Mqtt, scene: &mut Scene) -> Result<bool, Violation> {
        if !mqtt.is_ready() {
            return Ok(true);
        }
        self.insist(mqtt, scene.now_ms);
        while self.open.len() < WINDOW && self.acts.front().is_some_and(|(at, _)| *at <= scene.now_ms) {
            let waits =
                |(_, act): &(u64, Act)| is_release(act) && self.open.iter().any(|open| open.is_release);
            if self.acts.front().is_some_and(waits) {
                break;
            }
            if let Some((_, act)) = self.acts.pop_front() {
                self.order(&act, mqtt, scene);
            }
        }
        Ok(true)
    }

    fn on_lost(&mut self, last: Mqtt, scene: &mut Scene) {
        self.since_ms = None;
        self.memory = last.into_memory();
        if self.memory.is_none() {
            self.open.iter_mut().for_each(|open| open.packet_id = None);
        }
        self.pause_ms = scene.now_ms + scene.dice.between(20, 500);
    }

    fn lose_power(&mut self) {
        self.memory = None;
    }

    fn is_owed(&self, now_ms: u64) -> Option<String> {
        let long = |since_ms: u64| now_ms.saturating_sub(since_ms) >= OWED_MS;
        self.since_ms
            .filter(|since| self.manner.resumes && long(*since))?;
        let here = |(session, acknowledged_ms): (u64, u64)| session == self.session && long(acknowledged_ms);
        let owed = |open: &&Open| !open.is_promised && open.owed.is_some_and(here);
        let order = &self.open.iter().find(owed)?.request_id;
        Some(format!(
            "{OPERATOR} goes on with the session over which {order} was acknowledged, and its answer never came"
        ))
    }

    fn waits_for(&self, _witness: &Witness) -> Option<String> {
        if let Some((at, act)) = self.acts.front() {
            return Some(format!("{OPERATOR} has not ordered {act:?}, planned for {at} ms"));
        }
        let open = self.open.first()?;
        Some(format!("{OPERATOR} has no answer to {}", open.request_id))
    }
}
