//! What registering and changing a device costs the registry and its store: processor time by thread, and the rows
//! that are written, by kind. No network, no other service.
//!
//! `cargo run --release -p muster-registry --example cost -- FOLDER [sled|redb] [DEVICES] [CHANGES]`; FOLDER must be
//! empty, on the disk that is to be measured.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measure stops where it fails"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use contract::v1::{ChangeDevice, Frame, PrincipalFact, Purpose, RegisterDevice, RegisterDevices, Role};
use contract::wire::{self, Encoding, Wire};
use contract::{Principal, Root, ServiceName};
use prost::Message;
use registry::{KINDS, Registry};
use service::store::Batch;
use service::{Context, Entropy, HostLoop, Input, Now, Settings, inspect};
use store::{Engine, OpenOptions};

/// Requests in one commit: what the host takes at once from a client with so many under way.
const WINDOW: usize = 64;
/// Devices in one request, and requests in one commit, of an import.
const ROWS: usize = 500;
const REQUESTS: usize = 4;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().expect("the folder to measure in");
    let engine: Engine = arguments
        .next()
        .map_or(Engine::Sled, |word| word.parse().expect("an engine"));
    let mut number = |or: usize| {
        arguments
            .next()
            .map_or(or, |text| text.parse().expect("a number"))
    };
    let (devices, changes) = (number(100_000), number(60_000));

    let mut rig = Rig::open(Path::new(&folder), engine);
    rig.measure("register", devices, |rig| {
        for first in (0..devices).step_by(ROWS * REQUESTS) {
            let last = devices.min(first + ROWS * REQUESTS);
            let numbers: Vec<_> = (first..last).collect();
            let requests: Vec<_> = numbers
                .chunks(ROWS)
                .map(|part| registration(part, devices))
                .collect();
            rig.ask("register-many", &requests);
        }
    });
    println!(
        "{:8} {:.0} bytes on disk each",
        "",
        rig.store.size_on_disk().unwrap() as f64 / devices as f64
    );
    drop(rig);
    let begun = Instant::now();
    let mut rig = Rig::open(Path::new(&folder), engine);
    println!("start    {:.2} s", begun.elapsed().as_secs_f64());
    rig.measure("change", changes, |rig| {
        for first in (0..changes).step_by(WINDOW) {
            let some = (first..changes.min(first + WINDOW)).map(|n| change(n, devices));
            rig.ask("change", &some.collect::<Vec<_>>());
        }
    });
}

fn registration(numbers: &[usize], devices: usize) -> RegisterDevices {
    let row = |number: &usize| RegisterDevice {
        device_id: id(*number),
        serial_number: format!("SN-{number:07}"),
        name: format!("Pump number {number} of the north"),
        model: format!("model-{}", number % 20),
        site: format!("site-{}", number % (devices / 50).max(1)),
        owner: "plant".into(),
        fields: [("tags.line".to_owned(), (number % 10).to_string())].into(),
        ..RegisterDevice::default()
    };
    RegisterDevices {
        devices: numbers.iter().map(row).collect(),
        ..RegisterDevices::default()
    }
}

/// Another line in the tags of some device.
fn change(number: usize, devices: usize) -> ChangeDevice {
    let random = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    ChangeDevice {
        device_id: id(random as usize % devices),
        set: [("tags.line".to_owned(), (random % 1_000_003).to_string())].into(),
        ..ChangeDevice::default()
    }
}

fn id(number: usize) -> String {
    format!("dev-{number:07}")
}

struct Rig {
    host: HostLoop<Registry>,
    store: Arc<dyn store::Database>,
    asked: u64,
    written: BTreeMap<String, (usize, usize)>,
}

impl Rig {
    fn open(folder: &Path, engine: Engine) -> Rig {
        let store = engine
            .open(OpenOptions::new(folder.join("registry"), 7, 1))
            .unwrap();
        let admin = PrincipalFact {
            id: "ada".into(),
            kind: "operators".into(),
            role: Role::Admin.into(),
            ..PrincipalFact::default()
        };
        let (key, row) = inspect::own_fact("principal", "operators.ada", admin.encode_to_vec());
        let mut rows = Batch::default();
        rows.put(key, row);
        store.commit(&rows).unwrap();
        let settings = Settings {
            root: Root::default(),
            site: "hq".into(),
            epoch: store.epoch(),
        };
        let host = HostLoop::open(Arc::new(Registry::default()), settings, &*store).unwrap();
        let asked = wall_ms() as u64;
        Rig {
            host,
            store,
            asked,
            written: BTreeMap::new(),
        }
    }

    /// Has requests decided as one group.
    fn ask(&mut self, verb: &str, requests: &[impl Wire]) {
        let who: Principal = "operators/ada".parse().unwrap();
        let frames = requests.iter().map(|request| {
            self.asked += 1;
            let mut frame = Frame {
                topic: Root::default().up(&who, ServiceName::Registry, verb),
                payload: wire::encode(request, Encoding::Protobuf),
                correlation: format!("{:032x}", u128::from(self.asked) * 0x9e37_79b9_7f4a_7c15_f39c)
                    .into_bytes()
                    .into(),
                ..Frame::default()
            };
            frame.set_purpose(Purpose::Request);
            Input::Frame(frame)
        });
        let inputs = frames.collect();
        let now = Now {
            wall_ms: wall_ms(),
            mono_ms: wall_ms().unsigned_abs(),
        };
        let mut cx = Context {
            now,
            entropy: &mut Zeros,
            site: "hq",
        };
        let group = self.host.decide(inputs, &*self.store, &mut cx).unwrap();
        for (key, value) in group.batch().iter() {
            let kind = inspect::kind(key, own);
            let kind = if value.is_some() {
                kind
            } else {
                format!("{kind}, removed")
            };
            let (rows, bytes) = self.written.entry(kind).or_default();
            *rows += 1;
            *bytes += key.len() + value.map_or(0, <[u8]>::len);
        }
        let proof = self.store.commit(group.batch()).unwrap();
        let released = group.committed(&proof);
        let replies = released
            .frames
            .iter()
            .filter(|frame| frame.purpose() == Purpose::Reply);
        assert!(replies.clone().all(|reply| reply.rejected.is_empty()), "refused");
        assert_eq!(replies.count(), requests.len());
    }

    fn measure(&mut self, what: &str, each: usize, run: impl FnOnce(&mut Rig)) {
        self.written.clear();
        let (begun, before) = (Instant::now(), busy());
        run(self);
        let (took, after) = (begun.elapsed().as_secs_f64(), busy());
        let part = |n: u64| n as f64 / 1_000.0 / each as f64;
        let spent = [part(after[0] - before[0]), part(after[1] - before[1])];
        println!(
            "{what:8} {:.0} a second; CPU µs each: {:.1} = {:.1} deciding and committing + {:.1} in the store's thread",
            each as f64 / took,
            spent[0] + spent[1],
            spent[0],
            spent[1],
        );
        let (mut rows, mut bytes) = (0, 0);
        for (kind, (n, size)) in &self.written {
            (rows, bytes) = (rows + n, bytes + size);
            println!(
                "{:8} {:6.2} rows {:7.1} bytes  {kind}",
                "",
                *n as f64 / each as f64,
                *size as f64 / each as f64
            );
        }
        println!(
            "{:8} {:6.2} rows {:7.1} bytes",
            "",
            rows as f64 / each as f64,
            bytes as f64 / each as f64
        );
    }
}

/// What the registry's own records are.
fn own(key: &[u8]) -> String {
    let found = KINDS
        .iter()
        .find(|(beginning, _)| key.starts_with(beginning.as_bytes()));
    found.map_or("unknown", |(_, words)| words).to_owned()
}

struct Zeros;

impl Entropy for Zeros {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// Nanoseconds of processor time: of the main thread, and of all others.
fn busy() -> [u64; 2] {
    let mut busy = [0, 0];
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let task = task.unwrap();
        let is_main = task.file_name() == *std::process::id().to_string();
        let spent = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        let spent = spent
            .split(' ')
            .next()
            .and_then(|text| text.parse::<u64>().ok())
            .unwrap_or(0);
        busy[usize::from(!is_main)] += spent;
    }
    busy
}

fn wall_ms() -> i64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    since.as_millis() as i64
}
