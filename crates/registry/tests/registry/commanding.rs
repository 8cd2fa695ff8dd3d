//! Commands to devices.

use contract::{
    Leaf, Principal, Root, ServiceName,
    v1::{
        AskCommand, CancelCommand, ChangeMembers, Changed, CommandNames, CommandOrder, CommandOutputRead,
        CommandOutputTaken, CommandShown, CommandState, CommandWarrant, CommandWhy, CommandsListed,
        DeviceCommand, Done, GetCommand, JobDevicesListed, ListCommands, ListJobDevices, ManifestSignature,
        MembersChanged, PutCommandOutput, PutGroup, PutType, ReadCommandOutput, Rejection, ReplaceDevice,
        ReportCommand, RetireDevice, RunCommand, RunJob, ShowCommand,
    },
};
use proptest::prelude::*;

use crate::world::{ADA, Answered, World, change, data, register, registered};

const PUMP: &str = "devices/pump-7";

fn run_for(w: &mut World, id: &str, name: &str, within_ms: u64) -> Answered<Changed> {
    let request = RunCommand {
        command_id: id.into(),
        device_id: "pump-7".into(),
        name: name.into(),
        arguments: r#"{"lines":2}"#.into(),
        within_ms,
        ..Default::default()
    };
    w.ask(ADA, "command-run", &request)
}

fn run(w: &mut World, id: &str) -> Answered<Changed> {
    run_for(w, id, "logs", 1_000)
}

fn given(w: &mut World, can: &[&str]) -> CommandOrder {
    let request = GetCommand {
        can: can.iter().map(|name| (*name).to_owned()).collect(),
        ..Default::default()
    };
    w.ask(PUMP, "command", &request).unwrap()
}

fn report(w: &mut World, id: &str, state: CommandState, output: &str) -> Answered<Done> {
    let request = ReportCommand {
        command_id: id.into(),
        state: state.into(),
        output: output.into(),
        ..Default::default()
    };
    w.ask(PUMP, "command-report", &request)
}

fn cancel(w: &mut World, id: &str) -> Answered<Changed> {
    let request = CancelCommand {
        command_id: id.into(),
        ..Default::default()
    };
    w.ask(ADA, "command-cancel", &request)
}

fn shown(w: &mut World, id: &str) -> Answered<DeviceCommand> {
    let request = ShowCommand {
        command_id: id.into(),
        ..Default::default()
    };
    let shown = w.ask::<CommandShown>(ADA, "command-show", &request);
    shown.map(|shown| shown.command.unwrap())
}

fn state(w: &mut World, id: &str) -> CommandState {
    shown(w, id).unwrap().state()
}

/// How often the device was called since the last time.
fn calls(w: &mut World) -> usize {
    let who: Principal = PUMP.parse().unwrap();
    let topic = Root::default().down(&who, ServiceName::Registry, "command", Leaf::Push);
    let frames = std::mem::take(&mut w.frames);
    frames.iter().filter(|frame| frame.topic == topic).count()
}

fn code<T: std::fmt::Debug>(refused: Answered<T>) -> String {
    let Rejection { code, .. } = refused.unwrap_err();
    code
}

fn world() -> World {
    let mut w = World::new();
    w.activate("pump-7");
    w
}

#[test]
fn a_command_goes_its_way_and_each_step_is_told() {
    let mut w = world();
    w.events();
    run(&mut w, "c-1").unwrap();
    run(&mut w, "c-2").unwrap();
    assert_eq!(calls(&mut w), 2);
    let order = given(&mut w, &[]);
    assert_eq!(
        (
            order.command_id.as_str(),
            order.name.as_str(),
            order.arguments.as_str()
        ),
        ("c-1", "logs", r#"{"lines":2}"#)
    );
    assert_eq!((order.state(), order.remaining_ms), (CommandState::Sent, 1_000));
    report(&mut w, "c-1", CommandState::Running, "").unwrap();
    // Asked again, it is the one that was begun.
    assert_eq!(given(&mut w, &[]).state(), CommandState::Running);
    report(&mut w, "c-1", CommandState::Succeeded, "a\nb").unwrap();
    let command = shown(&mut w, "c-1").unwrap();
    assert_eq!(
        (command.state(), command.output.as_str()),
        (CommandState::Succeeded, "a\nb")
    );
    assert_eq!(given(&mut w, &[]).command_id, "c-2");
    let states: Vec<_> = w
        .events()
        .iter()
        .map(|e| format!("{} {} {}", e.name, data(e)["command_id"], data(e)["state"]).replace('"', ""))
        .collect();
    let prefix = "commanded c-";
    let expected = [
        "1 COMMAND_STATE_SENT",
        "1 COMMAND_STATE_RUNNING",
        "1 COMMAND_STATE_SUCCEEDED",
        "2 COMMAND_STATE_SENT",
    ];
    assert_eq!(states, expected.map(|rest| format!("{prefix}{rest}")));
    // Final is final, and the same end once more is no news.
    report(&mut w, "c-1", CommandState::Failed, "x").unwrap();
    assert_eq!(
        code(report(&mut w, "c-1", CommandState::Running, "")),
        "not-allowed"
    );
    assert_eq!(shown(&mut w, "c-1").unwrap(), command);
    assert_eq!(code(cancel(&mut w, "c-1")), "not-allowed");
    // Nobody tells of another's command.
    w.activate("pump-8");
    let other = ReportCommand {
        command_id: "c-2".into(),
        state: CommandState::Succeeded.into(),
        ..Default::default()
    };
    assert_eq!(
        code(w.ask::<Done>("devices/pump-8", "command-report", &other)),
        "not-found"
    );
}

#[test]
fn a_name_stands_for_one_command_and_what_cannot_be_is_refused() {
    let mut w = world();
    let first = run(&mut w, "c-1").unwrap();
    calls(&mut w);
    let again = run(&mut w, "c-1").unwrap();
    assert_eq!((again.id, again.version), (first.id, first.version));
    assert_eq!(calls(&mut w), 0);
    assert_eq!(code(run_for(&mut w, "c-1", "restart", 1_000)), "exists");
    assert_eq!(code(run_for(&mut w, "C-1", "logs", 1_000)), "exists");
    assert_eq!(code(run_for(&mut w, "", "logs", 1_000)), "invalid");
    assert_eq!(code(run_for(&mut w, "c-2", "a/b", 1_000)), "invalid");
    assert_eq!(
        code(run_for(&mut w, "c-2", "logs", 31 * 24 * 3_600_000)),
        "invalid"
    );
    given(&mut w, &["restart", "logs", "logs"]);
    let refused = run_for(&mut w, "c-2", "dance", 1_000).unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.allowed),
        ("precondition", vec!["logs".to_owned(), "restart".to_owned()])
    );
    for n in 2..=16 {
        run(&mut w, &format!("c-{n}")).unwrap();
    }
    assert_eq!(code(run(&mut w, "c-17")), "limit");
    cancel(&mut w, "c-16").unwrap();
    cancel(&mut w, "c-16").unwrap();
    run(&mut w, "c-17").unwrap();
    w.ask::<Changed>(
        ADA,
        "register",
        &contract::v1::RegisterDevice {
            planned: true,
            ..register("pump-9")
        },
    )
    .unwrap();
    let planned = RunCommand {
        command_id: "x".into(),
        device_id: "pump-9".into(),
        name: "logs".into(),
        ..Default::default()
    };
    assert_eq!(
        code(w.ask::<Changed>(ADA, "command-run", &planned)),
        "not-allowed"
    );
    let long = ReportCommand {
        command_id: "c-1".into(),
        state: CommandState::Succeeded.into(),
        output: "é".repeat(3_000),
        ..Default::default()
    };
    w.ask::<Done>(PUMP, "command-report", &long).unwrap();
    let command = shown(&mut w, "c-1").unwrap();
    assert_eq!((command.output.len(), command.output_cut), (4_096, true));
    assert_eq!(
        code(report(&mut w, "c-2", CommandState::Cancelled, "")),
        "invalid"
    );
}

#[test]
fn deadlines_and_cancelling_end_it_and_what_is_said_late_changes_nothing() {
    let mut w = world();
    for id in ["c-1", "c-2", "c-3"] {
        run(&mut w, id).unwrap();
    }
    given(&mut w, &[]);
    report(&mut w, "c-1", CommandState::Running, "").unwrap();
    cancel(&mut w, "c-2").unwrap();
    assert_eq!(code(cancel(&mut w, "c-1")), "not-allowed");
    w.wait(500);
    assert_eq!(state(&mut w, "c-1"), CommandState::Running);
    w.restart();
    w.wait(500);
    let states = ["c-1", "c-2", "c-3"].map(|id| state(&mut w, id));
    assert_eq!(
        states,
        [
            CommandState::TimedOut,
            CommandState::Cancelled,
            CommandState::TimedOut
        ]
    );
    assert_eq!(given(&mut w, &[]).command_id, "");
    assert_eq!(
        code(report(&mut w, "c-2", CommandState::Running, "")),
        "not-allowed"
    );
    report(&mut w, "c-1", CommandState::Succeeded, "late").unwrap();
    let command = shown(&mut w, "c-1").unwrap();
    assert_eq!(
        (command.state(), command.late()),
        (CommandState::TimedOut, CommandState::Succeeded)
    );
    report(&mut w, "c-1", CommandState::Failed, "later").unwrap();
    assert_eq!(shown(&mut w, "c-1").unwrap(), command);
}

#[test]
fn the_newest_that_ended_are_kept_and_a_retired_device_does_nothing_more() {
    let mut w = world();
    for n in 0..60 {
        let id = format!("c-{n}");
        run(&mut w, &id).unwrap();
        report(&mut w, &id, CommandState::Succeeded, "x").unwrap();
    }
    run(&mut w, "open").unwrap();
    assert_eq!(code(shown(&mut w, "c-9")), "not-found");
    let list = |w: &mut World, state: CommandState| -> Vec<String> {
        let request = ListCommands {
            device_id: "pump-7".into(),
            state: state.into(),
            page_size: 100,
            ..Default::default()
        };
        let listed: CommandsListed = w.ask(ADA, "command-list", &request).unwrap();
        assert!(
            listed
                .commands
                .iter()
                .all(|c| c.output.is_empty() && c.arguments.is_empty())
        );
        listed.commands.into_iter().map(|c| c.command_id).collect()
    };
    let kept = list(&mut w, CommandState::Succeeded);
    assert_eq!((kept.len(), kept[0].as_str()), (50, "c-10"));
    assert_eq!(list(&mut w, CommandState::Queued), ["open"]);
    assert_eq!((w.records("kd").len(), w.records("ki").len()), (51, 51));
    let request = RetireDevice {
        device_id: "pump-7".into(),
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "retire", &request).unwrap();
    assert_eq!(code(run(&mut w, "no")), "not-allowed");
    w.wait(1_000);
    let command = shown(&mut w, "open").unwrap();
    assert!(
        matches!(command.state(), CommandState::Cancelled | CommandState::TimedOut),
        "{command:?}"
    );
}

#[test]
fn a_long_output_arrives_in_pieces_and_goes_with_its_command() {
    let mut w = world();
    run(&mut w, "c-1").unwrap();
    let whole: Vec<u8> = (0..40_000u32).map(|n| n as u8).collect();
    let piece = |offset: usize| PutCommandOutput {
        command_id: "c-1".into(),
        offset: offset as u64,
        data: whole[offset..].iter().take(16_384).copied().collect(),
        size: whole.len() as u64,
        sha256: "ab".repeat(32),
        ..Default::default()
    };
    let put = |w: &mut World, piece: &PutCommandOutput| {
        let taken = w.ask::<CommandOutputTaken>(PUMP, "command-output", piece);
        taken.map(|taken| taken.next_offset)
    };
    let refused = |w: &mut World, piece: &PutCommandOutput| put(w, piece).unwrap_err().code;
    assert_eq!(put(&mut w, &piece(16_384)).unwrap(), 0);
    assert_eq!(put(&mut w, &piece(0)).unwrap(), 16_384);
    assert_eq!(put(&mut w, &piece(0)).unwrap(), 16_384);
    w.restart();
    let short = PutCommandOutput {
        data: vec![1],
        ..piece(16_384)
    };
    assert_eq!(refused(&mut w, &short), "invalid");
    for offset in [16_384, 32_768] {
        put(&mut w, &piece(offset)).unwrap();
    }
    assert_eq!(put(&mut w, &piece(0)).unwrap(), 40_000);
    let read = |w: &mut World, offset: u64| -> Answered<CommandOutputRead> {
        let request = ReadCommandOutput {
            command_id: "c-1".into(),
            offset,
            ..Default::default()
        };
        w.ask(ADA, "command-read", &request)
    };
    let mut again = Vec::new();
    while again.len() < 40_000 {
        let read = read(&mut w, again.len() as u64).unwrap();
        assert_eq!((read.size, read.sha256.as_str()), (40_000, &*"ab".repeat(32)));
        again.extend(read.data);
    }
    assert_eq!(again, whole);
    assert!(read(&mut w, 49_152).unwrap().data.is_empty());
    assert_eq!(code(read(&mut w, 5)), "invalid");
    // Another output begins anew; one that is too long, or a stranger's, does not.
    let other = PutCommandOutput {
        sha256: "cd".repeat(32),
        ..piece(0)
    };
    assert_eq!(put(&mut w, &other).unwrap(), 16_384);
    assert_eq!(w.records("ko").len(), 1);
    let long = PutCommandOutput {
        size: 256 * 1024 + 1,
        ..piece(0)
    };
    assert_eq!(refused(&mut w, &long), "too-large");
    w.activate("pump-8");
    let stranger = w.ask::<CommandOutputTaken>("devices/pump-8", "command-output", &piece(0));
    assert_eq!(code(stranger), "not-found");
    report(&mut w, "c-1", CommandState::Succeeded, "").unwrap();
    assert_eq!(refused(&mut w, &piece(0)), "not-allowed");
    assert_eq!(shown(&mut w, "c-1").unwrap().whole_arrived, 16_384);
    for n in 0..50 {
        let id = format!("d-{n}");
        run(&mut w, &id).unwrap();
        report(&mut w, &id, CommandState::Succeeded, "x").unwrap();
    }
    assert_eq!(code(shown(&mut w, "c-1")), "not-found");
    assert_eq!(w.records("ko").len(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens in whatever order: final states stay, versions grow, and nothing is given twice as not begun.
    #[test]
    fn final_states_stay_final(steps in prop::collection::vec((0..3usize, 0..8u32), 1..60)) {
        let mut w = world();
        let ids = ["a", "b", "c"];
        let mut before: Vec<Option<DeviceCommand>> = vec![None; 3];
        for (at, what) in steps {
            let id = ids[at];
            match what {
                0 => drop(run(&mut w, id)),
                1 => drop(cancel(&mut w, id)),
                2 => {
                    let order = given(&mut w, &[]);
                    if let Some(n) = ids.iter().position(|id| *id == order.command_id) {
                        let begun = before[n].as_ref().is_some_and(|c| c.started_at_ms != 0);
                        prop_assert_eq!(begun, order.state() == CommandState::Running);
                    }
                }
                3 | 4 => drop(report(&mut w, id, CommandState::Running, "")),
                5 => drop(report(&mut w, id, CommandState::Succeeded, "x")),
                6 => drop(report(&mut w, id, CommandState::Failed, "y")),
                _ => w.wait(400),
            }
            for (n, id) in ids.iter().enumerate() {
                let now = shown(&mut w, id).ok();
                if let Some(former) = &before[n] {
                    let now = now.as_ref().unwrap();
                    prop_assert!(now.version >= former.version);
                    if former.ended_at_ms != 0 {
                        prop_assert_eq!((now.state, now.ended_at_ms, &now.output), (former.state, former.ended_at_ms, &former.output));
                    }
                }
                before[n] = now;
            }
        }
        // Each comes to an end.
        w.wait(1_000);
        for id in ids {
            if let Ok(command) = shown(&mut w, id) {
                prop_assert!(command.ended_at_ms != 0);
            }
        }
    }
}

/// What operators may order pump-7.
fn may(w: &mut World, name: &str) -> CommandWhy {
    let ask = AskCommand {
        device_id: "pump-7".into(),
        name: name.into(),
        ..Default::default()
    };
    w.ask(ADA, "command-why", &ask).unwrap()
}

fn names(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// `None`: what is said of it so far stays.
fn group(w: &mut World, id: &str, parent: Option<&str>, commands: Option<&str>, signed: Option<&str>) {
    let list = |text: &str| CommandNames { names: names(text) };
    let put = PutGroup {
        group_id: id.into(),
        parent: parent.map(str::to_owned),
        commands: commands.map(list),
        signed_commands: signed.map(list),
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "put-group", &put).unwrap();
}

fn set(w: &mut World, field: &str, value: &str) -> Answered<Changed> {
    w.ask(ADA, "change", &change("pump-7", &[(field, value)]))
}

/// A pump whose type, upper group and own record each let something.
fn ruled() -> World {
    let mut w = world();
    let kind = PutType {
        type_id: "pump".into(),
        commands: names("diagnose logs restart open"),
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "put-type", &kind).unwrap();
    group(&mut w, "berlin", None, Some("logs diagnose open open"), None);
    group(&mut w, "hall-3", Some("berlin"), None, None);
    let members = ChangeMembers {
        group_id: "hall-3".into(),
        device_ids: names("pump-7"),
        ..Default::default()
    };
    w.ask::<MembersChanged>(ADA, "join-group", &members).unwrap();
    set(&mut w, "type", "pump").unwrap();
    set(&mut w, "commands", "restart, logs diagnose").unwrap();
    w
}

#[test]
fn the_strictest_of_type_groups_and_device_counts_and_is_named() {
    let mut w = ruled();
    for (name, whom) in [
        ("dance", "`type pump` and `group berlin` and `device pump-7`"),
        ("restart", "`group berlin`"),
        ("open", "`device pump-7`"),
    ] {
        let refused = run_for(&mut w, name, name, 1_000).unwrap_err();
        assert_eq!(
            (refused.code.as_str(), refused.field.as_str()),
            ("not-allowed", "name")
        );
        let message = format!("`pump-7` may not be ordered to `{name}`, by the rule of {whom}");
        assert_eq!(refused.message, message);
        assert_eq!(refused.allowed, ["diagnose", "logs"]);
        let why = may(&mut w, name);
        assert_eq!((why.open, why.summary), (false, message));
    }
    let all = may(&mut w, "");
    assert_eq!(all.summary, "`pump-7` may be ordered: diagnose, logs");
    assert_eq!(all.commands, ["diagnose", "logs"]);
    let of: Vec<_> = all.rules.iter().map(|rule| rule.of.as_str()).collect();
    assert_eq!(of, ["type pump", "group berlin", "device pump-7"]);
    run_for(&mut w, "c-1", "logs", 1_000).unwrap();
    given(&mut w, &["logs"]);
    assert!(may(&mut w, "logs").open);
    assert!(
        may(&mut w, "diagnose")
            .summary
            .ends_with("says that it cannot do it")
    );
    // It stands after a restart, and nobody is told what it lets by accident.
    w.restart();
    assert_eq!(may(&mut w, "").commands, ["diagnose", "logs"]);
}

#[test]
fn what_is_not_said_of_a_rule_stays_and_an_empty_one_is_gone() {
    let mut w = ruled();
    group(&mut w, "berlin", None, None, None);
    assert!(!may(&mut w, "restart").open);
    group(&mut w, "berlin", None, Some(""), None);
    assert_eq!(may(&mut w, "").commands, ["diagnose", "logs", "restart"]);
    set(&mut w, "commands", "flush").unwrap();
    let why = may(&mut w, "");
    assert_eq!((why.open, why.commands.len()), (false, 0));
    let summary = "`pump-7` may be ordered: nothing: its rules have no command in common";
    assert_eq!(why.summary, summary);
    for (value, field) in [("a/b", "commands"), ("*", "commands")] {
        assert_eq!(set(&mut w, "commands", value).unwrap_err().field, field);
    }
    set(&mut w, "commands", "").unwrap();
    set(&mut w, "type", "").unwrap();
    assert_eq!(
        may(&mut w, "").summary,
        "`pump-7` may be ordered: whatever it can do"
    );
}

#[test]
fn what_a_rule_wants_signed_is_refused_without_a_signature() {
    let mut w = world();
    group(&mut w, "critical", None, None, Some("open"));
    let members = ChangeMembers {
        group_id: "critical".into(),
        device_ids: names("pump-7"),
        ..Default::default()
    };
    w.ask::<MembersChanged>(ADA, "join-group", &members).unwrap();
    let refused = run_for(&mut w, "c-1", "open", 1_000).unwrap_err();
    let message =
        "`pump-7` is ordered to `open` with an operator's signature only, by the rule of `group critical`";
    assert_eq!(
        (refused.message.as_str(), refused.field.as_str()),
        (message, "warrant")
    );
    run_for(&mut w, "c-2", "close", 1_000).unwrap();
    let now_ms = w.now_ms;
    let signed = |id: &str, name: &str| RunCommand {
        command_id: id.into(),
        device_id: "pump-7".into(),
        name: name.into(),
        warrant: Some(CommandWarrant {
            not_before_ms: now_ms,
            expires_ms: now_ms + 60_000,
            signatures: vec![ManifestSignature {
                key_id: "0123456789abcdef".into(),
                signature: vec![7; 64],
            }],
        }),
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "command-run", &signed("c-3", "open"))
        .unwrap();
    let why = may(&mut w, "open");
    assert!(why.open && why.signed && why.summary.contains("`group critical`"));
    assert!(!may(&mut w, "close").signed);
    set(&mut w, "signed_commands", "*").unwrap();
    assert_eq!(
        run_for(&mut w, "c-4", "close", 1_000).unwrap_err().field,
        "warrant"
    );
    assert_eq!(
        may(&mut w, "").summary,
        "`pump-7` may be ordered: whatever it can do; all of that with a signature only"
    );
    // In a job it is told of the device.
    let job = RunJob {
        job_id: "all".into(),
        name: "close".into(),
        device_ids: names("pump-7"),
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "job-run", &job).unwrap();
    w.wait(1);
    let list = ListJobDevices {
        job_id: "all".into(),
        ..Default::default()
    };
    let rows: JobDevicesListed = w.ask(ADA, "job-devices", &list).unwrap();
    assert_eq!(rows.devices[0].state(), CommandState::Rejected);
    assert!(rows.devices[0].error.contains("`device pump-7`"), "{rows:?}");
}

#[test]
fn a_successor_is_told_no_more_than_whose_place_it_takes() {
    let mut w = ruled();
    set(&mut w, "signed_commands", "open").unwrap();
    set(&mut w, "command_deadline", "1m").unwrap();
    let fields = [
        ("commands", "dance"),
        ("signed_commands", "logs"),
        ("command_deadline", "2m"),
    ];
    w.ask::<Changed>(ADA, "register", &registered("pump-9", &fields))
        .unwrap();
    let replace = ReplaceDevice {
        device_id: "pump-7".into(),
        successor_id: "pump-9".into(),
        reason: "worn".into(),
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "replace", &replace).unwrap();
    let new = w.device("pump-9");
    assert_eq!(new.commands_within_ms, 60_000);
    assert_eq!(new.commands, ["diagnose", "logs", "restart"]);
    assert_eq!(new.signed_commands, ["logs", "open"]);
}

fn bounded(w: &mut World, id: &str, within_ms: u64, at_once: u32) {
    let put = PutGroup {
        group_id: id.into(),
        commands_within_ms: Some(within_ms),
        commands_at_once: Some(at_once),
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "put-group", &put).unwrap();
}

#[test]
fn the_shortest_deadline_of_type_groups_and_device_counts_and_is_named() {
    let mut w = ruled();
    let kind = PutType {
        type_id: "pump".into(),
        commands: names("diagnose logs restart open"),
        commands_within_ms: 7_200_000,
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "put-type", &kind).unwrap();
    bounded(&mut w, "berlin", 600_000, 0);
    let asked = |w: &mut World, id: &str, within_ms: u64| run_for(w, id, "logs", within_ms);
    let refused = asked(&mut w, "c-1", 7_200_001).unwrap_err();
    assert_eq!(
        (
            refused.code.as_str(),
            refused.field.as_str(),
            refused.message.as_str()
        ),
        (
            "not-allowed",
            "within_ms",
            "a command may have 10m at most, by the rule of `type pump` and `group berlin`"
        )
    );
    asked(&mut w, "c-2", 600_000).unwrap();
    // Who says nothing has as much of the usual hour as is let, and the same once more is the same when the rule changed.
    asked(&mut w, "c-3", 0).unwrap();
    let command = shown(&mut w, "c-3").unwrap();
    assert_eq!(command.deadline_ms - command.created_at_ms, 600_000);
    bounded(&mut w, "berlin", 0, 0);
    asked(&mut w, "c-3", 0).unwrap();
    assert_eq!(asked(&mut w, "c-3", 600_001).unwrap_err().code, "exists");
    assert_eq!(
        asked(&mut w, "c-4", 7_200_001).unwrap_err().message,
        "a command may have 2h at most, by the rule of `type pump`"
    );
    set(&mut w, "command_deadline", "90s").unwrap();
    assert_eq!(asked(&mut w, "c-5", 90_001).unwrap_err().code, "not-allowed");
    let why = may(&mut w, "logs");
    assert_eq!((why.within_ms, why.at_once), (90_000, 0));
    assert_eq!(
        why.summary,
        "`pump-7` may be ordered to `logs`; within 1m 30s by the rule of `device pump-7`"
    );
    set(&mut w, "command_deadline", "").unwrap();
    assert_eq!(may(&mut w, "").within_ms, 7_200_000);
    let long = PutGroup {
        group_id: "berlin".into(),
        commands_within_ms: Some(30 * 24 * 3_600_000 + 1),
        ..Default::default()
    };
    let refused = w.ask::<Changed>(ADA, "put-group", &long).unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.field.as_str()),
        ("invalid", "commands_within_ms")
    );
}
