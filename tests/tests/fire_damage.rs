//! Files of the state folder are damaged while the server is down: a flipped bit, a cut, nothing left.
//!
//! The damage is repaired, or the start or the request is refused with a reason. Never is anything served that was not
//! written, and never is anything missing without a word. `FIRE_DAMAGES` says how many bits are flipped in each file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use client::{AskError, Client, Endpoint, Identity};
use contract::{Root, ServiceName, v1};
use rand::{Rng, seq::IndexedRandom};
use world::{Process, Tally, World, times};

/// How long a start may take on a busy machine, repairs included.
const PATIENCE: Duration = Duration::from_secs(120);
/// Devices whose records are compared.
const DEVICES: usize = 400;

/// What is done to a file.
#[derive(Debug, Clone, Copy)]
enum Harm {
    Flip(u64),
    CutTo(u64),
}

impl Harm {
    fn to(self, path: &Path) {
        match self {
            Harm::Flip(bit) => {
                let mut bytes = fs::read(path).unwrap();
                bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
                fs::write(path, bytes).unwrap();
            }
            Harm::CutTo(length) => {
                let file = fs::File::options().write(true).open(path).unwrap();
                file.set_len(length).unwrap();
            }
        }
    }
}

/// The device of the very last commit, which a log by itself could not tell from one that was never
/// acknowledged.
const LAST: &str = "last";

/// What became of it.
enum Outcome {
    /// All rows are there and right.
    Whole,
    /// The start was refused, or a request, with this reason.
    Refused(String),
    /// Something is wrong or missing, and nothing says so.
    Silent(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Whole => f.write_str("whole"),
            Outcome::Refused(reason) => write!(f, "refused: {reason}"),
            Outcome::Silent(what) => write!(f, "SILENT: {what}"),
        }
    }
}

/// A stopped installation to be copied, and what it holds.
struct Original {
    world: World,
    admin: Identity,
    devices: BTreeMap<String, v1::Device>,
}

impl Original {
    /// `clean` stops the server; else it is killed, and the redo log is needed.
    async fn make(clean: bool) -> Original {
        let mut world = World::new().await;
        let admin = world.admin().await;
        let names: Vec<_> = (0..DEVICES).map(|n| format!("pump-{n}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        world.register(&admin, &names[..DEVICES / 2]).await;
        admin.client.disconnect().await;
        assert_eq!(world.stop(), Some(0));
        world.start().await;
        let admin = world.admin().await;
        world.register(&admin, &names[DEVICES / 2..]).await;
        world.register(&admin, &[LAST]).await;
        let devices = list(&admin.client).await.unwrap();
        assert_eq!(devices.len(), DEVICES + 1);
        admin.client.disconnect().await;
        if clean {
            assert_eq!(world.stop(), Some(0));
        } else {
            world.kill();
        }
        let admin = world.identity(&world.folder().join("people/admin"));
        Original {
            world,
            admin,
            devices,
        }
    }

    /// The registry's store.
    fn store(&self) -> PathBuf {
        self.world.folder().join("state/registry/db")
    }

    /// The store's files by name, without what is in folders below.
    fn files(&self) -> Vec<(String, u64)> {
        let mut files: Vec<_> = fs::read_dir(self.store())
            .unwrap()
            .map(Result::unwrap)
            .filter(|entry| entry.file_type().unwrap().is_file())
            .map(|entry| {
                let name = entry.file_name().into_string().unwrap();
                (name, entry.metadata().unwrap().len())
            })
            .collect();
        files.sort();
        files
    }

    /// Damages a copy, starts on it, and looks.
    async fn suffers(&self, file: &str, harm: Harm) -> Outcome {
        let copy = tempfile::tempdir().unwrap();
        let copied = Command::new("cp")
            .arg("-a")
            .arg(format!("{}/.", self.world.folder().display()))
            .arg(copy.path())
            .status();
        assert!(copied.is_ok_and(|status| status.success()));
        harm.to(&copy.path().join("state/registry/db").join(file));
        let mut process = Process::spawn(Process::command(copy.path(), &["up"], &[]));
        let ready = process.ready(PATIENCE);
        if let Err(log) = ready {
            let ended = process.ended(Duration::from_secs(10));
            return match ended.and_then(|status| status.code()) {
                Some(7) => refused_with_reason(&log, copy.path()),
                other => Outcome::Silent(format!("it ends with {other:?}:\n{log}")),
            };
        }
        self.is_served(&process).await
    }

    async fn is_served(&self, process: &Process) -> Outcome {
        let endpoint = Endpoint {
            host: "127.0.0.1".into(),
            port: process.principals().port(),
        };
        let connected = Client::connect(&endpoint, &self.admin, Root::default(), "").await;
        let Ok((client, _inbox)) = connected else {
            return Outcome::Silent(format!("the admin is not let in:\n{}", process.log()));
        };
        let outcome = match list(&client).await {
            Ok(devices) if devices == self.devices => Outcome::Whole,
            Ok(devices) => self.differ(&devices),
            Err(error) => Outcome::Refused(error.to_string()),
        };
        client.disconnect().await;
        outcome
    }

    fn differ(&self, devices: &BTreeMap<String, v1::Device>) -> Outcome {
        let there = devices.len();
        let is_wrong = |(id, was): &(&String, &v1::Device)| devices.get(*id) != Some(*was);
        let wrong = self.devices.iter().filter(is_wrong).count();
        Outcome::Silent(format!(
            "{there} devices are listed, {wrong} are wrong or missing"
        ))
    }
}

/// The error names the folder or the record, and is no panic.
fn refused_with_reason(log: &str, folder: &Path) -> Outcome {
    let told: Vec<_> = log.lines().filter(|line| line.starts_with("muster: ")).collect();
    let told = told.join("\n");
    let names = told.contains("damaged") || told.contains(folder.to_str().unwrap()) || told.contains("redo");
    if names && told.contains("registry") {
        Outcome::Refused(told)
    } else {
        Outcome::Silent(format!("it ends without a good reason:\n{log}"))
    }
}

async fn list(client: &Client) -> Result<BTreeMap<String, v1::Device>, AskError> {
    let mut all = BTreeMap::new();
    let mut page = String::new();
    loop {
        let request = v1::ListDevices {
            page_size: 500,
            page,
            ..v1::ListDevices::default()
        };
        let listed: v1::DevicesListed = client.ask(ServiceName::Registry, "list", &request).await?;
        // What other services know of a device changes by itself.
        let own = |device| v1::Device { live: None, ..device };
        all.extend(
            listed
                .devices
                .into_iter()
                .map(own)
                .map(|d| (d.device_id.clone(), d)),
        );
        page = listed.next_page;
        if page.is_empty() {
            return Ok(all);
        }
    }
}

/// Harms of each kind, for one file. Bits are flipped where there is something: a zero is mostly padding.
fn harms(path: &Path) -> Vec<Harm> {
    let mut random = rand::rng();
    let bytes = fs::read(path).unwrap();
    let written: Vec<_> = (0..bytes.len() as u64)
        .filter(|at| bytes[*at as usize] != 0)
        .collect();
    let mut harms = vec![Harm::CutTo(0)];
    for _ in 0..times("FIRE_DAMAGES", 2) {
        if let Some(at) = written.choose(&mut random) {
            harms.push(Harm::Flip(at * 8 + random.random_range(0..8)));
        }
        if bytes.len() > 1 {
            harms.push(Harm::CutTo(random.random_range(1..bytes.len() as u64)));
        }
    }
    harms
}

async fn files_are_damaged(clean: bool, name: &str) {
    let original = Original::make(clean).await;
    let mut tally = Tally::of(name);
    let mut silent = Vec::new();
    for (file, length) in original.files() {
        for harm in harms(&original.store().join(&file)) {
            tally.injected();
            let outcome = original.suffers(&file, harm).await;
            let line = format!("{file} ({length} bytes) {harm:?}: {outcome}");
            println!("{line}");
            if let Outcome::Silent(_) = outcome {
                silent.push(line);
            }
        }
    }
    tally.print(DEVICES as u64 + 1, silent.len());
    assert_eq!(silent, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_to_a_stopped_store_is_repaired_or_named() {
    files_are_damaged(true, "files of a stopped store damaged").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_to_a_killed_store_is_repaired_or_named() {
    files_are_damaged(false, "files of a killed store damaged").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_snapshot_repairs_itself_with_all_rows() {
    let original = Original::make(true).await;
    let snapshots: Vec<_> = original
        .files()
        .into_iter()
        .filter(|(file, _)| file.starts_with("snap."))
        .collect();
    assert!(!snapshots.is_empty(), "{:?}", original.files());
    for (file, _) in snapshots {
        let outcome = original.suffers(&file, Harm::CutTo(0)).await;
        assert!(matches!(outcome, Outcome::Whole), "{file}: {outcome}");
    }
}
