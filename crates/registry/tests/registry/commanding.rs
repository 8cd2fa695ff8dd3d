//! Commands to devices.

use contract::{
    Leaf, Principal, Root, ServiceName,
    v1::{
        CancelCommand, Changed, CommandOrder, CommandOutputRead, CommandOutputTaken, CommandShown,
        CommandState, CommandsListed, DeviceCommand, Done, GetCommand, ListCommands, PutCommandOutput,
        ReadCommandOutput, Rejection, ReportCommand, RetireDevice, RunCommand, ShowCommand,
    },
};
use proptest::prelude::*;

use crate::world::{ADA, Answered, World, data, register};

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
