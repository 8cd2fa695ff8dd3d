//! The integrator: it follows all events, replays what it missed, and may end up with no gap.

use std::collections::BTreeMap;

use contract::{ServiceName, topic::Leaf};
use serde_json::{Value, json};

use super::{Client, Dial, Got, Manner, Memory, Mqtt, Scene, down_filter};
use crate::{
    genesis::{self, INTEGRATOR},
    invariant::{Invariant, Violation},
    witness::Witness,
};

/// What it holds of one service's stream.
#[derive(Default)]
struct Stream {
    epoch: String,
    /// The last event without a gap before it.
    held: u64,
    /// A replay is under way.
    asking: bool,
    /// The replay that counts. An answer to an earlier one may still come: the session keeps it.
    asked: u64,
    /// Events without a gap between them that a replay showed behind a gap: first and last. The marker must say that
    /// what was before them is no longer kept. Of an earlier replay, which began elsewhere, they mean nothing.
    jumped: Option<(u64, u64)>,
    /// Live events that came in the meantime or behind a gap.
    ahead: BTreeMap<u64, Value>,
}

/// The integrator.
pub(crate) struct Integrator {
    streams: BTreeMap<ServiceName, Stream>,
    pause_ms: u64,
    manner: Manner,
    memory: Option<Memory>,
}

impl Integrator {
    pub(crate) fn new(manner: Manner) -> Integrator {
        Integrator {
            streams: ServiceName::KEEPERS
                .map(|service| (service, Stream::default()))
                .into(),
            pause_ms: 0,
            manner,
            memory: None,
        }
    }

    fn ask(&mut self, service: ServiceName, mqtt: &mut Mqtt) {
        let Ok(who) = format!("integrators/{INTEGRATOR}").parse() else {
            return;
        };
        let topic = crate::world::root().up(&who, service, "replay");
        if let Some(stream) = self.streams.get_mut(&service) {
            stream.asking = true;
            stream.asked += 1;
            stream.jumped = None;
            let replay = json!({ "after": stream.held.to_string(), "request_id": stream.asked.to_string() });
            mqtt.publish(&topic, replay.to_string().as_bytes());
        }
    }

    /// A live event. One that is next is taken; one behind a gap waits for the replay that it causes.
    fn on_live(
        &mut self,
        service: ServiceName,
        event: Value,
        mqtt: &mut Mqtt,
        scene: &mut Scene,
    ) -> Result<(), Violation> {
        let sequence = number(&event["sequence"]);
        let Some(stream) = self.streams.get_mut(&service) else {
            return Ok(());
        };
        if event["epoch"].as_str() != Some(stream.epoch.as_str()) {
            // Another history: the marker of a replay will say so, and everything is read again.
            if !stream.asking {
                self.ask(service, mqtt);
            }
            return Ok(());
        }
        if sequence <= stream.held {
            return scene.witness.event_seen(service, &event, scene.now_ms);
        }
        if sequence > stream.held + 1 && !stream.asking && stream.ahead.is_empty() {
            return Err(Violation {
                invariant: Invariant::Streams,
                seen: format!(
                    "{INTEGRATOR}'s session was there all the time, and event {sequence} of {service} follows {}",
                    stream.held
                ),
                at_ms: scene.now_ms,
            });
        }
        stream.ahead.insert(sequence, event);
        self.take_next(service, scene)?;
        let gap = self
            .streams
            .get(&service)
            .is_some_and(|s| !s.ahead.is_empty() && !s.asking);
        if gap {
            self.ask(service, mqtt);
        }
        Ok(())
    }

    fn take_next(&mut self, service: ServiceName, scene: &mut Scene) -> Result<(), Violation> {
        let Some(stream) = self.streams.get_mut(&service) else {
            return Ok(());
        };
        if stream.asking {
            return Ok(());
        }
        while let Some(event) = stream.ahead.remove(&(stream.held + 1)) {
            stream.held += 1;
            scene.witness.event_seen(service, &event, scene.now_ms)?;
        }
        let held = stream.held;
        stream.ahead.retain(|sequence, _| *sequence > held);
        Ok(())
    }

    fn on_replayed(
        &mut self,
        service: ServiceName,
        event: &Value,
        scene: &mut Scene,
    ) -> Result<(), Violation> {
        scene.witness.event_seen(service, event, scene.now_ms)?;
        let sequence = number(&event["sequence"]);
        if let Some(stream) = self.streams.get_mut(&service) {
            match &mut stream.jumped {
                Some((_, reached)) if sequence == *reached + 1 => *reached = sequence,
                Some(_) => {}
                None if sequence == stream.held + 1 => stream.held = sequence,
                None if sequence > stream.held => stream.jumped = Some((sequence, sequence)),
                None => {}
            }
        }
        Ok(())
    }

    fn on_marker(
        &mut self,
        service: ServiceName,
        marker: &Value,
        mqtt: &mut Mqtt,
        scene: &mut Scene,
    ) -> Result<(), Violation> {
        let epoch = marker["epoch"].as_str().unwrap_or_default();
        let complete = marker["complete"] == json!(true);
        let Some(stream) = self.streams.get_mut(&service) else {
            return Ok(());
        };
        if number(&marker["request_id"]) != stream.asked {
            stream.jumped = None;
            return Ok(());
        }
        let oldest = number(&marker["first"]);
        if let Some((sequence, _)) = stream.jumped.filter(|(sequence, _)| *sequence > oldest) {
            return Err(Violation {
                invariant: Invariant::Streams,
                seen: format!("a replay of {service} jumps from {} to {sequence}", stream.held),
                at_ms: scene.now_ms,
            });
        }
        scene.witness.oldest_told(service, epoch, oldest, scene.now_ms)?;
        // What lies before the oldest is gone, and this is how one who was away for too long hears of it.
        let reached = stream.jumped.take().map_or(0, |(_, reached)| reached);
        stream.held = stream.held.max(reached).max(oldest.saturating_sub(1));
        stream.asking = false;
        if stream.epoch.is_empty() {
            epoch.clone_into(&mut stream.epoch);
        }
        if stream.epoch != epoch {
            // A history of its own: it is read from its beginning.
            epoch.clone_into(&mut stream.epoch);
            stream.held = 0;
            stream.ahead.clear();
            self.ask(service, mqtt);
            return Ok(());
        }
        if !complete {
            self.ask(service, mqtt);
            return Ok(());
        }
        self.take_next(service, scene)
    }
}

fn number(value: &Value) -> u64 {
    value
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

impl Client for Integrator {
    fn dial(&mut self, scene: &mut Scene) -> Option<Dial> {
        if scene.now_ms < self.pause_ms {
            return None;
        }
        let peer = genesis::genesis().ok()?.integrator.clone();
        let who = format!("integrators/{INTEGRATOR}").parse().ok()?;
        let filters = vec![
            down_filter(&who),
            format!("{}/events/#", crate::world::root().as_str()),
        ];
        let mqtt = Mqtt::begin(self.manner, INTEGRATOR, filters, self.memory.take(), scene.now_ms);
        Some(Dial { peer, mqtt })
    }

    fn on_got(&mut self, got: Got, mqtt: &mut Mqtt, scene: &mut Scene) -> Result<bool, Violation> {
        match got {
            Got::Ready => {
                self.streams.values_mut().for_each(|stream| stream.ahead.clear());
                for service in ServiceName::KEEPERS {
                    self.ask(service, mqtt);
                }
                Ok(true)
            }
            // What came in the meantime was kept for it, and so was what it had asked for.
            Got::Resumed => {
                scene
                    .story
                    .tell(scene.now_ms, || format!("{INTEGRATOR} goes on with its session"));
                Ok(true)
            }
            Got::Message { topic, payload, .. } => {
                let value: Value = serde_json::from_slice(&payload).unwrap_or_default();
                match crate::world::root().parse_topic(&topic) {
                    Some(contract::Topic::Event { service, .. }) => {
                        self.on_live(service, value, mqtt, scene)?
                    }
                    Some(contract::Topic::Down {
                        service, name, leaf, ..
                    }) => match (name.as_str(), leaf) {
                        ("replay/event", _) => self.on_replayed(service, &value, scene)?,
                        ("replay", Leaf::Accepted) => self.on_marker(service, &value, mqtt, scene)?,
                        _ => {}
                    },
                    _ => {}
                }
                Ok(true)
            }
            Got::Refused(_) => {
                self.pause_ms = scene.now_ms + 1_000;
                Ok(false)
            }
            Got::Connected | Got::Granted { .. } => Ok(true),
            Got::LetGo(_) => Ok(false),
            Got::Acknowledged { .. } => Ok(true),
            Got::Broken(what) => Err(Violation {
                invariant: Invariant::Answered,
                seen: format!("{INTEGRATOR}: {what}"),
                at_ms: scene.now_ms,
            }),
        }
    }

    fn act(&mut self, _mqtt: &mut Mqtt, _scene: &mut Scene) -> Result<bool, Violation> {
        Ok(true)
    }

    fn on_lost(&mut self, last: Mqtt, scene: &mut Scene) {
        self.memory = last.into_memory();
        self.pause_ms = scene.now_ms + scene.dice.between(20, 500);
    }

    fn lose_power(&mut self) {
        self.memory = None;
    }

    fn waits_for(&self, witness: &Witness) -> Option<String> {
        self.streams.iter().find_map(|(service, stream)| {
            let (epoch, head) = witness.head(*service)?;
            let behind = stream.held < head || stream.epoch != epoch;
            behind.then(|| format!("{INTEGRATOR} holds {service} up to {} of {head}", stream.held))
        })
    }
}
