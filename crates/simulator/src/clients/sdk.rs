//! A device with the SDK: its process, the script that starts it, and its sockets.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use client::{Cause, Met};
use contract::{Id, Kind};
use device::{Boot, Claim, Device, Ending, Endpoint, Error, Event, Image, Platform, Settings, UpdateStep};
use parking_lot::Mutex;
use serde_json::Value;
use session::Peer;
use tokio::{runtime::Runtime, task::JoinHandle, time::Instant};

use super::{Client, Dial, Got, Manner, Mqtt, Scene};
use crate::{
    genesis::{self, BATCH_KEY, MODEL},
    invariant::{Invariant, Violation},
    sdk::{Land, Say, is_claim},
    witness::Witness,
};

/// Sockets that one device may have at a time.
pub(crate) const SOCKETS: usize = 2;
/// Releases after which an image does not come up, and after which it finds itself unwell.
const DEAD: u64 = 5;
const SICK: u64 = 3;
/// Starts of an image that is tried, until the script starts the other one.
const TRIES: u32 = 3;

/// What runs: an image of a release, or the one that the device was delivered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runs {
    Delivered,
    Slot(&'static str, u64),
}

/// The device, behind all its sockets.
pub(crate) struct Sdk {
    id: Id,
    land: Land,
    life: Option<Life>,
    /// When it starts again.
    start_ms: u64,
    /// Whether its next end comes with a power cut.
    power: bool,
    /// Starts in a row of an image that is only tried.
    tries: u32,
    /// It has had an image confirmed, and a certificate: since then it always has.
    confirmed: bool,
    has_key: bool,
    /// It has been ordered to erase its keys; on a full disk it does so though it cannot note that.
    is_retiring: bool,
    is_gone: bool,
    /// What it has told its platform, and nobody has looked at.
    heard: Arc<Mutex<Vec<Event>>>,
    /// Updates that came to their end on it.
    ends: u64,
    /// The certificate that it last came with.
    serial: String,
    /// An invariant that its start broke.
    found: Option<Violation>,
}

struct Life {
    runtime: Runtime,
    task: JoinHandle<Result<Ending, Error>>,
    began: Instant,
    began_ms: u64,
}

/// One of the device's sockets.
pub(crate) struct Port {
    device: Rc<RefCell<Sdk>>,
    place: usize,
    line: Option<u64>,
}

/// What the integrator writes: the process is restarted by the script for another image.
struct Pump(Runs, Arc<Mutex<Vec<Event>>>);

impl Platform for Pump {
    async fn boot(&self, image: &Image) -> Boot {
        match self.0 {
            Runs::Slot(slot, _) if image.path.to_str() == Some(slot) => Boot::Running,
            _ => Boot::Restart,
        }
    }

    async fn check(&self, image: &Image) -> Result<(), String> {
        tokio::time::sleep(Duration::from_millis(300)).await;
        if image.sequence.is_multiple_of(SICK) {
            return Err("it finds itself unwell".into());
        }
        Ok(())
    }

    fn heard(&self, event: Event) {
        self.1.lock().push(event);
    }

    async fn roll_back(&self, old: Option<&Image>) -> Boot {
        let runs = match self.0 {
            Runs::Delivered => None,
            Runs::Slot(slot, _) => Some(slot),
        };
        if old.and_then(|image| image.path.to_str()) == runs {
            Boot::Running
        } else {
            Boot::Restart
        }
    }
}

impl Sdk {
    pub(crate) fn new(id: Id, seed: u64, place: usize) -> Sdk {
        Sdk {
            id,
            land: Land::new(seed, place),
            life: None,
            start_ms: 0,
            power: false,
            tries: 0,
            confirmed: false,
            has_key: false,
            is_retiring: false,
            is_gone: false,
            heard: Arc::default(),
            ends: 0,
            serial: String::new(),
            found: None,
        }
    }

    pub(crate) fn land(&self) -> &Land {
        &self.land
    }

    /// An invariant that it broke while it wanted to connect.
    pub(crate) fn take_found(&mut self) -> Option<Violation> {
        self.found.take()
    }

    /// Updates that came to their end on it.
    pub(crate) fn ends(&self) -> u64 {
        self.ends
    }

    /// It is killed after so many steps of its disk.
    pub(crate) fn end_after(&mut self, steps: u64, power: bool) {
        self.power = power;
        self.land.files.end_after(steps);
    }

    /// Its process is gone; with the power cut, so is what its disk had not made safe.
    fn die(&mut self, scene: &mut Scene, power: bool) {
        self.life = None;
        self.land.lines.clear();
        self.land.files.on();
        if power {
            self.land.files.cut_power();
        }
        self.start_ms = scene.now_ms + scene.dice.between(50, 2_000);
        let id = &self.id;
        scene
            .story
            .tell(scene.now_ms, || format!("{id} is off (power cut: {power})"));
    }

    fn broken(&self, invariant: Invariant, seen: String, at_ms: u64) -> Violation {
        let seen = format!("{}: {seen}", self.id);
        Violation {
            invariant,
            seen,
            at_ms,
        }
    }

    /// The start script: what it starts, as the marker says.
    fn choose(&mut self, at_ms: u64) -> Result<Runs, Violation> {
        let marker = self.land.files.look("active").unwrap_or_default();
        let marker = String::from_utf8(marker).unwrap_or_default();
        let mut words = marker.split_whitespace();
        let slot = words.next().unwrap_or("a");
        let is_tried = words.next() == Some("try");
        self.tries = if is_tried { self.tries + 1 } else { 0 };
        let gives_up = self.tries > TRIES;
        let slot = match (slot, gives_up) {
            ("a", false) | ("b", true) => "slot-a",
            _ => "slot-b",
        };
        let Some(image) = self.land.files.look(slot) else {
            if self.confirmed || (is_tried && !gives_up) {
                let seen = format!("`{}` names {slot}, and there is no image", marker.trim());
                return Err(self.broken(Invariant::Images, seen, at_ms));
            }
            return Ok(Runs::Delivered);
        };
        let Some(release) = (1..=16).find(|release| genesis::image(*release) == image) else {
            let seen = format!(
                "`{}` starts {slot}, which is no image that was ever released",
                marker.trim()
            );
            return Err(self.broken(Invariant::Images, seen, at_ms));
        };
        if !is_tried {
            self.confirmed = true;
            if release.is_multiple_of(SICK) || release.is_multiple_of(DEAD) {
                let seen = format!("release {release} counts as confirmed, and cannot have been");
                return Err(self.broken(Invariant::Images, seen, at_ms));
            }
        }
        Ok(Runs::Slot(slot, release))
    }

    fn start(&mut self, scene: &mut Scene) -> Result<(), Violation> {
        let at_ms = scene.now_ms;
        // It is switched on once it is on the list: whoever comes too early waits longer than a run takes.
        let listed = scene.witness.is_registered(self.id.as_str());
        let Some(claim) = scene.witness.batch_pem().filter(|_| listed || self.has_key) else {
            self.start_ms = at_ms + 100;
            return Ok(());
        };
        let runs = self.choose(at_ms)?;
        if let Runs::Slot(_, release) = runs
            && release.is_multiple_of(DEAD)
        {
            scene.story.tell(at_ms, || {
                format!("{} does not come up with release {release}", self.id)
            });
            self.start_ms = at_ms + 200;
            return Ok(());
        }
        let unmade = |why: String| self.broken(Invariant::Devices, why, at_ms);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .map_err(|error| unmade(error.to_string()))?;
        let settings = self.settings(claim).map_err(unmade)?;
        let ground = Arc::new(self.land.clone());
        let heard = self.heard.clone();
        let opened = runtime.block_on(async {
            let device = Device::open_on(ground, settings, Pump(runs, heard))?;
            Ok::<_, Error>((Instant::now(), tokio::spawn(device.run(Default::default()))))
        });
        scene
            .story
            .tell(at_ms, || format!("{} starts, with {runs:?}", self.id));
        match opened {
            Ok((began, task)) => {
                self.life = Some(Life {
                    runtime,
                    task,
                    began,
                    began_ms: at_ms,
                });
                Ok(())
            }
            Err(error) => self.fall(&error, scene),
        }
    }

    /// It cannot run: an error of its disk is met again at its next start, anything else is a loss.
    fn fall(&mut self, error: &Error, scene: &mut Scene) -> Result<(), Violation> {
        if self.land.files.is_off() {
            let power = self.power;
            self.die(scene, power);
            return Ok(());
        }
        match error {
            Error::Files { .. } => {
                scene
                    .story
                    .tell(scene.now_ms, || format!("{} ends: {error}", self.id));
                self.die(scene, false);
                Ok(())
            }
            other => Err(self.broken(Invariant::Devices, other.to_string(), scene.now_ms)),
        }
    }

    fn settings(&self, claim: String) -> Result<Settings, String> {
        let genesis = genesis::genesis().map_err(|error| error.to_string())?;
        let server = Endpoint {
            host: "world".into(),
            port: 8883,
        };
        let mut settings = Settings::new("", self.id.clone(), server, &*genesis.roots_pem);
        settings.claim = Some(Claim {
            certificate_pem: claim,
            key_pem: genesis::key(BATCH_KEY)
                .map_err(|error| error.to_string())?
                .to_owned(),
            secret: None,
        });
        settings.release_keys = vec![genesis::release_key().public_key()];
        settings.about.model = MODEL.into();
        settings.about.firmware_version = "1.0.0".into();
        settings.heartbeat = Duration::from_secs(5);
        settings.confirm_within = Duration::from_secs(45);
        Ok(settings)
    }

    /// Lets the device's time go on to the world's.
    fn drive(&mut self, scene: &mut Scene) -> Result<(), Violation> {
        if self.is_gone {
            return Ok(());
        }
        let Some(life) = &mut self.life else {
            if scene.now_ms >= self.start_ms {
                self.start(scene)?;
            }
            return Ok(());
        };
        let until = life.began + Duration::from_millis(scene.now_ms - life.began_ms);
        life.runtime
            .block_on(async { tokio::time::sleep_until(until).await });
        let is_over = life.task.is_finished();
        if self.land.files.is_off() {
            // What it did after that moment nobody has seen.
            self.heard.lock().clear();
            let power = self.power;
            self.die(scene, power);
            return Ok(());
        }
        self.tell(scene);
        if is_over {
            self.end(scene)?;
        }
        self.look(scene.now_ms)
    }

    fn tell(&mut self, scene: &mut Scene) {
        use UpdateStep::{Failed, Refused, RolledBack, Succeeded};
        for event in std::mem::take(&mut *self.heard.lock()) {
            self.is_retiring |= event == Event::RetireOrdered;
            if let Event::Update { step, .. } = &event {
                self.ends += u64::from(matches!(step, Succeeded | Failed | RolledBack | Refused));
            }
            scene
                .story
                .tell(scene.now_ms, || format!("{}: {event:?}", self.id));
        }
    }

    fn end(&mut self, scene: &mut Scene) -> Result<(), Violation> {
        let Some(mut life) = self.life.take() else {
            return Ok(());
        };
        match life.runtime.block_on(&mut life.task) {
            Ok(Ok(Ending::Retired)) => {
                self.is_gone = true;
                self.land.lines.clear();
                scene
                    .story
                    .tell(scene.now_ms, || format!("{} is retired", self.id));
                Ok(())
            }
            Ok(Ok(_)) => {
                self.die(scene, false);
                self.start_ms = scene.now_ms + 100;
                Ok(())
            }
            Ok(Err(error)) => self.fall(&error, scene),
            Err(panicked) => Err(self.broken(Invariant::Devices, panicked.to_string(), scene.now_ms)),
        }
    }

    /// Once it has a key and a certificate, it is never without, but for the end of its life.
    fn look(&mut self, at_ms: u64) -> Result<(), Violation> {
        if self.is_gone {
            return Ok(());
        }
        let has = self.land.files.look("identity.pem").is_some();
        if self.has_key && !has && !self.is_retiring {
            return Err(self.broken(Invariant::Devices, "it has lost its key".into(), at_ms));
        }
        self.has_key = has;
        Ok(())
    }

    /// How far its update is, as its disk has it.
    fn journal(&self) -> Value {
        let bytes = self.land.files.look("update.json").unwrap_or_default();
        let json = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        serde_json::from_slice(json).unwrap_or_default()
    }
}

impl Port {
    /// All sockets of a device.
    pub(crate) fn of(device: &Rc<RefCell<Sdk>>) -> Vec<Port> {
        let port = |place| Port {
            device: device.clone(),
            place,
            line: None,
        };
        (0..SOCKETS).map(port).collect()
    }

    fn drive(&self, scene: &mut Scene) -> Result<(), Violation> {
        if self.place > 0 {
            return Ok(());
        }
        self.device.borrow_mut().drive(scene)
    }

    /// What the SDK says goes out. False: it hangs up.
    fn say(&self, line: u64, mqtt: &mut Mqtt) -> bool {
        let lines = self.device.borrow().land.lines.clone();
        while let Some(said) = lines.take_said(line) {
            match said {
                Say::Publish { name, topic, payload } => {
                    let id = mqtt.publish_named(&topic, &name, &payload);
                    lines.meet(line, Met::Published(id));
                }
                Say::Subscribe(filter) => {
                    let id = mqtt.subscribe(filter);
                    lines.meet(line, Met::Subscribed(id));
                }
                Say::Leave => {
                    lines.meet(line, Met::Left);
                    return false;
                }
            }
        }
        true
    }
}

impl Client for Port {
    fn dial(&mut self, scene: &mut Scene) -> Option<Dial> {
        if let Err(found) = self.drive(scene) {
            self.device.borrow_mut().found = Some(found);
        }
        let mut device = self.device.borrow_mut();
        let wanted = device.land.lines.take_wanted()?;
        self.line = Some(wanted.line);
        let peer = if is_claim(&wanted.who) {
            scene.witness.batch()?
        } else {
            device.serial.clone_from(&wanted.serial);
            Peer::Certified {
                kind: Kind::Device,
                id: wanted.who.id.clone(),
                serial: wanted.serial,
                not_after_ms: wanted.not_after_ms,
            }
        };
        let manner = Manner {
            v5: true,
            qos: 1,
            expiry_s: 0,
            resumes: false,
        };
        let mqtt = Mqtt::begin(manner, &wanted.client_id, Vec::new(), None, scene.now_ms);
        Some(Dial { peer, mqtt })
    }

    fn on_got(&mut self, got: Got, _mqtt: &mut Mqtt, scene: &mut Scene) -> Result<bool, Violation> {
        let Some(line) = self.line else { return Ok(false) };
        let device = self.device.borrow();
        let lines = &device.land.lines;
        match got {
            Got::Connected => lines.meet(line, Met::Connected { packet_bytes: None }),
            Got::Granted { id, reason } => lines.meet(
                line,
                Met::Granted {
                    packet: id,
                    reason,
                    text: None,
                },
            ),
            Got::Acknowledged { id, reason } => lines.meet(
                line,
                Met::Acknowledged {
                    packet: id,
                    reason,
                    text: None,
                },
            ),
            Got::Message { topic, name, payload } => lines.meet(
                line,
                Met::Message {
                    topic,
                    name: name.map(Bytes::from),
                    payload: payload.into(),
                },
            ),
            Got::Refused(code) => {
                scene.story.tell(scene.now_ms, || {
                    format!("{} is not let in ({code:#x})", device.id)
                });
                let cause = if matches!(code, 0x85..=0x87 | 0x8A) {
                    Cause::Refused
                } else {
                    Cause::Network
                };
                lines.lose(line, "refused", cause);
                return Ok(false);
            }
            Got::LetGo(_) => return Ok(false),
            Got::Ready | Got::Resumed => {}
            Got::Broken(what) => {
                return Err(device.broken(Invariant::Answered, what, scene.now_ms));
            }
        }
        Ok(true)
    }

    fn act(&mut self, mqtt: &mut Mqtt, scene: &mut Scene) -> Result<bool, Violation> {
        self.drive(scene)?;
        match self.line {
            Some(line) if mqtt.is_in() => Ok(self.say(line, mqtt)),
            Some(_) => Ok(true),
            None => Ok(false),
        }
    }

    fn on_lost(&mut self, _last: Mqtt, _scene: &mut Scene) {
        if let Some(line) = self.line.take() {
            let device = self.device.borrow();
            device
                .land
                .lines
                .lose(line, "the connection is gone", Cause::Network);
        }
    }

    fn lose_power(&mut self) {
        self.device.borrow_mut().end_after(0, true);
    }

    fn waits_for(&self, witness: &Witness) -> Option<String> {
        let device = self.device.borrow();
        let id = device.id.as_str();
        if self.place > 0 || device.is_gone || !witness.is_registered(id) {
            return None;
        }
        // It knows of its order, and has been let in or refused since: it goes, whatever its disk took.
        if device.is_retiring && witness.is_retired(id) {
            return Some(format!("{id} is retired, and still has its key"));
        }
        if witness.is_shut_out(id) {
            return None;
        }
        witness.batch()?;
        // A revoked device stays out: it is for people to let it in again.
        if witness.is_revoked(&device.serial) {
            return None;
        }
        if !device.has_key {
            return Some(format!("{id} has no certificate"));
        }
        let journal = device.journal();
        let is_idle = journal.is_null() || journal["stage"] == "Idle";
        (!is_idle).then(|| format!("{id} is not done with its update: {}", journal["stage"]))
    }
}
