//! A device's life, over real mTLS and a real disk, step by step as its operator sees it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use contract::{
    ServiceName,
    v1::{self, Restriction, Stage},
};
use world::{Person, Process, World, muster};

#[tokio::test(flavor = "multi_thread")]
async fn registered_provisioned_active_quarantined_released_revoked() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-7", "pump-8"]).await;
    assert_eq!(world.shown(&admin, "pump-7").await.stage(), Stage::Registered);

    let pump = world.device(&admin, "pump-7").await;
    world.until_stage(&admin, "pump-7", Stage::Provisioned).await;
    let report = v1::Report {
        firmware_version: "1.0.0".into(),
        ..v1::Report::default()
    };
    let _: v1::Changed = pump.ask(ServiceName::Registry, "report", &report).await;
    assert_eq!(world.shown(&admin, "pump-7").await.stage(), Stage::Active);

    let restrict = v1::RestrictDevice {
        device_id: "pump-7".into(),
        reason: "odd".into(),
        ..Default::default()
    };
    let _: v1::Changed = admin.ask(ServiceName::Registry, "quarantine", &restrict).await;
    let standing: v1::Standing = pump
        .ask(ServiceName::Registry, "standing", &v1::GetStanding::default())
        .await;
    assert_eq!(standing.restriction(), Restriction::Quarantined);
    let _: v1::Changed = admin.ask(ServiceName::Registry, "release", &restrict).await;

    let mut trouble = pump.client.trouble();
    let begun = Instant::now();
    let revoke = v1::Revoke {
        kind: "devices".into(),
        id: "pump-7".into(),
        ..v1::Revoke::default()
    };
    let revoked: v1::Revoked = admin.ask(ServiceName::Provisioning, "revoke", &revoke).await;
    assert_eq!((revoked.sessions_closed, revoked.receipt_missing), (1, false));
    assert!(revoked.closed_after_ms < 1_000, "{revoked:?}");
    let kicked = tokio::time::timeout(Duration::from_secs(1), async {
        // The guard must not live on: it would hold up the connection's own task.
        trouble.wait_for(Option::is_some).await.is_ok()
    })
    .await;
    assert!(kicked == Ok(true) && begun.elapsed() < Duration::from_secs(2));
    // Monitoring hears of it, and it does not come back.
    let is_online = async || {
        let request = v1::ShowStatus {
            device_id: "pump-7".into(),
            ..Default::default()
        };
        let shown: v1::StatusShown = admin.ask(ServiceName::Monitoring, "show", &request).await;
        shown.status.unwrap().connectivity() == v1::Connectivity::Online
    };
    let heard = Instant::now();
    while is_online().await {
        assert!(heard.elapsed() < Duration::from_secs(60), "it stays online");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!is_online().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_device_may_not_is_refused_and_nobody_else_notices() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-7"]).await;
    let pump = world.device(&admin, "pump-7").await;
    let refusal = pump
        .refused(ServiceName::Registry, "show", &v1::ShowDevice::default())
        .await;
    assert_eq!(refusal.code, contract::Code::Denied);
    let nonsense = v1::Report {
        model: "x".repeat(2_000),
        ..v1::Report::default()
    };
    let refusal = pump.refused(ServiceName::Registry, "report", &nonsense).await;
    assert_eq!(
        (refusal.code, refusal.field.as_str()),
        (contract::Code::TooLarge, "model")
    );
    let other = v1::Report {
        model: "pump".into(),
        ..v1::Report::default()
    };
    let _: v1::Changed = pump.ask(ServiceName::Registry, "report", &other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_stopped_politely_ends_with_success_and_comes_back_whole() {
    let mut world = World::new().await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-7"]).await;
    admin.client.disconnect().await;
    assert_eq!(world.stop(), Some(0));
    world.start().await;
    let admin = world.admin().await;
    assert_eq!(world.shown(&admin, "pump-7").await.device_id, "pump-7");
}

/// What somebody's `muster events` came to: its exit code and what it told beside the events.
fn events(world: &World, who: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = events_command(world, who, arguments).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), told)
}

fn events_command(world: &World, who: &Path, arguments: &[&str]) -> Command {
    let server = format!("127.0.0.1:{}", world.endpoint().port);
    let follow = ["--service", "registry", "--checkpoint", "nightly"];
    let begun = ["--server", &server, "--as", who.to_str().unwrap(), "events"];
    Process::command(world.folder(), &[&begun, &follow[..], arguments].concat(), &[])
}

/// The numbers of the events that were dealt with, in their order.
fn dealt_with(file: &Path) -> Vec<u64> {
    let lines = std::fs::read_to_string(file).unwrap_or_default();
    let number = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).ok()?;
        event["sequence"].as_str()?.parse().ok()
    };
    lines.lines().map(|line| number(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_goes_on_at_its_checkpoint_whatever_was_killed_or_restored() {
    let mut world = World::new().await;
    let admin = world.admin().await;
    let erp = world.integrator(&admin, "erp", &["registry/#"]).await;
    world.register(&admin, &["a-1", "a-2", "a-3"]).await;
    let (file, shelf) = (world.folder().join("dealt-with"), tempfile::tempdir().unwrap());
    let run = format!("cat >> {}", file.display());
    let take = |world: &World, more: &[&str]| {
        events(
            world,
            &erp,
            &[&["--replay-only", "--run", run.as_str()][..], more].concat(),
        )
    };

    // Each once, however little is taken at a time; what a command failed on comes again.
    assert_eq!(take(&world, &["--count", "1"]), (Some(0), String::new()));
    assert_eq!(take(&world, &["--count", "2"]), (Some(0), String::new()));
    assert_eq!(dealt_with(&file), [1, 2, 3]);
    let (code, told) = events(&world, &erp, &["--replay-only", "--run", "exit 3"]);
    assert_eq!(code, Some(1));
    assert!(told.contains("event 4 of registry is not dealt with"), "{told}");
    assert_eq!(take(&world, &[]).0, Some(0));
    let all = dealt_with(&file);
    assert_eq!(all, (1..=all.len() as u64).collect::<Vec<_>>());
    assert!(all.len() >= 5, "{all:?}");
    let backup = shelf.path().join("monday");
    muster(world.folder(), &["backup", backup.to_str().unwrap()]);

    // A server that is killed, and a consumer that is killed while it follows.
    admin.client.disconnect().await;
    world.kill();
    world.start().await;
    let admin = world.admin().await;
    world.register(&admin, &["b-1"]).await;
    let mut following = Process::spawn(events_command(&world, &erp, &["--run", &run]));
    let seen = |id: &str| {
        std::fs::read_to_string(&file)
            .unwrap()
            .contains(&format!("devices/{id}"))
    };
    for id in ["b-1", "c-1"] {
        if id == "c-1" {
            world.register(&admin, &["c-1"]).await;
        }
        for _ in 0..300 {
            if seen(id) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(seen(id), "{}", following.log());
    }
    following.kill();
    world.register(&admin, &["d-1"]).await;
    assert_eq!(take(&world, &[]).0, Some(0));
    assert!(seen("d-1"));
    let mut once = dealt_with(&file);
    once.sort_unstable();
    once.dedup();
    assert_eq!(
        once,
        (1..=once.len() as u64).collect::<Vec<_>>(),
        "none is missing"
    );

    // A number that the service has not come to is told, and what comes next is shown.
    let by_hand = world.connect(&world.identity(&erp), "by-hand").await;
    let listed: v1::CheckpointsListed = by_hand
        .ask(
            ServiceName::Registry,
            "checkpoints",
            &v1::ListCheckpoints::default(),
        )
        .await;
    let mut position = listed.checkpoints[0].positions[0].clone();
    position.sequence = 1_000_000;
    let ahead = v1::PutCheckpoint {
        checkpoint_id: "nightly".into(),
        positions: vec![position],
        ..v1::PutCheckpoint::default()
    };
    let _: v1::Changed = by_hand.ask(ServiceName::Registry, "put-checkpoint", &ahead).await;
    let (code, told) = take(&world, &[]);
    assert!(
        code == Some(0) && told.contains("1000000 is ahead of that"),
        "{told}"
    );
    world.register(&admin, &["e-1"]).await;
    assert_eq!(take(&world, &[]), (Some(0), String::new()));
    assert!(seen("e-1"));

    // A restored backup is another history: all of it comes again, and that is told.
    world.kill();
    let there = tempfile::tempdir().unwrap();
    muster(there.path(), &["restore", backup.to_str().unwrap()]);
    let restored = World::found(there, 0).await;
    let before = dealt_with(&file).len();
    let (code, told) = take(&restored, &[]);
    assert!(
        code == Some(0) && told.contains("registry has another history"),
        "{told}"
    );
    assert_eq!(dealt_with(&file)[before..][..all.len()], all);
    assert_eq!(
        take(&restored, &[]),
        (Some(0), String::new()),
        "the checkpoint is in this history"
    );
}

/// So many write at once, over four connections.
const WRITERS: usize = 100;

/// All of them ask at once; what each hears, in their order.
async fn all_at_once<R: contract::wire::Wire + Sync + 'static>(
    crew: &[Person],
    verb: &'static str,
    request: impl Fn(usize) -> R,
) -> Vec<Result<v1::Changed, contract::Refusal>> {
    let mut asked = Vec::new();
    for n in 0..WRITERS {
        let (client, request) = (crew[n % crew.len()].client.clone(), request(n));
        asked.push(tokio::spawn(async move {
            client.ask(ServiceName::Registry, verb, &request).await
        }));
    }
    let mut heard = Vec::new();
    for answer in asked {
        heard.push(match answer.await.unwrap() {
            Ok(changed) => Ok(changed),
            Err(client::AskError::Refused(refusal)) => Err(refusal),
            Err(other) => panic!("{verb}: {other}"),
        });
    }
    heard
}

/// Which of them won: one, and all others were refused so.
fn winner(heard: &[Result<v1::Changed, contract::Refusal>], code: contract::Code, field: &str) -> usize {
    let won: Vec<_> = (0..heard.len()).filter(|n| heard[*n].is_ok()).collect();
    assert_eq!(won.len(), 1, "{won:?}");
    for refusal in heard.iter().filter_map(|answer| answer.as_ref().err()) {
        assert_eq!(
            (refusal.code, refusal.field.as_str()),
            (code, field),
            "{refusal:?}"
        );
    }
    won[0]
}

/// As many attributes as a device may have, one for each writer.
fn attribute(n: usize) -> String {
    match n {
        0..64 => format!("administrative.w{n}"),
        64..84 => format!("tags.w{n}"),
        _ => format!("identity.w{n}"),
    }
}

fn setting(id: &str, expected_version: u64, field: String, value: String) -> v1::ChangeDevice {
    v1::ChangeDevice {
        device_id: id.into(),
        expected_version,
        set: [(field, value)].into(),
        ..v1::ChangeDevice::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_who_write_at_once_one_wins_and_nothing_is_lost() {
    use contract::Code;
    let mut world = World::new().await;
    let home = world.identity(&world.folder().join("people/admin"));
    let mut crew = Vec::new();
    for n in 0..4 {
        crew.push(world.connect(&home, &format!("writer-{n}")).await);
    }
    // One id, one serial number: one of a hundred has it.
    let named = |id: String, serial: String| v1::RegisterDevice {
        device_id: id,
        serial_number: serial,
        ..v1::RegisterDevice::default()
    };
    let heard = all_at_once(&crew, "register", |n| named("pump-7".into(), format!("SN-{n}"))).await;
    let first = winner(&heard, Code::Exists, "device_id");
    let heard = all_at_once(&crew, "register", |n| named(format!("v-{n}"), "SN-same".into())).await;
    winner(&heard, Code::Exists, "serial_number");
    // What was read before another's change is not written over it.
    let heard = all_at_once(&crew, "change", |n| {
        setting("pump-7", 1, "notes".into(), format!("by {n}"))
    })
    .await;
    let second = winner(&heard, Code::Conflict, "expected_version");
    let present = |refusal: &contract::Refusal| refusal.present_version == 2;
    assert!(heard.iter().filter_map(|a| a.as_ref().err()).all(present));
    // Each writes something of its own, and all of it stands.
    let heard = all_at_once(&crew, "change", |n| {
        setting("pump-7", 0, attribute(n), n.to_string())
    })
    .await;
    let mut versions: Vec<_> = heard.into_iter().map(|answer| answer.unwrap().version).collect();
    versions.sort_unstable();
    assert!(versions.iter().copied().eq(3..103), "{versions:?}");
    // Whoever is too late reads again and goes on: counted is counted.
    let mut counting = Vec::new();
    for person in &crew {
        counting.push(tokio::spawn(count_up(person.client.clone(), 5)));
    }
    for counted in counting {
        counted.await.unwrap();
    }
    let before = world.shown(&crew[0], "pump-7").await;
    assert_eq!(
        (before.notes, before.version),
        ("20".to_owned(), 122),
        "by {second}"
    );
    assert_eq!(before.serial_number, format!("SN-{first}"));
    world.kill();
    world.start().await;
    let again = world.connect(&home, "again").await;
    let after = world.shown(&again, "pump-7").await;
    let count = after.administrative.len() + after.tags.len() + after.identity.len();
    assert_eq!((count, after.version), (WRITERS, 122));
    for (n, text) in (0..WRITERS).map(|n| (n, n.to_string())) {
        let name = attribute(n);
        let (scope, key) = name.split_once('.').unwrap();
        let attributes = match scope {
            "administrative" => &after.administrative,
            "tags" => &after.tags,
            _ => &after.identity,
        };
        assert_eq!(attributes.get(key), Some(&text), "{name}");
    }
}

/// Adds one to the number in the device's notes, so often.
async fn count_up(client: client::Client, times: usize) {
    for _ in 0..times {
        loop {
            let show = v1::ShowDevice {
                device_id: "pump-7".into(),
                ..v1::ShowDevice::default()
            };
            let shown: v1::DeviceShown = client.ask(ServiceName::Registry, "show", &show).await.unwrap();
            let device = shown.device.unwrap();
            let count: u32 = device.notes.parse().unwrap_or_default();
            let change = setting("pump-7", device.version, "notes".into(), (count + 1).to_string());
            let answer = client
                .ask::<v1::Changed>(ServiceName::Registry, "change", &change)
                .await;
            match answer {
                Ok(_) => break,
                Err(client::AskError::Refused(refusal)) => {
                    assert_eq!(refusal.code, contract::Code::Conflict, "{refusal:?}");
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
}
