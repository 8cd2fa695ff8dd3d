//! Operators who were granted something for some groups only.

use contract::{
    Kind, ServiceName,
    scope::Scope,
    v1::*,
    verb::{Audit, VERBS},
};

use crate::world::{ADA, World, register, registered};

const EVE: &str = "operators/eve";

/// `in-1` is in Eve's group `berlin`, `out-1` in `rome`, `out-2` in none. Eve is an admin there.
fn world() -> World {
    let mut w = World::new();
    for group in ["berlin", "rome"] {
        let put = PutGroup {
            group_id: group.into(),
            ..PutGroup::default()
        };
        w.ask::<Changed>(ADA, "put-group", &put).unwrap();
    }
    for (id, group) in [("in-1", "berlin"), ("out-1", "rome")] {
        w.ask::<Changed>(ADA, "register", &register(id)).unwrap();
        w.ask::<MembersChanged>(ADA, "join-group", &members(group, id))
            .unwrap();
    }
    w.ask::<Changed>(ADA, "register", &register("out-2")).unwrap();
    w.ask::<Changed>(ADA, "put-person", &eve(&[grant(Role::Admin, &["berlin"], &[])]))
        .unwrap();
    w
}

fn members(group: &str, device: &str) -> ChangeMembers {
    ChangeMembers {
        group_id: group.into(),
        device_ids: vec![device.into()],
        ..ChangeMembers::default()
    }
}

fn grant(role: Role, groups: &[&str], verbs: &[&str]) -> Grant {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Grant {
        role: role.into(),
        groups: texts(groups),
        verbs: texts(verbs),
        ..Grant::default()
    }
}

fn eve(grants: &[Grant]) -> PutPerson {
    PutPerson {
        id: "eve".into(),
        kind: "operators".into(),
        grants: grants.to_vec(),
        ..PutPerson::default()
    }
}

/// A request of each verb that names devices, as JSON.
const ABOUT_A_DEVICE: &[(&str, &str)] = &[
    ("show", r#"{"device_id":"ID"}"#),
    ("history", r#"{"device_id":"ID"}"#),
    (
        "maintain",
        r#"{"device_id":"ID","kind":"MAINTENANCE_KIND_REPAIR"}"#,
    ),
    (
        "maintain-many",
        r#"{"records":[{"device_id":"ID","kind":"MAINTENANCE_KIND_REPAIR","at_ms":"1"}]}"#,
    ),
    ("maintenance", r#"{"device_id":"ID"}"#),
    ("transfer", r#"{"device_id":"ID","to":"south"}"#),
    ("cancel-transfer", r#"{"device_id":"ID"}"#),
    ("retirement", r#"{"device_id":"ID"}"#),
    ("why", r#"{"device_id":"ID","stage":"STAGE_RETIRED"}"#),
    ("change", r#"{"device_id":"ID","set":{"name":"x"}}"#),
    ("move", r#"{"device_id":"ID","stage":"STAGE_MAINTENANCE"}"#),
    ("suspend", r#"{"device_id":"ID","reason":"x"}"#),
    ("quarantine", r#"{"device_id":"ID","reason":"x"}"#),
    ("release", r#"{"device_id":"ID","reason":"x"}"#),
    ("retire", r#"{"device_id":"ID","reason":"x"}"#),
    (
        "replace",
        r#"{"device_id":"in-1","successor_id":"ID","reason":"x"}"#,
    ),
    ("attest", r#"{"device_id":"ID","check":"x","passed":true}"#),
    (
        "join-group",
        r#"{"group_id":"berlin","device_ids":["in-1","ID"]}"#,
    ),
    ("leave-group", r#"{"group_id":"berlin","device_ids":["ID"]}"#),
    ("config-show", r#"{"device_id":"ID"}"#),
    (
        "config-set",
        r#"{"device_id":"ID","mode":"CONFIG_MODE_MERGE","document":"{}"}"#,
    ),
    ("config-explain", r#"{"device_id":"ID"}"#),
    ("command-run", r#"{"device_id":"ID","name":"reboot"}"#),
    ("command-why", r#"{"device_id":"ID"}"#),
];

fn code(w: &mut World, n: usize, verb: &str, json: &str) -> String {
    let mut json: serde_json::Value = serde_json::from_str(json).unwrap();
    json["request_id"] = format!("{verb}-{n}").into();
    w.ask_raw("", EVE, verb, json.to_string().into_bytes()).rejected
}

fn entries(w: &mut World) -> Vec<AuditEntry> {
    w.ask::<AuditRead>(ADA, "audit", &ReadAudit::default())
        .unwrap()
        .entries
}

#[test]
fn every_verb_on_a_device_of_another_group_is_denied_and_told() {
    let mut w = world();
    let own = VERBS.iter().filter(|v| v.service == ServiceName::Registry);
    let named: Vec<_> = own.filter(|v| v.scope() == Scope::Devices).collect();
    assert_eq!(named.len(), ABOUT_A_DEVICE.len());
    for verb in named {
        let (_, json) = ABOUT_A_DEVICE
            .iter()
            .find(|(name, _)| *name == verb.name)
            .unwrap();
        for (n, id) in ["out-1", "out-2", "nobody", ""].into_iter().enumerate() {
            let before = entries(&mut w).len();
            assert_eq!(
                code(&mut w, n, verb.name, &json.replace("ID", id)),
                "denied",
                "{} {id}",
                verb.name
            );
            let told = entries(&mut w);
            let expected = usize::from(verb.audit == Audit::Recorded);
            assert_eq!(told.len() - before, expected, "{} {id}", verb.name);
            if expected == 1 {
                let entry = told.last().unwrap();
                assert_eq!((entry.who.as_str(), entry.outcome.as_str()), (EVE, "denied"));
                assert!(entry.reason.contains("`berlin`"), "{}", entry.reason);
            }
        }
        let found = code(&mut world(), 9, verb.name, &json.replace("ID", "in-1"));
        assert_ne!(found, "denied", "{}", verb.name);
    }
}

#[test]
fn a_device_of_mine_joins_no_group_of_others_and_leaves_none() {
    let mut w = world();
    for (n, verb) in ["join-group", "leave-group"].into_iter().enumerate() {
        let json = r#"{"group_id":"rome","device_ids":["in-1"]}"#;
        assert_eq!(code(&mut w, n, verb, json), "denied", "{verb}");
    }
}

#[test]
fn what_reaches_beyond_groups_is_denied_to_whoever_has_groups_only() {
    let mut w = world();
    let verbs = VERBS.iter().filter(|v| v.service == ServiceName::Registry);
    for verb in verbs.filter(|v| v.open_to(Kind::Operator) && v.scope() == Scope::Fleet) {
        assert_eq!(code(&mut w, 0, verb.name, "{}"), "denied", "{}", verb.name);
    }
    for verb in ["types", "show-type"] {
        assert_ne!(code(&mut w, 0, verb, "{}"), "denied", "{verb}");
    }
}

#[test]
fn lists_counts_and_events_are_of_what_is_in_sight() {
    let mut w = world();
    let listed: DevicesListed = w.ask(EVE, "list", &ListDevices::default()).unwrap();
    let ids: Vec<_> = listed.devices.iter().map(|d| d.device_id.as_str()).collect();
    assert_eq!(ids, ["in-1"]);
    for sort in ["-registered", "id"] {
        let ask = ListDevices {
            sort: sort.into(),
            r#where: "not group = oslo".into(),
            ..ListDevices::default()
        };
        let listed: DevicesListed = w.ask(EVE, "list", &ask).unwrap();
        assert_eq!(listed.devices.len(), 1, "{sort}");
    }
    let count = CountDevices {
        by: "group".into(),
        ..CountDevices::default()
    };
    let counted: DevicesCounted = w.ask(EVE, "count", &count).unwrap();
    assert_eq!((counted.total, counted.counts.len()), (1, 1));
    let counted: DevicesCounted = w.ask(ADA, "count", &count).unwrap();
    assert_eq!(counted.total, 3);
    let groups: GroupsListed = w.ask(EVE, "groups", &ListGroups::default()).unwrap();
    assert_eq!(groups.groups.len(), 1);
    let before = w.frames.len();
    let _: ReplayMarker = w.ask(EVE, "replay", &Replay::default()).unwrap();
    let replayed = w.frames[before..]
        .iter()
        .filter(|f| f.topic.ends_with("/replay/event"));
    for frame in replayed {
        let event: serde_json::Value = serde_json::from_slice(&frame.payload).unwrap();
        let subject = event["subject"].as_str().unwrap();
        assert!(["devices/in-1", "groups/berlin"].contains(&subject), "{subject}");
    }
}

#[test]
fn commands_of_other_groups_are_not_there() {
    let mut w = world();
    for (id, device) in [("c-in", "in-1"), ("c-out", "out-1")] {
        let run = RunCommand {
            command_id: id.into(),
            device_id: device.into(),
            name: "reboot".into(),
            ..RunCommand::default()
        };
        w.ask::<Changed>(ADA, "command-run", &run).unwrap();
    }
    let listed: CommandsListed = w.ask(EVE, "command-list", &ListCommands::default()).unwrap();
    let ids: Vec<_> = listed.commands.iter().map(|c| c.command_id.as_str()).collect();
    assert_eq!(ids, ["c-in"]);
    for (id, expected) in [("c-in", ""), ("c-out", "not-found")] {
        let json = format!(r#"{{"command_id":"{id}"}}"#);
        assert_eq!(code(&mut w, id.len(), "command-show", &json), expected);
        assert_eq!(code(&mut w, id.len(), "command-cancel", &json), expected);
    }
}

#[test]
fn a_grant_counts_for_its_verbs_and_as_long_as_it_stands() {
    let mut w = world();
    let only = grant(Role::Operator, &[], &["registry/suspend", "registry/show"]);
    w.ask::<Changed>(ADA, "put-person", &eve(&[only])).unwrap();
    let restrict = RestrictDevice {
        device_id: "out-2".into(),
        reason: "x".into(),
        ..RestrictDevice::default()
    };
    w.ask::<Changed>(EVE, "suspend", &restrict).unwrap();
    let refused = w.ask::<Changed>(EVE, "release", &restrict).unwrap_err();
    assert_eq!(refused.code, "denied");
    assert!(
        refused
            .message
            .contains("operator (registry/suspend, registry/show)"),
        "{}",
        refused.message
    );
    let disabled = PutPerson {
        disabled: true,
        ..eve(&[grant(Role::Operator, &["rome"], &[])])
    };
    w.ask::<Changed>(ADA, "put-person", &disabled).unwrap();
    assert_eq!(
        w.ask::<Changed>(EVE, "suspend", &restrict).unwrap_err().code,
        "denied"
    );
    let stranger = w.ask::<GroupsListed>("operators/mallory", "groups", &ListGroups::default());
    assert_eq!(stranger.unwrap_err().code, "denied");
}

#[test]
fn grants_that_make_no_sense_are_refused_and_a_granted_group_stays() {
    let mut w = world();
    for (grants, field) in [
        (vec![grant(Role::Viewer, &["oslo"], &[])], "grants"),
        (vec![grant(Role::Viewer, &[], &[])], "grants"),
        (vec![grant(Role::Unspecified, &["rome"], &[])], "grants.role"),
        (
            vec![grant(Role::Viewer, &["rome"], &["registry/nonsense"])],
            "grants.verbs",
        ),
        (
            vec![grant(Role::Viewer, &["rome"], &["registry/retire"])],
            "grants.verbs",
        ),
        (vec![grant(Role::Viewer, &["rome"], &["*"])], "grants.verbs"),
        (vec![grant(Role::Viewer, &["rome"], &[]); 17], "grants"),
        (vec![grant(Role::Viewer, &["rome"; 17], &[])], "grants.groups"),
    ] {
        let refused = w.ask::<Changed>(ADA, "put-person", &eve(&grants)).unwrap_err();
        assert_eq!(refused.field, field, "{}", refused.message);
    }
    let integrator = PutPerson {
        kind: "integrators".into(),
        ..eve(&[grant(Role::Viewer, &["rome"], &[])])
    };
    assert_eq!(
        w.ask::<Changed>(ADA, "put-person", &integrator)
            .unwrap_err()
            .field,
        "role"
    );
    w.ask::<MembersChanged>(ADA, "leave-group", &members("berlin", "in-1"))
        .unwrap();
    let remove = RemoveGroup {
        group_id: "berlin".into(),
        ..RemoveGroup::default()
    };
    let refused = w.ask::<Done>(ADA, "remove-group", &remove).unwrap_err();
    assert!(
        refused.message.contains("`eve` has grants"),
        "{}",
        refused.message
    );
    w.ask::<Changed>(ADA, "put-person", &eve(&[grant(Role::Viewer, &["rome"], &[])]))
        .unwrap();
    w.ask::<Done>(ADA, "remove-group", &remove).unwrap();
}

#[test]
fn a_device_that_joins_or_leaves_is_in_or_out_of_sight_at_once() {
    let mut w = world();
    w.ask::<Changed>(ADA, "register", &registered("late-1", &[]))
        .unwrap();
    let show = ShowDevice {
        device_id: "late-1".into(),
        ..ShowDevice::default()
    };
    assert_eq!(
        w.ask::<DeviceShown>(EVE, "show", &show).unwrap_err().code,
        "denied"
    );
    w.ask::<MembersChanged>(ADA, "join-group", &members("berlin", "late-1"))
        .unwrap();
    w.ask::<DeviceShown>(EVE, "show", &show).unwrap();
    w.ask::<MembersChanged>(EVE, "leave-group", &members("berlin", "late-1"))
        .unwrap();
    assert_eq!(
        w.ask::<DeviceShown>(EVE, "show", &show).unwrap_err().code,
        "denied"
    );
}

fn run(w: &mut World, who: &str, id: &str, device: &str) -> Result<Changed, Rejection> {
    let run = RunCommand {
        command_id: id.into(),
        device_id: device.into(),
        name: "reboot".into(),
        ..RunCommand::default()
    };
    w.ask(who, "command-run", &run)
}

fn shown(w: &mut World, who: &str, id: &str, device: &str) -> Result<DeviceCommand, Rejection> {
    let show = ShowCommand {
        command_id: id.into(),
        device_id: device.into(),
        ..ShowCommand::default()
    };
    let shown = w.ask::<CommandShown>(who, "command-show", &show)?;
    Ok(shown.command.unwrap())
}

#[test]
fn nobody_learns_by_an_id_of_his_which_commands_others_have() {
    let mut w = world();
    run(&mut w, ADA, "c-1", "out-1").unwrap();
    run(&mut w, EVE, "c-1", "in-1").unwrap();
    assert_eq!(shown(&mut w, EVE, "c-1", "").unwrap().device_id, "in-1");
    for device in ["out-1", "nobody"] {
        assert_eq!(shown(&mut w, EVE, "c-1", device).unwrap_err().code, "not-found");
    }
    // Whoever sees both says which.
    let several = shown(&mut w, ADA, "c-1", "").unwrap_err();
    assert_eq!(
        (several.code.as_str(), several.field.as_str()),
        ("invalid", "device_id")
    );
    assert_eq!(several.allowed, ["in-1", "out-1"]);
    assert_eq!(shown(&mut w, ADA, "c-1", "out-1").unwrap().created_by, ADA);
    // A device means its own, and has no other.
    w.activate("in-2");
    let report = ReportCommand {
        command_id: "c-1".into(),
        state: CommandState::Succeeded.into(),
        ..ReportCommand::default()
    };
    let refused = w
        .ask::<Done>("devices/in-2", "command-report", &report)
        .unwrap_err();
    let unknown = ReportCommand {
        command_id: "c-9".into(),
        ..report.clone()
    };
    let absent = w
        .ask::<Done>("devices/in-2", "command-report", &unknown)
        .unwrap_err();
    assert_eq!(refused.code, absent.code);
    assert_eq!(refused.message.replace("c-1", "c-9"), absent.message);
    w.ask::<Done>("devices/in-1", "command-report", &report).unwrap();
    assert_eq!(
        shown(&mut w, ADA, "c-1", "in-1").unwrap().state(),
        CommandState::Succeeded
    );
    assert_eq!(
        shown(&mut w, ADA, "c-1", "out-1").unwrap().state(),
        CommandState::Queued
    );
}

/// A job of two seconds for each device, one at a time.
fn job(id: &str, group: &str, devices: &[&str]) -> RunJob {
    RunJob {
        job_id: id.into(),
        name: "reboot".into(),
        group: group.into(),
        device_ids: devices.iter().map(|id| (*id).to_owned()).collect(),
        at_once: 1,
        each_within_ms: 2_000,
        ..RunJob::default()
    }
}

fn run_job(w: &mut World, who: &str, job: &RunJob) -> Result<Changed, Rejection> {
    let changed = w.ask(who, "job-run", job);
    (0..5).for_each(|_| w.wait(0));
    changed
}

fn job_shown(w: &mut World, who: &str, id: &str, owner: &str) -> Result<CommandJob, Rejection> {
    let show = ShowJob {
        job_id: id.into(),
        owner: owner.into(),
        ..ShowJob::default()
    };
    let shown = w.ask::<JobShown>(who, "job-show", &show)?;
    Ok(shown.job.unwrap())
}

fn job_devices(w: &mut World, who: &str, id: &str) -> Vec<(String, CommandState, String)> {
    let list = ListJobDevices {
        job_id: id.into(),
        ..ListJobDevices::default()
    };
    let listed: JobDevicesListed = w.ask(who, "job-devices", &list).unwrap();
    let rows = listed.devices.into_iter();
    rows.map(|row| (row.device_id.clone(), row.state(), row.error))
        .collect()
}

#[test]
fn whoever_has_groups_orders_to_these_and_has_jobs_of_his_own() {
    let mut w = world();
    run_job(&mut w, ADA, &job("look", "", &["out-1"])).unwrap();
    for (job, field) in [
        (job("a", "rome", &[]), "group"),
        (job("b", "oslo", &[]), "group"),
        (job("c", "", &["in-1", "out-1"]), "device_ids"),
        (job("d", "", &["in-1", "nobody"]), "device_ids"),
    ] {
        let refused = run_job(&mut w, EVE, &job).unwrap_err();
        assert_eq!((refused.code.as_str(), refused.field.as_str()), ("denied", field));
        assert!(refused.message.contains("`berlin` only"), "{}", refused.message);
    }
    // The id is hers, whatever Ada has.
    assert_eq!(job_shown(&mut w, EVE, "look", "").unwrap_err().code, "not-found");
    assert_eq!(job_shown(&mut w, EVE, "look", ADA).unwrap_err().code, "not-found");
    run_job(&mut w, EVE, &job("look", "berlin", &[])).unwrap();
    run_job(&mut w, EVE, &job("own", "", &["in-1"])).unwrap();
    assert_eq!(job_shown(&mut w, EVE, "look", "").unwrap().created_by, EVE);
    assert_eq!(job_shown(&mut w, EVE, "look", ADA).unwrap_err().code, "not-found");
    let listed: JobsListed = w.ask(EVE, "job-list", &ListJobs::default()).unwrap();
    let owners: Vec<_> = listed.jobs.iter().map(|job| job.created_by.as_str()).collect();
    assert_eq!(owners, [EVE, EVE]);
    assert_eq!(job_devices(&mut w, EVE, "look")[0].0, "in-1");
    // Whoever sees all names the owner, where there are two and none is he.
    assert_eq!(job_shown(&mut w, ADA, "look", "").unwrap().created_by, ADA);
    assert_eq!(job_shown(&mut w, ADA, "look", EVE).unwrap().created_by, EVE);
    assert_eq!(job_shown(&mut w, ADA, "own", "").unwrap().created_by, EVE);
    let several = job_shown(&mut w, "operators/bob", "look", "").unwrap_err();
    assert_eq!((several.code.as_str(), several.allowed.len()), ("invalid", 2));
    let cancel = |owner: &str| CancelJob {
        job_id: "look".into(),
        owner: owner.into(),
        ..CancelJob::default()
    };
    assert_eq!(
        w.ask::<Changed>(EVE, "job-cancel", &cancel(ADA))
            .unwrap_err()
            .code,
        "not-found"
    );
    w.ask::<Changed>(EVE, "job-cancel", &cancel("")).unwrap();
    (0..5).for_each(|_| w.wait(0));
    assert_eq!(
        job_shown(&mut w, EVE, "look", "").unwrap().state(),
        JobState::Cancelled
    );
    assert_eq!(
        job_shown(&mut w, ADA, "look", "").unwrap().state(),
        JobState::Running
    );
}

#[test]
fn two_jobs_of_one_id_both_reach_a_device() {
    let mut w = world();
    run_job(&mut w, ADA, &job("nightly", "", &["in-1"])).unwrap();
    run_job(&mut w, EVE, &job("nightly", "berlin", &[])).unwrap();
    let listed: CommandsListed = w.ask(ADA, "command-list", &ListCommands::default()).unwrap();
    let ids: Vec<_> = listed.commands.iter().map(|c| c.command_id.as_str()).collect();
    assert_eq!(ids, ["nightly-1", "nightly-1.2"]);
    w.wait(3_000);
    (0..5).for_each(|_| w.wait(0));
    for who in [ADA, EVE] {
        let counts = job_shown(&mut w, who, "nightly", who).unwrap().counts.unwrap();
        assert_eq!(counts.timed_out, 1, "{who}");
    }
}

#[test]
fn a_device_whose_turn_comes_when_it_is_in_sight_no_more_is_left_out() {
    let mut w = world();
    for id in ["in-2", "in-3"] {
        w.ask::<Changed>(ADA, "register", &register(id)).unwrap();
        w.ask::<MembersChanged>(ADA, "join-group", &members("berlin", id))
            .unwrap();
    }
    run_job(&mut w, EVE, &job("look", "berlin", &[])).unwrap();
    w.ask::<MembersChanged>(ADA, "leave-group", &members("berlin", "in-2"))
        .unwrap();
    w.wait(2_500);
    (0..5).for_each(|_| w.wait(0));
    let rows = job_devices(&mut w, ADA, "look");
    assert_eq!(
        (rows[0].1, rows[1].1, rows[2].1),
        (
            CommandState::TimedOut,
            CommandState::Rejected,
            CommandState::Queued
        )
    );
    assert!(rows[1].2.contains("may not order this"), "{}", rows[1].2);
    let seen: Vec<_> = job_devices(&mut w, EVE, "look")
        .into_iter()
        .map(|row| row.0)
        .collect();
    assert_eq!(seen, ["in-1", "in-3"]);
    // Whoever may nothing any more, or is shut out, has no further turns.
    run_job(&mut w, EVE, &job("next", "", &["in-1", "in-3"])).unwrap();
    let out = PutPerson {
        disabled: true,
        ..eve(&[grant(Role::Admin, &["berlin"], &[])])
    };
    w.ask::<Changed>(ADA, "put-person", &out).unwrap();
    w.wait(2_500);
    (0..5).for_each(|_| w.wait(0));
    let rows = job_devices(&mut w, ADA, "next");
    assert_eq!(
        (rows[0].1, rows[1].1),
        (CommandState::TimedOut, CommandState::Rejected)
    );
    assert!(rows[1].2.contains(EVE), "{}", rows[1].2);
}

#[test]
fn whoever_has_groups_sees_and_makes_the_settings_of_these() {
    let mut w = world();
    let put = |scope: ConfigScope, id: &str| PutConfigTemplate {
        scope: scope.into(),
        id: id.into(),
        mode: ConfigMode::Merge.into(),
        document: r#"{"pace":1}"#.into(),
        ..PutConfigTemplate::default()
    };
    w.ask::<Changed>(ADA, "put-config-template", &put(ConfigScope::Group, "rome"))
        .unwrap();
    w.ask::<Changed>(EVE, "put-config-template", &put(ConfigScope::Group, "berlin"))
        .unwrap();
    for (scope, id) in [
        (ConfigScope::Group, "rome"),
        (ConfigScope::Group, "oslo"),
        (ConfigScope::Type, "berlin"),
    ] {
        let refused = w.ask::<Changed>(EVE, "put-config-template", &put(scope, id));
        assert_eq!(refused.unwrap_err().code, "denied", "{id}");
        let remove = RemoveConfigTemplate {
            scope: scope.into(),
            id: id.into(),
            ..RemoveConfigTemplate::default()
        };
        let refused = w.ask::<Done>(EVE, "remove-config-template", &remove);
        assert_eq!(refused.unwrap_err().code, "denied", "{id}");
    }
    let ask = ListConfigTemplates::default();
    let listed: ConfigTemplatesListed = w.ask(EVE, "config-templates", &ask).unwrap();
    let ids: Vec<_> = listed.templates.iter().map(|of| of.id.as_str()).collect();
    assert_eq!(ids, ["berlin"]);
}

#[test]
fn whoever_was_granted_some_commands_orders_no_others() {
    let mut w = world();
    let held = |groups: &[&str], commands: &[&str]| Grant {
        commands: commands.iter().map(|name| (*name).to_owned()).collect(),
        ..grant(Role::Operator, groups, &[])
    };
    w.ask::<Changed>(
        ADA,
        "put-person",
        &eve(&[held(&["berlin"], &["logs", "diagnose"])]),
    )
    .unwrap();
    let refused = run(&mut w, EVE, "c-1", "in-1").unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.field.as_str()),
        ("denied", "name")
    );
    assert_eq!(
        refused.message,
        "`in-1` may not be ordered to `reboot`, by the rule of `grants of operators/eve`"
    );
    assert_eq!(refused.allowed, ["diagnose", "logs"]);
    let last = entries(&mut w).pop().unwrap();
    assert_eq!((last.who.as_str(), last.outcome.as_str()), (EVE, "denied"));
    let ask = contract::v1::AskCommand {
        device_id: "in-1".into(),
        ..Default::default()
    };
    let why: contract::v1::CommandWhy = w.ask(EVE, "command-why", &ask).unwrap();
    assert_eq!(why.summary, "`in-1` may be ordered: diagnose, logs");
    let why: contract::v1::CommandWhy = w.ask(ADA, "command-why", &ask).unwrap();
    assert_eq!(
        why.summary, "`in-1` may be ordered: whatever it can do",
        "others' grants are others'"
    );
    let logs = RunCommand {
        command_id: "c-2".into(),
        device_id: "in-1".into(),
        name: "logs".into(),
        ..RunCommand::default()
    };
    w.ask::<Changed>(EVE, "command-run", &logs).unwrap();
    // In a job it is judged when the device's turn has come.
    let job = contract::v1::RunJob {
        job_id: "j-1".into(),
        name: "reboot".into(),
        device_ids: vec!["in-1".into()],
        ..Default::default()
    };
    w.ask::<Changed>(EVE, "job-run", &job).unwrap();
    w.wait(1);
    let list = contract::v1::ListJobDevices {
        job_id: "j-1".into(),
        ..Default::default()
    };
    let rows: contract::v1::JobDevicesListed = w.ask(EVE, "job-devices", &list).unwrap();
    assert!(
        rows.devices[0].error.contains("grants of operators/eve"),
        "{rows:?}"
    );
    // Grants add up, and what makes no sense is refused.
    let more = eve(&[held(&["berlin"], &["logs"]), held(&[], &["reboot"])]);
    w.ask::<Changed>(ADA, "put-person", &more).unwrap();
    run(&mut w, EVE, "c-3", "in-1").unwrap();
    run(&mut w, EVE, "c-4", "out-1").unwrap();
    let viewer = Grant {
        role: Role::Viewer.into(),
        ..held(&["berlin"], &["logs"])
    };
    let verbs = Grant {
        verbs: vec!["registry/suspend".into()],
        ..held(&["berlin"], &["logs"])
    };
    for wrong in [
        viewer,
        verbs,
        held(&["berlin"], &["a/b"]),
        held(&["berlin"], &["x"; 17]),
    ] {
        let refused = w.ask::<Changed>(ADA, "put-person", &eve(&[wrong])).unwrap_err();
        assert_eq!(refused.field, "grants.commands");
    }
}
