//! One command to many devices.

use contract::v1::{
    CancelJob, ChangeMembers, Changed, CommandJob, CommandOrder, CommandState, CommandWarrant, Done,
    GetCommand, JobDevice, JobDevicesListed, JobShown, JobState, JobWarrant, ListJobDevices,
    ManifestSignature, MembersChanged, PutGroup, RegisterDevices, RegisteredDevices, RetireDevice, RunJob,
    ShowJob,
};
use proptest::prelude::*;

use crate::world::{ADA, Answered, World, data, register};

const HALL: &str = "hall";

fn members(w: &mut World, ids: &[String]) {
    let group = PutGroup {
        group_id: HALL.into(),
        ..PutGroup::default()
    };
    w.ask::<Changed>(ADA, "put-group", &group).unwrap();
    for page in ids.chunks(500) {
        let devices = RegisterDevices {
            devices: page.iter().map(|id| register(id)).collect(),
            ..RegisterDevices::default()
        };
        let done: RegisteredDevices = w.ask(ADA, "register-many", &devices).unwrap();
        assert_eq!(done.registered as usize, page.len());
        let join = ChangeMembers {
            group_id: HALL.into(),
            device_ids: page.to_vec(),
            ..ChangeMembers::default()
        };
        w.ask::<MembersChanged>(ADA, "join-group", &join).unwrap();
    }
}

/// Pumps that are in the group and can report.
fn pumps(count: usize) -> (World, Vec<String>) {
    let mut w = World::new();
    let ids: Vec<_> = (0..count).map(|n| format!("Pump-{n:04}")).collect();
    members(&mut w, &ids);
    (w, ids)
}

fn hall(id: &str, at_once: u32) -> RunJob {
    RunJob {
        job_id: id.into(),
        name: "flush".into(),
        arguments: r#"{"valve":3}"#.into(),
        group: HALL.into(),
        at_once,
        within_ms: 10_000,
        each_within_ms: 1_000,
        ..RunJob::default()
    }
}

fn run(w: &mut World, job: &RunJob) -> Answered<Changed> {
    let changed = w.ask(ADA, "job-run", job);
    settle(w);
    changed
}

/// What follows at once from what has happened.
fn settle(w: &mut World) {
    (0..40).for_each(|_| w.wait(0));
}

fn job(w: &mut World, id: &str) -> CommandJob {
    let request = ShowJob {
        job_id: id.into(),
        ..ShowJob::default()
    };
    let shown: JobShown = w.ask(ADA, "job-show", &request).unwrap();
    shown.job.unwrap()
}

fn rows(w: &mut World, id: &str, state: CommandState) -> Vec<JobDevice> {
    let mut request = ListJobDevices {
        job_id: id.into(),
        state: state.into(),
        page_size: 3,
        ..ListJobDevices::default()
    };
    let mut rows = Vec::new();
    loop {
        let listed: JobDevicesListed = w.ask(ADA, "job-devices", &request).unwrap();
        rows.extend(listed.devices);
        if listed.next_page.is_empty() {
            return rows;
        }
        request.page = listed.next_page;
    }
}

fn all(w: &mut World, id: &str) -> Vec<JobDevice> {
    rows(w, id, CommandState::Unspecified)
}

/// What a device is given; a retired one is given nothing.
fn given(w: &mut World, device: &str) -> CommandOrder {
    w.ask(&format!("devices/{device}"), "command", &GetCommand::default())
        .unwrap_or_default()
}

fn report(w: &mut World, device: &str, command: &str, state: CommandState) -> Answered<Done> {
    let request = contract::v1::ReportCommand {
        command_id: command.into(),
        state: state.into(),
        error: "dry".into(),
        ..Default::default()
    };
    w.ask(&format!("devices/{device}"), "command-report", &request)
}

/// A device does what it is given; whether there was anything.
fn does(w: &mut World, device: &str, end: CommandState) -> bool {
    let order = given(w, device);
    if order.command_id.is_empty() {
        return false;
    }
    report(w, device, &order.command_id, CommandState::Running).unwrap();
    report(w, device, &order.command_id, end).unwrap();
    settle(w);
    true
}

fn cancel(w: &mut World, id: &str) -> Answered<Changed> {
    let request = CancelJob {
        job_id: id.into(),
        ..CancelJob::default()
    };
    w.ask(ADA, "job-cancel", &request)
}

/// Holds a job to its rows; the numbers of devices by state.
fn checked(w: &mut World, id: &str) -> CommandJob {
    let (job, rows) = (job(w, id), all(w, id));
    let counts = job.counts.unwrap_or_default();
    let counted = [
        (CommandState::Waiting, counts.waiting),
        (CommandState::Queued, counts.queued),
        (CommandState::Sent, counts.sent),
        (CommandState::Running, counts.running),
        (CommandState::Succeeded, counts.succeeded),
        (CommandState::Failed, counts.failed),
        (CommandState::Rejected, counts.rejected),
        (CommandState::TimedOut, counts.timed_out),
        (CommandState::Cancelled, counts.cancelled),
    ];
    for (state, count) in counted {
        let found = rows.iter().filter(|row| row.state() == state).count();
        assert_eq!(found, count as usize, "{state:?} of {job:?}");
    }
    let sum: u32 = counted.iter().map(|(_, count)| count).sum();
    assert_eq!((sum, rows.len()), (job.devices, job.devices as usize));
    let under_way = counts.queued + counts.sent + counts.running;
    assert!(under_way <= job.at_once, "{job:?}");
    let open = under_way + counts.waiting;
    assert_eq!(open == 0, job.ended_at_ms != 0, "{job:?}");
    job
}

#[test]
fn a_group_has_its_turn_so_many_at_once_and_all_of_it_is_told() {
    let (mut w, ids) = pumps(5);
    w.events();
    run(&mut w, &hall("flush-1", 2)).unwrap();
    let made = w.events();
    let created = made.iter().find(|e| e.name == "created").unwrap();
    assert_eq!(created.subject, "jobs/flush-1");
    let start = checked(&mut w, "flush-1");
    let counts = start.counts.unwrap();
    assert_eq!((start.devices, counts.queued, counts.waiting), (5, 2, 3));
    assert_eq!(
        (start.state(), start.arguments.as_str()),
        (JobState::Running, r#"{"valve":3}"#)
    );
    // Only those whose turn it is have something to do.
    assert_eq!(given(&mut w, &ids[2]).command_id, "");
    let order = given(&mut w, &ids[1]);
    assert_eq!(
        (order.command_id.as_str(), order.name.as_str()),
        ("flush-1-2", "flush")
    );
    assert_eq!(
        (order.arguments.as_str(), order.remaining_ms),
        (r#"{"valve":3}"#, 1_000)
    );
    assert!(does(&mut w, &ids[1], CommandState::Succeeded));
    assert_eq!(checked(&mut w, "flush-1").counts.unwrap().queued, 2);
    assert!(does(&mut w, &ids[2], CommandState::Failed));
    for id in [&ids[0], &ids[3], &ids[4]] {
        assert!(does(&mut w, id, CommandState::Succeeded));
        assert!(!does(&mut w, id, CommandState::Succeeded));
    }
    let end = checked(&mut w, "flush-1");
    let counts = end.counts.unwrap();
    assert_eq!(
        (end.state(), counts.succeeded, counts.failed),
        (JobState::Failed, 4, 1)
    );
    let failed = rows(&mut w, "flush-1", CommandState::Failed);
    assert_eq!(
        (failed[0].device_id.as_str(), failed[0].error.as_str()),
        (ids[2].as_str(), "dry")
    );
    let told = w.events();
    let ended = told.iter().find(|e| e.name == "ended").unwrap();
    assert_eq!(data(ended)["counts"]["succeeded"], 4);
    // Within one second nothing is told of its progress.
    assert!(told.iter().all(|e| e.name != "progressed"));
}

#[test]
fn progress_is_told_at_a_pace() {
    let (mut w, ids) = pumps(4);
    let patient = RunJob {
        each_within_ms: 9_000,
        ..hall("j", 4)
    };
    run(&mut w, &patient).unwrap();
    w.wait(1_000);
    w.events();
    for id in &ids[..3] {
        w.wait(300);
        assert!(does(&mut w, id, CommandState::Succeeded));
    }
    w.wait(2_000);
    let told = w.events();
    let progress = told.iter().filter(|e| e.name == "progressed").count();
    assert!((1..=2).contains(&progress), "{progress}");
}

#[test]
fn what_cannot_be_told_is_refused_and_an_id_stands_for_one_job() {
    let (mut w, ids) = pumps(3);
    let code = |answer: Answered<Changed>| answer.unwrap_err().code;
    let two = RunJob {
        group: String::new(),
        device_ids: vec![ids[2].clone(), ids[0].clone(), ids[2].clone()],
        ..hall("two", 2)
    };
    run(&mut w, &two).unwrap();
    assert_eq!(all(&mut w, "two").len(), 2);
    let again = RunJob {
        device_ids: vec![ids[0].clone(), ids[2].clone()],
        ..two.clone()
    };
    run(&mut w, &again).unwrap();
    let other = |change: fn(&mut RunJob)| {
        let mut job = two.clone();
        change(&mut job);
        job
    };
    for (job, expected) in [
        (other(|j| j.device_ids.truncate(1)), "exists"),
        (other(|j| j.job_id = "TWO".into()), "exists"),
        (other(|j| j.at_once = 3), "exists"),
        (other(|j| j.arguments = "{}".into()), "exists"),
        (other(|j| j.at_once = 501), "invalid"),
        (other(|j| j.group = HALL.into()), "invalid"),
        (other(|j| j.device_ids.clear()), "invalid"),
        (other(|j| j.job_id = "x".repeat(57)), "invalid"),
        (other(|j| j.within_ms = u64::MAX), "invalid"),
        (other(|j| j.arguments = "[1]".into()), "invalid"),
    ] {
        assert_eq!(code(run(&mut w, &job)), expected, "{job:?}");
    }
    let unknown = RunJob {
        job_id: "x".into(),
        device_ids: vec!["nobody".into()],
        ..two.clone()
    };
    assert_eq!(code(run(&mut w, &unknown)), "not-found");
    let empty = PutGroup {
        group_id: "empty".into(),
        ..PutGroup::default()
    };
    w.ask::<Changed>(ADA, "put-group", &empty).unwrap();
    let nobody = RunJob {
        group: "empty".into(),
        ..hall("e", 1)
    };
    assert_eq!(code(run(&mut w, &nobody)), "precondition");
    // A device that cannot do it, or takes nothing any more, is left out with its reason.
    let can = GetCommand {
        can: vec!["restart".into()],
        ..GetCommand::default()
    };
    w.ask::<CommandOrder>(&format!("devices/{}", ids[1]), "command", &can)
        .unwrap();
    run(&mut w, &hall("all", 3)).unwrap();
    let rejected = rows(&mut w, "all", CommandState::Rejected);
    assert_eq!(rejected.len(), 1);
    assert!(rejected[0].error.contains("cannot do `flush`"), "{rejected:?}");
    checked(&mut w, "all");
}

fn warrant(signature: u8) -> CommandWarrant {
    CommandWarrant {
        not_before_ms: 1,
        expires_ms: 9_000_000_000_000,
        signatures: vec![ManifestSignature {
            key_id: "0123456789abcdef".into(),
            signature: vec![signature; 64],
        }],
    }
}

#[test]
fn signatures_reach_the_devices_that_they_are_for() {
    let (mut w, ids) = pumps(2);
    let of = |device: &str, n| JobWarrant {
        device_id: device.into(),
        warrant: Some(warrant(n)),
    };
    let job = RunJob {
        group: String::new(),
        device_ids: ids.clone(),
        warrants: vec![of(&ids[1], 2), of(&ids[0], 1)],
        ..hall("j", 2)
    };
    type Change = fn(&mut RunJob);
    let bad: [Change; 6] = [
        |j| drop(j.warrants.pop()),
        |j| j.warrants[0].device_id = "pump-x".into(),
        |j| j.warrants[0].warrant = None,
        |j| j.warrants[0].warrant.as_mut().unwrap().signatures.clear(),
        |j| j.warrants[0].warrant.as_mut().unwrap().expires_ms = 2,
        |j| {
            j.device_ids.clear();
            j.group = HALL.into();
        },
    ];
    for change in bad {
        let mut job = job.clone();
        change(&mut job);
        let refused = run(&mut w, &job).unwrap_err();
        assert_eq!(
            (refused.code.as_str(), refused.field.as_str()),
            ("invalid", "warrants")
        );
    }
    run(&mut w, &job).unwrap();
    for (n, id) in (1..).zip(&ids) {
        let order = given(&mut w, id);
        assert_eq!((order.order_id.as_str(), order.warrant), ("j", Some(warrant(n))));
    }
    assert!(all(&mut w, "j").iter().all(|row| row.warrant.is_none()));
    assert!(does(&mut w, &ids[0], CommandState::Succeeded));
    let single = contract::v1::RunCommand {
        command_id: "c-1".into(),
        device_id: ids[0].clone(),
        name: "wipe".into(),
        warrant: Some(warrant(3)),
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "command-run", &single).unwrap();
    let order = given(&mut w, &ids[0]);
    assert_eq!((order.order_id.as_str(), order.warrant), ("", Some(warrant(3))));
    let mut other = single.clone();
    other.warrant = Some(warrant(4));
    assert_eq!(
        w.ask::<Changed>(ADA, "command-run", &other).unwrap_err().code,
        "exists"
    );
    other.command_id = "c-2".into();
    other.warrant.as_mut().unwrap().signatures[0].signature.pop();
    assert_eq!(
        w.ask::<Changed>(ADA, "command-run", &other).unwrap_err().code,
        "invalid"
    );
}

#[test]
fn a_type_says_what_operators_may_order() {
    let (mut w, ids) = pumps(2);
    let pump = |commands: &[&str]| contract::v1::PutType {
        type_id: "pump".into(),
        commands: commands.iter().map(|name| (*name).to_owned()).collect(),
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "put-type", &pump(&["logs", "diagnose", "logs"]))
        .unwrap();
    let typed = crate::world::change(&ids[0], &[("type", "pump")]);
    w.ask::<Changed>(ADA, "change", &typed).unwrap();
    let order = |name: &str| contract::v1::RunCommand {
        command_id: format!("c-{name}"),
        device_id: ids[0].clone(),
        name: name.into(),
        ..Default::default()
    };
    let refused = w.ask::<Changed>(ADA, "command-run", &order("flush")).unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.field.as_str()),
        ("not-allowed", "name")
    );
    assert_eq!(refused.allowed, ["diagnose", "logs"]);
    w.ask::<Changed>(ADA, "command-run", &order("logs")).unwrap();
    run(&mut w, &hall("j", 2)).unwrap();
    let rejected = rows(&mut w, "j", CommandState::Rejected);
    assert_eq!(
        (rejected.len(), rejected[0].device_id.as_str()),
        (1, ids[0].as_str())
    );
    assert!(rejected[0].error.contains("rule of `type pump`"), "{rejected:?}");
    // The list is the type's: without it, everything may be.
    w.ask::<Changed>(ADA, "put-type", &pump(&[])).unwrap();
    w.ask::<Changed>(ADA, "command-run", &order("flush")).unwrap();
    let many: Vec<_> = (0..65).map(|n| format!("c{n}")).collect();
    let many = pump(&many.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(
        w.ask::<Changed>(ADA, "put-type", &many).unwrap_err().code,
        "too-large"
    );
    assert_eq!(
        w.ask::<Changed>(ADA, "put-type", &pump(&["a/b"]))
            .unwrap_err()
            .code,
        "invalid"
    );
}

#[test]
fn open_jobs_are_bounded() {
    let (mut w, ids) = pumps(65);
    let one = |n: usize| RunJob {
        job_id: format!("j{n}"),
        group: String::new(),
        device_ids: vec![ids[n].clone()],
        ..hall("", 1)
    };
    for n in 0..64 {
        w.ask::<Changed>(ADA, "job-run", &one(n)).unwrap();
    }
    let refused = w.ask::<Changed>(ADA, "job-run", &one(64)).unwrap_err();
    assert_eq!(refused.code, "limit");
    settle(&mut w);
    assert!(does(&mut w, &ids[7], CommandState::Succeeded));
    run(&mut w, &one(64)).unwrap();
}

#[test]
fn cancelling_takes_back_what_was_not_begun() {
    let (mut w, ids) = pumps(6);
    run(&mut w, &hall("j", 3)).unwrap();
    given(&mut w, &ids[0]);
    report(&mut w, &ids[0], "j-1", CommandState::Running).unwrap();
    given(&mut w, &ids[1]);
    cancel(&mut w, "j").unwrap();
    settle(&mut w);
    let job = checked(&mut w, "j");
    let counts = job.counts.unwrap();
    assert_eq!(
        (job.state(), counts.running, counts.cancelled),
        (JobState::Ending, 1, 5)
    );
    cancel(&mut w, "j").unwrap();
    assert_eq!(
        report(&mut w, &ids[1], "j-2", CommandState::Running)
            .unwrap_err()
            .code,
        "not-allowed"
    );
    report(&mut w, &ids[0], "j-1", CommandState::Succeeded).unwrap();
    let job = checked(&mut w, "j");
    assert_eq!(job.state(), JobState::Cancelled);
    assert!(job.reason.contains("operators/ada"), "{job:?}");
    cancel(&mut w, "j").unwrap();
    run(&mut w, &hall("k", 6)).unwrap();
    for id in &ids {
        does(&mut w, id, CommandState::Succeeded);
    }
    assert_eq!(checked(&mut w, "k").state(), JobState::Succeeded);
    assert_eq!(cancel(&mut w, "k").unwrap_err().code, "not-allowed");
}

#[test]
fn time_ends_each_device_and_the_whole() {
    let (mut w, ids) = pumps(4);
    let long = RunJob {
        within_ms: 2_500,
        ..hall("j", 1)
    };
    run(&mut w, &long).unwrap();
    for _ in 0..5 {
        w.wait(500);
        w.restart();
        settle(&mut w);
    }
    let job = checked(&mut w, "j");
    assert_eq!(
        (job.state(), job.counts.unwrap().timed_out),
        (JobState::TimedOut, 4)
    );
    let last = all(&mut w, "j").pop().unwrap();
    assert_eq!(
        (last.command_id.as_str(), last.error.contains("before its turn")),
        ("", true)
    );
    assert_eq!(given(&mut w, &ids[3]).command_id, "");
    // It is kept for thirty days, and then nothing of it is.
    w.wait(30 * 24 * 3_600_000);
    settle(&mut w);
    for prefix in ["kj", "ka", "kr", "kw"] {
        assert_eq!(w.records(prefix), [], "{prefix}");
    }
}

#[test]
fn a_retired_device_is_cancelled_and_does_not_hold_the_others_up() {
    let (mut w, ids) = pumps(3);
    run(&mut w, &hall("j", 1)).unwrap();
    for id in &ids[..2] {
        let request = RetireDevice {
            device_id: id.clone(),
            reason: "worn".into(),
            ..RetireDevice::default()
        };
        w.ask::<Changed>(ADA, "retire", &request).unwrap();
        settle(&mut w);
    }
    assert!(does(&mut w, &ids[2], CommandState::Succeeded));
    let job = checked(&mut w, "j");
    assert_eq!(
        (job.state(), job.counts.unwrap().succeeded),
        (JobState::Failed, 1)
    );
}

#[test]
fn what_a_step_costs_does_not_grow_with_the_group() {
    let size = |count: usize| {
        let (mut w, ids) = pumps(count);
        run(&mut w, &hall("j", 2)).unwrap();
        assert_eq!(checked(&mut w, "j").devices as usize, count);
        assert!(does(&mut w, &ids[0], CommandState::Succeeded));
        let bytes = |w: &World, prefix: &str| w.records(prefix).iter().map(|(_, v)| v.len()).max().unwrap();
        assert_eq!(w.records("kw").len(), 2.min(count - 1));
        (bytes(&w, "kj"), bytes(&w, "kr"))
    };
    let (small, large) = (size(3), size(1_100));
    // Numbers have a few digits more.
    assert!(
        large.0 <= small.0 + 16 && large.1 <= small.1 + 4,
        "{small:?} {large:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever happens in whatever order: counts add up, final states stay, no device has its turn twice, and all of
    /// it ends.
    #[test]
    fn counts_add_up_and_final_states_stay(
        steps in prop::collection::vec((0..5usize, 0..12u32), 1..60),
        at_once in 1..4u32,
    ) {
        let (mut w, ids) = pumps(5);
        let mut before: [Vec<JobDevice>; 2] = [Vec::new(), Vec::new()];
        let mut ended: [Option<CommandJob>; 2] = [None, None];
        let mut begun = std::collections::BTreeSet::new();
        for (at, what) in steps {
            let device = &ids[at];
            match what {
                0 | 1 => drop(run(&mut w, &hall(&format!("j{what}"), at_once))),
                2 => drop(cancel(&mut w, &format!("j{}", at % 2))),
                3..=5 => {
                    let order = given(&mut w, device);
                    if !order.command_id.is_empty() && order.state() == CommandState::Sent {
                        prop_assert!(!begun.contains(&order.command_id));
                        if what > 3 && report(&mut w, device, &order.command_id, CommandState::Running).is_ok() {
                            begun.insert(order.command_id);
                        }
                    }
                }
                6 | 7 => {
                    let order = given(&mut w, device);
                    let end = if what == 6 { CommandState::Succeeded } else { CommandState::Failed };
                    drop(report(&mut w, device, &order.command_id, end));
                }
                8 => w.restart(),
                9 => w.wait(300),
                // Somebody cancels one device's command alone.
                10 => {
                    let request = contract::v1::CancelCommand {
                        command_id: format!("j0-{}", at + 1),
                        ..Default::default()
                    };
                    drop(w.ask::<Changed>(ADA, "command-cancel", &request));
                }
                _ if at == 4 => {
                    let request = RetireDevice { device_id: device.clone(), reason: "x".into(), ..Default::default() };
                    drop(w.ask::<Changed>(ADA, "retire", &request));
                }
                _ => settle(&mut w),
            }
            for n in 0..2 {
                let id = format!("j{n}");
                if w.records("kj").iter().all(|(key, _)| *key != id) {
                    continue;
                }
                let job = checked(&mut w, &id);
                let now = all(&mut w, &id);
                for (former, row) in before[n].iter().zip(&now) {
                    prop_assert_eq!((&former.device_id, former.number), (&row.device_id, row.number));
                    prop_assert!(row.since_ms >= former.since_ms);
                    if former.state() as i32 >= CommandState::Succeeded as i32 && former.state() != CommandState::Waiting {
                        prop_assert_eq!(former, row);
                    }
                    if former.state() != CommandState::Waiting {
                        prop_assert!(row.state() != CommandState::Waiting);
                    }
                }
                prop_assert!(now.len() >= before[n].len());
                before[n] = now;
                if let Some(end) = &ended[n] {
                    prop_assert_eq!(end, &job);
                } else if job.ended_at_ms != 0 {
                    ended[n] = Some(job);
                }
            }
        }
        for _ in 0..12 {
            w.wait(1_000);
            settle(&mut w);
        }
        for n in 0..2 {
            let id = format!("j{n}");
            if w.records("kj").iter().any(|(key, _)| *key == id) {
                prop_assert!(checked(&mut w, &id).ended_at_ms != 0);
            }
        }
        prop_assert_eq!(w.records("kw").len(), 0);
    }
}

fn bounded(w: &mut World, group: &str, within_ms: u64, at_once: u32) {
    let put = PutGroup {
        group_id: group.into(),
        commands_within_ms: Some(within_ms),
        commands_at_once: Some(at_once),
        ..PutGroup::default()
    };
    w.ask::<Changed>(ADA, "put-group", &put).unwrap();
}

#[test]
fn a_job_to_a_group_keeps_its_bounds_and_those_above() {
    let (mut w, _) = pumps(3);
    bounded(&mut w, "works", 0, 2);
    let within = PutGroup {
        group_id: HALL.into(),
        parent: Some("works".into()),
        commands_within_ms: Some(500),
        ..PutGroup::default()
    };
    w.ask::<Changed>(ADA, "put-group", &within).unwrap();
    settle(&mut w);
    let refused = run(&mut w, &hall("j-1", 3)).unwrap_err();
    assert_eq!(
        (
            refused.code.as_str(),
            refused.field.as_str(),
            refused.message.as_str()
        ),
        (
            "not-allowed",
            "at_once",
            "2 devices at once at most, by the rule of `group works`"
        )
    );
    let refused = run(&mut w, &hall("j-1", 2)).unwrap_err();
    assert_eq!(refused.field, "each_within_ms");
    assert_eq!(
        refused.message,
        "a command may have 500ms at most, by the rule of `group hall`"
    );
    let unsaid = RunJob {
        each_within_ms: 0,
        ..hall("j-1", 0)
    };
    run(&mut w, &unsaid).unwrap();
    let made = job(&mut w, "j-1");
    assert_eq!((made.at_once, made.each_within_ms), (2, 500));
    // The same once more is the same, whatever the rule has become.
    bounded(&mut w, "works", 0, 0);
    run(&mut w, &unsaid).unwrap();
    assert_eq!(run(&mut w, &hall("j-1", 0)).unwrap_err().code, "exists");
}

#[test]
fn a_device_whose_rule_lets_fewer_at_once_waits_and_so_do_those_after_it() {
    let (mut w, ids) = pumps(5);
    // The third is of a group of which one at a time is let; the group has no part in the job.
    bounded(&mut w, "boilers", 0, 1);
    let join = ChangeMembers {
        group_id: "boilers".into(),
        device_ids: vec![ids[2].clone()],
        ..ChangeMembers::default()
    };
    w.ask::<MembersChanged>(ADA, "join-group", &join).unwrap();
    run(&mut w, &hall("j-1", 4)).unwrap();
    let waits = checked(&mut w, "j-1");
    assert_eq!(
        (waits.held_at_once, waits.held_by.as_str()),
        (1, "`group boilers`")
    );
    assert_eq!(waits.counts.unwrap().waiting, 3);
    assert!(does(&mut w, &ids[0], CommandState::Succeeded));
    assert_eq!(checked(&mut w, "j-1").counts.unwrap().waiting, 3);
    w.restart();
    assert!(does(&mut w, &ids[1], CommandState::Succeeded));
    // Now it has its turn, and those after it are under no such rule.
    let goes = checked(&mut w, "j-1");
    assert_eq!((goes.held_at_once, goes.counts.unwrap().waiting), (0, 0));
    for id in &ids[2..] {
        assert!(does(&mut w, id, CommandState::Succeeded));
    }
    assert_eq!(checked(&mut w, "j-1").state(), JobState::Succeeded);
}

#[test]
fn a_device_whose_rule_lets_less_time_than_is_said_is_left_out() {
    let (mut w, ids) = pumps(2);
    bounded(&mut w, "boilers", 400, 0);
    let join = ChangeMembers {
        group_id: "boilers".into(),
        device_ids: vec![ids[1].clone()],
        ..ChangeMembers::default()
    };
    w.ask::<MembersChanged>(ADA, "join-group", &join).unwrap();
    run(&mut w, &hall("j-1", 2)).unwrap();
    let out = rows(&mut w, "j-1", CommandState::Rejected);
    assert_eq!(out.len(), 1);
    assert_eq!(
        (out[0].device_id.as_str(), out[0].error.as_str()),
        (
            ids[1].as_str(),
            "a command may have 400ms at most, by the rule of `group boilers`"
        )
    );
    // Where nothing is said, it has what is let.
    let unsaid = RunJob {
        each_within_ms: 0,
        ..hall("j-2", 2)
    };
    run(&mut w, &unsaid).unwrap();
    assert!(rows(&mut w, "j-2", CommandState::Rejected).is_empty());
    w.wait(400);
    settle(&mut w);
    let late = rows(&mut w, "j-2", CommandState::TimedOut);
    assert_eq!((late.len(), late[0].device_id.as_str()), (1, ids[1].as_str()));
}
