//! The commands against a whole installation in this process.

use std::{fs, path::Path};

use clap::Parser;
use tempfile::TempDir;
use tokio::{runtime::Runtime, sync::oneshot, task::JoinHandle};

use crate::{
    cli::Cli,
    config::Config,
    exit::code_of,
    folder::Folder,
    init::{Plans, init},
    up::{self, Parts},
};

struct World {
    folder: TempDir,
    server: String,
    runtime: Runtime,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<anyhow::Result<()>>,
}

impl World {
    fn start() -> World {
        let folder = tempfile::tempdir().unwrap();
        let plans = Plans {
            site: "test".into(),
            hosts: vec!["127.0.0.1".into()],
            operator: "admin".into(),
            passphrase: None,
            authorities: crate::init::Founding::Made(pki::KeyKind::P256),
            passphrase_file: None,
            permitted: Vec::new(),
            settings: "\n[listen]\nprincipals = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\n".into(),
        };
        init(&Folder::at(folder.path()), &plans).unwrap();
        let config = Config::read(folder.path()).unwrap();
        let runtime = Runtime::new().unwrap();
        let running = runtime.block_on(up::start(&config, &Parts::all())).unwrap();
        let server = running.bound.principals.unwrap().to_string();
        let (stop, stopped) = oneshot::channel();
        let ended = runtime.spawn(running.until(async {
            let _ = stopped.await;
        }));
        World {
            folder,
            server,
            runtime,
            stop,
            ended,
        }
    }

    /// Runs a command and returns its exit code. Words that begin with `@` are files of the installation.
    fn run(&self, line: &str) -> u8 {
        let dir = self.folder.path().display().to_string();
        let mut words = vec!["muster".to_owned(), "--dir".into(), dir.clone()];
        words.extend(["--server".into(), self.server.clone()]);
        words.extend(line.split(' ').map(|word| match word.strip_prefix('@') {
            Some(file) => format!("{dir}/{file}"),
            None => word.to_owned(),
        }));
        let cli = match Cli::try_parse_from(words) {
            Ok(cli) => cli,
            Err(error) => return u8::try_from(error.exit_code()).unwrap(),
        };
        let outcome = cli.dispatch();
        outcome.map_or_else(
            |error| (eprintln!("{line}: {error:#}"), code_of(&error)).1,
            |()| 0,
        )
    }

    fn serial(&self, folder: &str) -> String {
        let pem = fs::read_to_string(self.path(folder).join("certificate.pem")).unwrap();
        pki::ClientCertificate::parse_pem(&pem).unwrap().serial_hex
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn end(self) {
        let _ = self.stop.send(());
        self.runtime.block_on(self.ended).unwrap().unwrap();
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

const IDENTITY: [&str; 3] = ["certificate.pem", "key.pem", "roots.pem"];

#[test]
fn an_installation_from_the_command_line() {
    let world = World::start();
    claims(&world);
    people(&world);
    authorities(&world);
    firmware(&world);
    rollouts(&world);
    rules(&world);
    lists_and_events(&world);
    world.end();
}

fn claims(world: &World) {
    assert_eq!(
        world.run("cert claim line-7 --uses 5 --expires 90d --prefix pump-"),
        0
    );
    assert_eq!(names(&world.path("claims/line-7")), IDENTITY);
    assert_eq!(world.run("cert claim line-7 --uses 5"), 4, "the folder is taken");
    assert_eq!(
        world.run("cert claim line-7 --uses 5 --out @other"),
        4,
        "the batch is taken"
    );
    assert!(!world.path("other").exists(), "a refused key is not kept");
    assert_eq!(world.run("cert claim line-8 --uses 0"), 2);
    assert_eq!(world.run("cert claim line-8 --uses 1 --expires 1970-01-02"), 2);
    assert_eq!(world.run("cert claims"), 0);
    assert_eq!(world.run("cert revoke --claim line-7 --yes"), 0);
}

fn people(world: &World) {
    assert_eq!(world.run("cert issue operator ada"), 4, "nobody of this name");
    assert_eq!(world.run("person put operator ada --role viewer"), 0);
    // Provisioning hears of her a moment later.
    let mut tries = 0..50;
    while world.run("cert issue operator ada") != 0 {
        assert!(tries.next().is_some());
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let serial = world.serial("people/ada");
    assert_eq!(names(&world.path("people/ada")), IDENTITY);
    assert_eq!(world.run("--as ada cert list --kind operator --id ada"), 0);
    assert_eq!(world.run("--as ada cert revoke --operator admin --yes"), 5);
    assert_eq!(world.run(&format!("cert show {serial} --pem")), 0);
    assert_eq!(world.run("cert show 40000000000000000000000000000000"), 3);
    assert_eq!(world.run("cert issue operator ada --yes"), 0);
    assert_ne!(world.serial("people/ada"), serial, "replaced");
    assert_eq!(
        world.run(&format!("cert revoke {serial} --reason superseded --yes")),
        0
    );
    assert_eq!(
        world.run(&format!("cert revoke {serial} --yes")),
        4,
        "revoked already"
    );
    assert_eq!(world.run("cert revoke --operator nobody --yes"), 3);
    assert_eq!(world.run("cert list --expires-before 400d"), 0);
}

fn authorities(world: &World) {
    assert_eq!(world.run("cert authorities"), 0);
    assert_eq!(world.run("cert authorities --out @trust"), 0);
    let trust = names(&world.path("trust"));
    assert!(
        trust.ends_with(&["issuing.pem".into(), "roots.pem".into()]),
        "{trust:?}"
    );
}

fn firmware(world: &World) {
    fs::write(world.path("pump.bin"), vec![7; 1_000_001]).unwrap();
    let sign = "firmware sign @pump.bin --name pump-fw --version 2.1.0 --sequence 21 --model p200";
    assert_eq!(world.run("firmware add @pump.bin"), 2, "no manifest yet");
    assert_eq!(world.run("firmware keygen --out @stranger"), 0);
    assert_eq!(world.run("firmware keygen --out @stranger"), 4);
    assert_eq!(world.run(&format!("{sign} --key @stranger/release.key")), 0);
    assert_eq!(world.run("firmware add @pump.bin"), 5, "a stranger's key");
    assert_eq!(world.run(&format!("{sign} --key @release/release.key")), 0);
    assert_eq!(world.run("firmware add @pump.bin"), 0);
    assert_eq!(world.run("firmware add @pump.bin"), 0, "a repeat is harmless");
    fs::write(world.path("pump.bin"), vec![8; 1_000_001]).unwrap();
    assert_eq!(world.run("firmware add @pump.bin"), 2, "another image");
    assert_eq!(world.run("firmware list"), 0);
    let shown = (0..16)
        .filter(|digit| world.run(&format!("firmware show {digit:x}")) == 0)
        .count();
    assert_eq!(shown, 1, "the only image is known by its first digit");
    assert_eq!(world.run("firmware show pump-fw@2.1.0"), 0);
    assert_eq!(world.run("firmware show pump-fw@2.2.0"), 3);
    assert_eq!(world.run("firmware show zz"), 2);
}

fn rollouts(world: &World) {
    assert_eq!(world.run("device register pump-1 --model p200"), 0);
    let create = "rollout create r-1 --artifact pump-fw@2.1.0 --device pump-1";
    assert_eq!(world.run(create), 4, "the device has no certificate yet");
    assert_eq!(world.run("rollout create r-1 --artifact ffff --device pump-1"), 3);
    assert_eq!(world.run("rollout show r-1"), 3);
    assert_eq!(world.run("rollout abort r-1 --dry-run"), 0);
    assert_eq!(world.run("rollout abort r-1 --yes"), 3);
    assert_eq!(world.run("rollout list"), 0);
}

fn rules(world: &World) {
    assert_eq!(world.run("monitor rule put hot temperature above 80"), 0);
    assert_eq!(world.run("monitor rule remove hot --dry-run"), 0);
    let change = "monitor rule put hot temperature above 81 --expected-version 1";
    assert_eq!(world.run(change), 0);
    assert_eq!(world.run(change), 4, "it has another version now");
    assert_eq!(world.run("monitor rule remove hot --yes --expected-version 1"), 4);
    assert_eq!(world.run("monitor rule remove hot --yes --expected-version 2"), 0);
    assert_eq!(world.run("monitor rule remove hot --yes"), 3);
}

fn lists_and_events(world: &World) {
    assert_eq!(world.run("monitor status"), 0);
    assert_eq!(world.run("monitor devices --connectivity never --sort -since"), 0);
    assert_eq!(world.run("monitor show pump-1"), 0);
    assert_eq!(world.run("monitor show pump-2"), 3);
    assert_eq!(world.run("device list --sort colour"), 2);
    assert_eq!(world.run("events --replay-only"), 0);
    assert_eq!(world.run("events --service registry --from-start --count 2"), 0);
    assert_eq!(world.run("events --service registry --after 1 --count 1"), 0);
}
