//! kill -9 of server and device while a device is told to do things: each is done once at most, and every command
//! comes to one end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use contract::{
    ServiceName,
    v1::{self, CommandState},
};
use world::{Person, World, agent, kill_in_turn, muster};

/// How often both are killed.
const ROUNDS: u64 = 5;

/// Gives one command after the other, each until it is accepted; their number.
async fn give(admin: Arc<Person>, stop: Arc<AtomicBool>) -> u64 {
    let mut given = 0;
    while !stop.load(Ordering::Relaxed) {
        given += 1;
        let request = v1::RunCommand {
            command_id: format!("c-{given}"),
            device_id: "pump-7".into(),
            name: "diagnose".into(),
            ..v1::RunCommand::default()
        };
        // The tray may be full, the server away.
        while admin
            .client
            .ask::<v1::Changed>(ServiceName::Registry, "command-run", &request)
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    given
}

async fn listed(admin: &Person) -> Vec<v1::DeviceCommand> {
    let request = v1::ListCommands {
        device_id: "pump-7".into(),
        page_size: 100,
        ..v1::ListCommands::default()
    };
    let listed: v1::CommandsListed = admin.ask(ServiceName::Registry, "command-list", &request).await;
    listed.commands
}

/// How often the agents' logs say that each command was begun.
fn begun(logs: &[String]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let lines = logs.iter().flat_map(|log| log.lines());
    for event in lines.filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()) {
        if event["event"] == "command" && event["step"] == "running" {
            *counts
                .entry(event["id"].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_of_server_and_device_does_no_command_twice_and_loses_none() {
    let mut world = World::new().await;
    let admin = Arc::new(world.admin().await);
    world.register(&admin, &["pump-7"]).await;
    let claim = world.claim(&admin, "line", 1).await;
    let stop = Arc::new(AtomicBool::new(false));
    let giver = tokio::spawn(give(admin.clone(), stop.clone()));
    let (mut logs, device) = kill_in_turn(&mut world, "pump-7", &claim, ROUNDS).await;
    stop.store(true, Ordering::Relaxed);
    let given = giver.await.unwrap();
    for _ in 0..600 {
        if listed(&admin).await.iter().all(|c| c.ended_at_ms != 0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    logs.push(device.log());
    let commands = listed(&admin).await;
    // The newest fifty are kept.
    assert_eq!(commands.len() as u64, given.min(50), "{commands:?}");
    for command in &commands {
        let interrupted = command.state() == CommandState::Failed && command.error.starts_with("interrupted");
        assert!(
            command.state() == CommandState::Succeeded || interrupted,
            "{command:?}"
        );
    }
    let begun = begun(&logs);
    assert!(begun.values().all(|times| *times == 1), "{begun:?}");
    let succeeded = commands
        .iter()
        .filter(|c| c.state() == CommandState::Succeeded)
        .count();
    assert!(succeeded > 0, "{commands:?}");
    println!("{given} commands, {succeeded} of the kept ones succeeded, {ROUNDS} kills of each");
}

/// Gives one job after the other to the hall, each until it is accepted; their number.
async fn give_jobs(admin: Arc<Person>, stop: Arc<AtomicBool>) -> u64 {
    let mut given = 0;
    while !stop.load(Ordering::Relaxed) {
        given += 1;
        let request = v1::RunJob {
            job_id: format!("j-{given}"),
            group: "hall".into(),
            name: "diagnose".into(),
            at_once: 2,
            ..v1::RunJob::default()
        };
        while admin
            .client
            .ask::<v1::Changed>(ServiceName::Registry, "job-run", &request)
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(Duration::from_millis(900)).await;
    }
    given
}

async fn jobs(admin: &Person) -> Vec<v1::CommandJob> {
    let request = v1::ListJobs {
        page_size: 500,
        ..v1::ListJobs::default()
    };
    let listed: v1::JobsListed = admin.ask(ServiceName::Registry, "job-list", &request).await;
    listed.jobs
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_in_the_middle_of_jobs_tells_no_device_twice_and_every_job_ends() {
    let devices = ["pump-7", "pump-8", "pump-9"];
    let mut world = World::new().await;
    let admin = Arc::new(world.admin().await);
    world.register(&admin, &devices).await;
    let group = v1::PutGroup {
        group_id: "hall".into(),
        ..v1::PutGroup::default()
    };
    admin
        .ask::<v1::Changed>(ServiceName::Registry, "put-group", &group)
        .await;
    let join = v1::ChangeMembers {
        group_id: "hall".into(),
        device_ids: devices.map(String::from).to_vec(),
        ..v1::ChangeMembers::default()
    };
    admin
        .ask::<v1::MembersChanged>(ServiceName::Registry, "join-group", &join)
        .await;
    let claim = world.claim(&admin, "line", 3).await;
    let others = devices[1..].iter().map(|device| agent(&world, device, &claim));
    let others: Vec<_> = others.collect();
    let stop = Arc::new(AtomicBool::new(false));
    let giver = tokio::spawn(give_jobs(admin.clone(), stop.clone()));
    let (mut logs, device) = kill_in_turn(&mut world, "pump-7", &claim, ROUNDS).await;
    stop.store(true, Ordering::Relaxed);
    let given = giver.await.unwrap();
    for _ in 0..600 {
        if jobs(&admin).await.iter().all(|job| job.ended_at_ms != 0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    logs.extend(others.iter().chain([&device]).map(world::Process::log));
    let jobs = jobs(&admin).await;
    assert_eq!(jobs.len() as u64, given, "{jobs:?}");
    let mut interrupted = 0;
    for job in &jobs {
        let counts = job.counts.unwrap();
        interrupted += counts.failed;
        assert_eq!((counts.succeeded + counts.failed, job.devices), (3, 3), "{job:?}");
        let all = v1::JobState::Succeeded;
        assert_eq!(job.state() == all, counts.failed == 0, "{job:?}");
    }
    for (command, times) in begun(&logs) {
        assert_eq!(times, 1, "{command} was begun {times} times");
    }
    println!("{given} jobs of 3, {interrupted} interrupted, {ROUNDS} kills of each");
}

/// A command of the device, when it has ended.
async fn done(admin: &Person, id: &str, name: &str, arguments: &str) -> v1::DeviceCommand {
    let request = v1::RunCommand {
        command_id: id.into(),
        device_id: "pump-7".into(),
        name: name.into(),
        arguments: arguments.into(),
        ..v1::RunCommand::default()
    };
    let _: v1::Changed = admin.ask(ServiceName::Registry, "command-run", &request).await;
    let show = v1::ShowCommand {
        command_id: id.into(),
        ..v1::ShowCommand::default()
    };
    for _ in 0..600 {
        let shown: v1::CommandShown = admin.ask(ServiceName::Registry, "command-show", &show).await;
        let command = shown.command.unwrap();
        if command.ended_at_ms != 0 {
            return command;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{id} does not end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_log_comes_whole_and_goes_on_where_it_was_cut_off() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-7"]).await;
    let claim = world.claim(&admin, "line", 1).await;
    let device = agent(&world, "pump-7", &claim);
    for n in 0..120 {
        done(&admin, &format!("d-{n}"), "diagnose", "").await;
    }
    let command = done(&admin, "log-1", "logs", r#"{"lines":500}"#).await;
    assert_eq!(command.state(), CommandState::Succeeded, "{}", device.log());
    let size = usize::try_from(command.whole_size).unwrap();
    assert!(size > 20_000 && command.output_cut, "{size}");
    assert_eq!(command.whole_arrived, command.whole_size);
    let (file, part) = (world.folder().join("log"), world.folder().join("log.part"));
    let server = format!("127.0.0.1:{}", world.endpoint().port);
    let fetch = [
        "--server",
        &server,
        "command",
        "output",
        "log-1",
        "--out",
        file.to_str().unwrap(),
    ];
    muster(world.folder(), &fetch);
    let whole = std::fs::read(&file).unwrap();
    assert_eq!(whole.len(), size);
    assert!(whole.starts_with(command.output.as_bytes()));
    // Cut off within the second piece.
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&part, &whole[..17_000]).unwrap();
    muster(world.folder(), &fetch);
    assert!(std::fs::read(&file).unwrap() == whole && !part.exists());
}

/// A command of the device, as it is.
async fn shown(admin: &Person, id: &str) -> v1::DeviceCommand {
    let show = v1::ShowCommand {
        command_id: id.into(),
        ..v1::ShowCommand::default()
    };
    let shown: v1::CommandShown = admin.ask(ServiceName::Registry, "command-show", &show).await;
    shown.command.unwrap()
}

/// What a device says of a command.
fn said(id: &str, state: CommandState) -> v1::ReportCommand {
    v1::ReportCommand {
        command_id: id.into(),
        state: state.into(),
        output: "done".into(),
        ..v1::ReportCommand::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_device_comes_in_time_or_not_at_all_and_what_is_late_changes_nothing() {
    let mut world = World::new().await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-7"]).await;
    let claim = world.claim(&admin, "line", 1).await;
    let identity = world.provision(&claim, "pump-7").await;
    world.until_stage(&admin, "pump-7", v1::Stage::Provisioned).await;
    // The device is away. What is over before it comes is not done.
    for (id, within_ms) in [("over", 1), ("in-time", 0), ("taken-back", 0)] {
        let request = v1::RunCommand {
            command_id: id.into(),
            device_id: "pump-7".into(),
            name: "open".into(),
            within_ms,
            ..v1::RunCommand::default()
        };
        let _: v1::Changed = admin.ask(ServiceName::Registry, "command-run", &request).await;
    }
    for _ in 0..600 {
        if shown(&admin, "over").await.state() == CommandState::TimedOut {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let over = shown(&admin, "over").await;
    assert_eq!(
        (over.state(), over.sent_at_ms),
        (CommandState::TimedOut, 0),
        "{over:?}"
    );
    let pump = world.connect(&identity, "").await;
    let next = async || -> v1::CommandOrder {
        let ask = v1::GetCommand::default();
        pump.ask(ServiceName::Registry, "command", &ask).await
    };
    let verb = "command-report";
    assert_eq!(next().await.command_id, "in-time");
    for state in [CommandState::Running, CommandState::Succeeded] {
        let _: v1::Done = pump
            .ask(ServiceName::Registry, verb, &said("in-time", state))
            .await;
    }
    // It has the order; what was taken back by then does not begin.
    assert_eq!(next().await.command_id, "taken-back");
    let cancel = v1::CancelCommand {
        command_id: "taken-back".into(),
        ..v1::CancelCommand::default()
    };
    let _: v1::Changed = admin.ask(ServiceName::Registry, "command-cancel", &cancel).await;
    let begins = said("taken-back", CommandState::Running);
    let refusal = pump.refused(ServiceName::Registry, verb, &begins).await;
    assert_eq!(refusal.code, contract::Code::NotAllowed);
    assert_eq!(next().await.command_id, "", "nothing is left to do");
    // A device that did it all the same is heard, and the end stays the end.
    for id in ["over", "taken-back"] {
        let late = said(id, CommandState::Succeeded);
        let _: v1::Done = pump.ask(ServiceName::Registry, verb, &late).await;
    }
    let ends = async |admin: &Person| {
        let mut ends = Vec::new();
        for id in ["over", "in-time", "taken-back"] {
            let command = shown(admin, id).await;
            ends.push((command.state(), command.late(), command.output));
        }
        ends
    };
    let expected = [
        (CommandState::TimedOut, CommandState::Succeeded, String::new()),
        (
            CommandState::Succeeded,
            CommandState::Unspecified,
            "done".to_owned(),
        ),
        (CommandState::Cancelled, CommandState::Succeeded, String::new()),
    ];
    assert_eq!(ends(&admin).await, expected);
    world.kill();
    world.start().await;
    let again = world
        .connect(&world.identity(&world.folder().join("people/admin")), "again")
        .await;
    assert_eq!(ends(&again).await, expected, "after a kill as well");
}
