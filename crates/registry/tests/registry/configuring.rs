//! Desired and reported configuration.

use contract::{
    Leaf, Principal, Root, ServiceName,
    v1::{
        ChangeDevice, ChangeMembers, Changed, ConfigChange, ConfigDriftListed, ConfigExplained, ConfigMode,
        ConfigScope, ConfigShown, ConfigState, ConfigTemplatesListed, ConfigsListed, CountDevices,
        DeviceConfig, DevicesCounted, DevicesListed, Done, ExplainConfig, GetConfig, ListConfigDrift,
        ListConfigTemplates, ListConfigs, ListDevices, MembersChanged, PutConfigTemplate, PutGroup, PutType,
        RegisterDevice, RegisterDevices, RegisteredDevices, RemoveConfigTemplate, RemoveGroup, ReplaceDevice,
        ReportConfig, RetireDevice, SetConfig, ShowConfig,
    },
    wire,
};
use serde_json::{Value, json};

use crate::world::{ADA, Answered, World, data, register};

const PUMP: &str = "devices/pump-7";

fn set(w: &mut World, id: &str, mode: ConfigMode, document: Value, expected: u64) -> Answered<Changed> {
    let request = SetConfig {
        device_id: id.into(),
        mode: mode.into(),
        document: document.to_string(),
        expected_version: expected,
        ..Default::default()
    };
    w.ask(ADA, "config-set", &request)
}

fn merge(w: &mut World, id: &str, document: Value) -> u64 {
    set(w, id, ConfigMode::Merge, document, 0).unwrap().version
}

fn template(w: &mut World, scope: ConfigScope, id: &str, priority: Option<u32>, document: Value) {
    let request = PutConfigTemplate {
        scope: scope.into(),
        id: id.into(),
        mode: ConfigMode::Replace.into(),
        document: document.to_string(),
        priority,
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "put-config-template", &request).unwrap();
}

fn shown(w: &mut World, id: &str) -> DeviceConfig {
    let request = ShowConfig {
        device_id: id.into(),
        ..Default::default()
    };
    w.ask::<ConfigShown>(ADA, "config-show", &request)
        .unwrap()
        .config
        .unwrap()
}

fn desired(w: &mut World, id: &str) -> Value {
    serde_json::from_str(&shown(w, id).desired).unwrap()
}

fn report(w: &mut World, version: u64, error: &str, document: &str) -> Answered<Done> {
    let request = ReportConfig {
        version,
        error: error.into(),
        document: document.into(),
        ..Default::default()
    };
    w.ask(PUMP, "config-report", &request)
}

fn drifting(w: &mut World) -> Vec<String> {
    let listed: ConfigDriftListed = w.ask(ADA, "config-drift", &ListConfigDrift::default()).unwrap();
    listed.devices.into_iter().map(|row| row.device_id).collect()
}

/// What a device was told since the last time.
fn pushes(w: &mut World, id: &str) -> Vec<ConfigChange> {
    let who: Principal = format!("devices/{id}").parse().unwrap();
    let topic = Root::default().down(&who, ServiceName::Registry, "config", Leaf::Push);
    let frames = std::mem::take(&mut w.frames);
    let mine = frames.iter().filter(|frame| frame.topic == topic);
    mine.map(|frame| wire::decode(&frame.payload, "").unwrap())
        .collect()
}

fn group(w: &mut World, id: &str) {
    let request = PutGroup {
        group_id: id.into(),
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "put-group", &request).unwrap();
}

fn members(w: &mut World, verb: &str, group: &str, ids: &[&str]) {
    let request = ChangeMembers {
        group_id: group.into(),
        device_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        ..Default::default()
    };
    w.ask::<MembersChanged>(ADA, verb, &request).unwrap();
    w.wait(0);
}

#[test]
fn what_is_set_is_told_asked_for_and_reported() {
    let mut w = World::new();
    w.activate("pump-7");
    assert_eq!(shown(&mut w, "pump-7").version, 0);
    assert_eq!(
        merge(
            &mut w,
            "pump-7",
            json!({"heartbeat": "10s", "net": {"mtu": 1400}})
        ),
        1
    );
    w.frames.clear();
    assert_eq!(
        merge(&mut w, "pump-7", json!({"net": {"mtu": null, "dns": "a"}})),
        2
    );
    let told = pushes(&mut w, "pump-7");
    assert_eq!((told[0].version, told[0].base_version), (2, 1));
    let patch: Value = serde_json::from_str(&told[0].patch).unwrap();
    assert_eq!(patch, json!({"net": {"mtu": null, "dns": "a"}}));
    let state: ConfigState = w.ask(PUMP, "config", &GetConfig::default()).unwrap();
    let whole: Value = serde_json::from_str(&state.document).unwrap();
    assert_eq!(
        (state.version, whole),
        (2, json!({"heartbeat": "10s", "net": {"dns": "a"}}))
    );
    assert_eq!(drifting(&mut w), ["pump-7"]);

    report(&mut w, 2, "no such name server", "").unwrap();
    let config = shown(&mut w, "pump-7");
    assert!(config.drift && config.error == "no such name server");
    w.events();
    report(&mut w, 2, "", "").unwrap();
    let event = w.events().remove(0);
    assert_eq!(
        (event.name.as_str(), data(&event)["drift"].clone()),
        ("config-reported", json!(false))
    );
    assert_eq!(drifting(&mut w), Vec::<String>::new());
    // The same once more is no news.
    report(&mut w, 2, "", "").unwrap();
    assert!(w.events().is_empty());

    // What it says it has, against what it is to have; more of its own is no drift.
    report(
        &mut w,
        2,
        "",
        r#"{"heartbeat":"10s","net":{"dns":"a","mtu":1500}}"#,
    )
    .unwrap();
    assert_eq!(drifting(&mut w), Vec::<String>::new());
    report(&mut w, 2, "", r#"{"heartbeat":"60s","net":{"dns":"a"}}"#).unwrap();
    assert_eq!(drifting(&mut w), ["pump-7"]);
    let refused = report(&mut w, 3, "", "").unwrap_err();
    assert_eq!(
        (
            refused.code.as_str(),
            refused.field.as_str(),
            refused.present_version
        ),
        ("invalid", "version", 2)
    );
}

#[test]
fn replacing_removing_and_a_stale_version() {
    let mut w = World::new();
    w.activate("pump-7");
    merge(&mut w, "pump-7", json!({"a": 1, "b": 2}));
    let stale = set(&mut w, "pump-7", ConfigMode::Replace, json!({"c": 3}), 9).unwrap_err();
    assert_eq!((stale.code.as_str(), stale.present_version), ("conflict", 1));
    assert_eq!(
        set(&mut w, "pump-7", ConfigMode::Replace, json!({"c": 3}), 1)
            .unwrap()
            .version,
        2
    );
    assert_eq!(desired(&mut w, "pump-7"), json!({"c": 3}));
    // What changes nothing has no version and tells nobody.
    w.frames.clear();
    assert_eq!(
        set(&mut w, "pump-7", ConfigMode::Merge, json!({"d": null}), 0)
            .unwrap()
            .version,
        2
    );
    assert!(pushes(&mut w, "pump-7").is_empty());
    for (document, code) in [
        (json!([1]), "invalid"),
        (json!({"a": null}), "invalid"),
        (json!({"a": "x".repeat(9_000)}), "too-large"),
    ] {
        let refused = set(&mut w, "pump-7", ConfigMode::Replace, document, 0).unwrap_err();
        assert_eq!(
            (refused.code.as_str(), refused.field.as_str()),
            (code, "document")
        );
    }
    merge(&mut w, "pump-7", json!({"x": "x".repeat(5_000)}));
    let refused = set(
        &mut w,
        "pump-7",
        ConfigMode::Merge,
        json!({"y": "y".repeat(5_000)}),
        0,
    )
    .unwrap_err();
    assert_eq!(refused.code, "limit");
    let unknown = set(&mut w, "nobody", ConfigMode::Merge, json!({}), 0).unwrap_err();
    assert_eq!(unknown.code, "not-found");
}

#[test]
fn layers_have_their_order_and_each_setting_says_where_it_comes_from() {
    let mut w = World::new();
    w.ask::<Changed>(
        ADA,
        "put-type",
        &PutType {
            type_id: "pump".into(),
            ..Default::default()
        },
    )
    .unwrap();
    for id in ["west", "line-7", "east"] {
        group(&mut w, id);
    }
    w.activate("pump-7");
    template(
        &mut w,
        ConfigScope::Type,
        "pump",
        None,
        json!({"a": "type", "b": "type", "z": "type"}),
    );
    template(
        &mut w,
        ConfigScope::Group,
        "west",
        None,
        json!({"b": "west", "c": "west"}),
    );
    template(&mut w, ConfigScope::Group, "east", None, json!({"c": "east"}));
    template(
        &mut w,
        ConfigScope::Group,
        "line-7",
        Some(5),
        json!({"d": "line", "c": "line"}),
    );
    // They do not count for it yet.
    assert_eq!(shown(&mut w, "pump-7").version, 0);
    let change = ChangeDevice {
        device_id: "pump-7".into(),
        set: [("type".to_owned(), "pump".to_owned())].into(),
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "change", &change).unwrap();
    members(&mut w, "join-group", "west", &["pump-7"]);
    members(&mut w, "join-group", "east", &["pump-7"]);
    assert_eq!(
        desired(&mut w, "pump-7"),
        json!({"a": "type", "b": "west", "c": "east", "z": "type"})
    );
    members(&mut w, "join-group", "line-7", &["pump-7"]);
    merge(&mut w, "pump-7", json!({"d": "own", "z": {"deep": 1}}));
    let expected = json!({"a": "type", "b": "west", "c": "line", "d": "own", "z": {"deep": 1}});
    assert_eq!(desired(&mut w, "pump-7"), expected);
    let request = ExplainConfig {
        device_id: "pump-7".into(),
        ..Default::default()
    };
    let explained: ConfigExplained = w.ask(ADA, "config-explain", &request).unwrap();
    let rows: Vec<_> = explained
        .settings
        .iter()
        .map(|s| format!("{}={} {} > {}", s.path, s.value, s.source, s.over.join(",")))
        .collect();
    assert_eq!(
        rows,
        [
            r#"a="type" type pump > "#,
            r#"b="west" group west > type pump"#,
            r#"c="line" group line-7 > group east,group west"#,
            r#"d="own" device > group line-7"#,
            r#"z.deep=1 device > "#,
        ]
    );
    members(&mut w, "leave-group", "line-7", &["pump-7"]);
    assert_eq!(desired(&mut w, "pump-7")["c"], "east");
    // What goes with its template comes back from below.
    let request = RemoveConfigTemplate {
        scope: ConfigScope::Group.into(),
        id: "west".into(),
        ..Default::default()
    };
    w.ask::<Done>(ADA, "remove-config-template", &request).unwrap();
    w.wait(0);
    assert_eq!(desired(&mut w, "pump-7")["b"], "type");
    let again = w
        .ask::<Done>(ADA, "remove-config-template", &request)
        .unwrap_err();
    assert_eq!(again.code, "not-found");
    // A group's template goes with the group.
    w.ask::<Done>(
        ADA,
        "remove-group",
        &RemoveGroup {
            group_id: "line-7".into(),
            ..Default::default()
        },
    )
    .unwrap();
    let left: ConfigTemplatesListed = w
        .ask(ADA, "config-templates", &ListConfigTemplates::default())
        .unwrap();
    let left: Vec<_> = left
        .templates
        .iter()
        .map(|t| (t.id.as_str(), t.settling))
        .collect();
    assert_eq!(left, [("east", false), ("pump", false)]);
}

#[test]
fn a_template_reaches_a_fleet_in_paced_pages_across_a_restart() {
    let mut w = World::new();
    group(&mut w, "fleet");
    let ids: Vec<_> = (0..450).map(|n| format!("pump-{n:03}")).collect();
    let devices = ids.iter().map(|id| register(id));
    let many = RegisterDevices {
        devices: devices
            .map(|d| contract::v1::RegisterDevice {
                groups: vec!["fleet".into()],
                ..d
            })
            .collect(),
        ..Default::default()
    };
    let done: RegisteredDevices = w.ask(ADA, "register-many", &many).unwrap();
    assert_eq!(done.registered, 450);
    let configured = |w: &mut World| w.events().iter().filter(|e| e.name == "configured").count();
    configured(&mut w);
    template(
        &mut w,
        ConfigScope::Group,
        "fleet",
        None,
        json!({"heartbeat": "10s"}),
    );
    w.wait(0);
    assert_eq!(configured(&mut w), 100, "one page at once");
    w.wait(0);
    assert_eq!(configured(&mut w), 0, "no more before the pause is over");
    w.wait(50);
    w.restart();
    // It is changed while it is under way: whoever had it gets the new one too, each once.
    template(
        &mut w,
        ConfigScope::Group,
        "fleet",
        None,
        json!({"heartbeat": "20s"}),
    );
    for _ in 0..10 {
        w.wait(50);
    }
    let config = shown(&mut w, "pump-000");
    assert_eq!(
        (config.version, config.desired.as_str()),
        (2, r#"{"heartbeat":"20s"}"#)
    );
    let config = shown(&mut w, "pump-449");
    assert_eq!(
        (config.version, config.desired.as_str()),
        (1, r#"{"heartbeat":"20s"}"#)
    );
    assert_eq!(drifting(&mut w).len(), 100, "a page of the list");
    // Nothing is left to be done.
    configured(&mut w);
    w.wait(10_000);
    assert_eq!(configured(&mut w), 0);
    assert!(w.records("cw").is_empty());
}

#[test]
fn a_template_that_would_make_the_whole_too_large_is_not_followed() {
    let mut w = World::new();
    for id in ["a", "b", "c"] {
        group(&mut w, id);
    }
    w.activate("pump-7");
    for id in ["a", "b", "c"] {
        members(&mut w, "join-group", id, &["pump-7"]);
        template(
            &mut w,
            ConfigScope::Group,
            id,
            None,
            json!({ id: "x".repeat(7_000) }),
        );
        w.wait(0);
    }
    let config = shown(&mut w, "pump-7");
    assert!(config.held_back.contains("16384"), "{}", config.held_back);
    assert_eq!((config.version, config.desired.len() > 14_000), (2, true));
    assert_eq!(drifting(&mut w), ["pump-7"]);
    template(&mut w, ConfigScope::Group, "c", None, json!({"c": 1}));
    w.wait(0);
    let config = shown(&mut w, "pump-7");
    assert_eq!((config.version, config.held_back.as_str()), (3, ""));
}

#[test]
fn a_successor_takes_what_was_set_and_a_retired_device_has_nothing() {
    let mut w = World::new();
    w.activate("pump-7");
    w.ask::<Changed>(ADA, "register", &register("pump-7b")).unwrap();
    merge(&mut w, "pump-7", json!({"a": 1, "b": 2}));
    merge(&mut w, "pump-7b", json!({"b": 3, "c": 4}));
    let request = ReplaceDevice {
        device_id: "pump-7".into(),
        successor_id: "pump-7b".into(),
        reason: "bearing gone".into(),
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "replace", &request).unwrap();
    assert_eq!(desired(&mut w, "pump-7b"), json!({"a": 1, "b": 2, "c": 4}));
    w.ask::<Changed>(
        ADA,
        "retire",
        &RetireDevice {
            device_id: "pump-7b".into(),
            ..Default::default()
        },
    )
    .unwrap();
    assert_eq!(shown(&mut w, "pump-7b").version, 0);
    let keys: Vec<_> = ["cd", "cx"]
        .iter()
        .flat_map(|p| w.records(p))
        .map(|(key, _)| key)
        .collect();
    assert_eq!(keys, ["pump-7", "pump-7"]);
    let refused = set(&mut w, "pump-7b", ConfigMode::Merge, json!({"a": 1}), 0).unwrap_err();
    assert_eq!(refused.code, "not-allowed");
}

#[test]
fn devices_are_found_grouped_and_counted_by_how_they_drift() {
    let mut w = World::new();
    w.activate("pump-7");
    w.ask::<Changed>(ADA, "register", &register("pump-8")).unwrap();
    w.ask::<Changed>(ADA, "register", &register("pump-9")).unwrap();
    let astray = PutGroup {
        group_id: "astray".into(),
        query: Some("drift > none".into()),
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "put-group", &astray).unwrap();
    (0..20).for_each(|_| w.wait(0));
    w.events();
    // Nothing was ever set for the others.
    merge(&mut w, "pump-7", json!({"rate": 1}));
    w.wait(0);
    let joined = w
        .events()
        .into_iter()
        .find(|event| data(event)["group_id"] == "astray")
        .unwrap();
    assert_eq!(data(&joined)["joined"], json!(["pump-7"]));
    assert_eq!(found(&mut w, "drift = unreported"), ["pump-7"]);
    assert_eq!(found(&mut w, "not has drift"), ["pump-8", "pump-9"]);
    assert_eq!(found(&mut w, "group = astray"), ["pump-7"]);
    for (version, error, document, word) in [
        (1, "no such valve", "", "failed"),
        (1, "", r#"{"rate": 2}"#, "different"),
        (1, "", "", "none"),
    ] {
        report(&mut w, version, error, document).unwrap();
        w.wait(0);
        assert_eq!(found(&mut w, &format!("drift = {word}")), ["pump-7"], "{word}");
        let astray = if word == "none" { vec![] } else { vec!["pump-7"] };
        assert_eq!(found(&mut w, "drift != none"), astray, "{word}");
        assert_eq!(found(&mut w, "group = astray"), astray, "{word}");
        w.restart();
    }
    let version = w.device("pump-7").version;
    merge(&mut w, "pump-7", json!({"rate": 3}));
    w.wait(0);
    assert_eq!(
        w.device("pump-7").version,
        version,
        "its own record is left alone"
    );
    let by = CountDevices {
        by: "drift".into(),
        ..Default::default()
    };
    let counted: DevicesCounted = w.ask(ADA, "count", &by).unwrap();
    let rows: Vec<_> = counted
        .counts
        .iter()
        .map(|row| (row.value.as_str(), row.count))
        .collect();
    assert_eq!(rows, [("", 2), ("unreported", 1)]);
    assert_eq!(w.records("xdrift").len(), 1);
    // A device that has gone is set to nothing.
    let retire = RetireDevice {
        device_id: "pump-7".into(),
        reason: "scrap".into(),
        wait_ms: 1,
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "retire", &retire).unwrap();
    w.wait(10);
    w.wait(0);
    assert_eq!(found(&mut w, "has drift").len(), 0);
    assert_eq!(w.records("xdrift").len(), 0);
}

fn found(w: &mut World, query: &str) -> Vec<String> {
    let list = ListDevices {
        r#where: query.into(),
        ..Default::default()
    };
    let listed: DevicesListed = w.ask(ADA, "list", &list).unwrap();
    listed
        .devices
        .into_iter()
        .map(|device| device.device_id)
        .collect()
}

#[test]
fn a_device_is_registered_with_settings_of_its_own_which_can_be_listed() {
    let mut w = World::new();
    group(&mut w, "hall");
    template(
        &mut w,
        ConfigScope::Group,
        "hall",
        None,
        json!({"heartbeat": "10s", "log": "info"}),
    );
    let with = |id: &str, settings: &str| RegisterDevice {
        settings: settings.into(),
        groups: vec!["hall".into()],
        ..register(id)
    };
    let many = |rows: Vec<RegisterDevice>| RegisterDevices {
        devices: rows,
        ..Default::default()
    };
    let rows = vec![
        with("pump-1", r#"{"heartbeat": "30s"}"#),
        with("pump-2", ""),
        with("pump-3", r#"{"heartbeat": null}"#),
        with("pump-4", "{}"),
    ];
    let done: RegisteredDevices = w.ask(ADA, "register-many", &many(rows)).unwrap();
    assert_eq!((done.registered, done.refused.len()), (3, 1));
    let refused = done.refused[0].rejection.clone().unwrap();
    assert_eq!(refused.field, "devices[2].settings");
    w.wait(0);
    let first = json!({"heartbeat": "30s", "log": "info"});
    assert_eq!(
        (desired(&mut w, "pump-1"), shown(&mut w, "pump-1").version),
        (first, 1)
    );
    assert_eq!(
        desired(&mut w, "pump-4"),
        json!({"heartbeat": "10s", "log": "info"})
    );
    // The same again is the same, however it is written; something else is not, and neither is nothing.
    for (settings, registered) in [
        (r#"{"heartbeat":"30s"}"#, true),
        ("", true),
        (r#"{"heartbeat":"31s"}"#, false),
        ("{}", false),
    ] {
        let rows = vec![with("pump-1", settings)];
        let done: RegisteredDevices = w.ask(ADA, "register-many", &many(rows)).unwrap();
        assert_eq!(done.unchanged == 1, registered, "{settings}: {done:?}");
        let told = done.refused.first().and_then(|one| one.rejection.clone());
        let told = told.unwrap_or_default().message;
        assert_eq!(told.contains("another `settings`"), !registered, "{told}");
    }
    merge(&mut w, "pump-2", json!({"net": {"mtu": 1400}}));
    let list = |w: &mut World, query: &str, page_size: u32| -> ConfigsListed {
        let request = ListConfigs {
            r#where: query.into(),
            page_size,
            ..Default::default()
        };
        w.ask(ADA, "config-list", &request).unwrap()
    };
    let listed = list(&mut w, "", 0);
    let listed: Vec<_> = listed
        .configs
        .iter()
        .map(|one| (one.device_id.as_str(), one.document.as_str(), one.version))
        .collect();
    let (first, second) = (r#"{"heartbeat":"30s"}"#, r#"{"net":{"mtu":1400}}"#);
    assert_eq!(listed, [("pump-1", first, 1), ("pump-2", second, 2)]);
    assert_eq!(list(&mut w, "id = pump-2", 0).configs.len(), 1);
    assert!(!list(&mut w, "", 1).next_page.is_empty());
}

#[test]
fn settings_that_do_not_fit_what_groups_say_register_nothing() {
    let mut w = World::new();
    for id in ["a", "b"] {
        group(&mut w, id);
        template(
            &mut w,
            ConfigScope::Group,
            id,
            None,
            json!({ id: "x".repeat(7_000) }),
        );
    }
    let row = RegisterDevice {
        settings: json!({ "own": "x".repeat(7_000) }).to_string(),
        groups: vec!["a".into(), "b".into()],
        ..register("pump-1")
    };
    let refused = w.ask::<Changed>(ADA, "register", &row).unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.field.as_str()),
        ("limit", "settings")
    );
    let show = ShowConfig {
        device_id: "pump-1".into(),
        ..Default::default()
    };
    let none = w.ask::<ConfigShown>(ADA, "config-show", &show).unwrap_err();
    assert_eq!(none.code, "not-found");
    // A group that it joins by its query is seen too late for that: the device is there, and its record says why.
    let put = PutGroup {
        group_id: "c".into(),
        query: Some("id like pump-*".into()),
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "put-group", &put).unwrap();
    template(
        &mut w,
        ConfigScope::Group,
        "c",
        None,
        json!({ "c": "x".repeat(7_000) }),
    );
    let row = RegisterDevice {
        groups: vec!["a".into()],
        ..row
    };
    w.ask::<Changed>(ADA, "register", &row).unwrap();
    w.wait(0);
    let config = shown(&mut w, "pump-1");
    assert_eq!((config.version, config.own.len() > 7_000), (0, true));
    assert!(config.held_back.contains("16384"), "{}", config.held_back);
}
