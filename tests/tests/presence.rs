//! Who comes and goes, as an integrator follows it and as an operator looks it up.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use contract::{ServiceName, v1};
use serde_json::Value;
use world::{Person, Process, World};

/// How long an event may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The data of the next event of this name.
async fn event(follower: &mut Person, name: &str) -> Value {
    let topic = format!("muster/v1/events/monitoring/devices/pump-7/{name}");
    let told = tokio::time::timeout(PATIENCE, async {
        loop {
            let delivery = follower.inbox.recv().await.expect("it stays connected");
            if delivery.topic == topic {
                let mut event: Value = serde_json::from_slice(&delivery.payload).unwrap();
                return event["data"].take();
            }
        }
    });
    told.await.unwrap_or_else(|_| panic!("no {topic}"))
}

/// What `muster --json monitor show pump-7` prints.
fn shown(world: &World) -> Value {
    let server = format!("127.0.0.1:{}", world.endpoint().port);
    let settings = [("MUSTER_SERVER", server.as_str())];
    let said = Process::command(world.folder(), &["monitor", "show", "pump-7"], &settings)
        .output()
        .unwrap();
    assert!(said.status.success(), "{said:?}");
    serde_json::from_slice(&said.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_sent_away_is_told_of_with_the_reason() {
    let world = World::with(&[("MUSTER_MONITORING__GRACE", "1s")]).await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-7"]).await;
    let erp = world.integrator(&admin, "erp", &["monitoring/#"]).await;
    let mut erp = world.connect(&world.identity(&erp), "").await;
    erp.client
        .subscribe("muster/v1/events/monitoring/#")
        .await
        .unwrap();

    let _pump = world.device(&admin, "pump-7").await;
    let online = event(&mut erp, "online").await;
    assert_eq!(
        (&online["tls"], &online["client_id"]),
        (&"1.3".into(), &"pump-7".into())
    );

    let suspend = v1::RestrictDevice {
        device_id: "pump-7".into(),
        reason: "odd".into(),
        ..Default::default()
    };
    let _: v1::Changed = admin.ask(ServiceName::Registry, "suspend", &suspend).await;
    let offline = event(&mut erp, "offline").await;
    let told = shown(&world);
    for said in [&offline, &told] {
        let why = (&said["cause"], &said["reason"]);
        assert_eq!(
            why,
            (&"not-authorized".into(), &"this device is suspended".into()),
            "{said}"
        );
        let session = (&said["boot"], &said["session"]);
        assert_eq!(session, (&online["boot"], &online["session"]), "{said}");
    }
}

/// Waits until the devices that fit a query are these.
async fn until_found(admin: &Person, query: &str, expected: &[&str]) {
    let request = v1::ListDevices {
        r#where: query.into(),
        ..Default::default()
    };
    let found = async {
        loop {
            let listed: v1::DevicesListed = admin.ask(ServiceName::Registry, "list", &request).await;
            let ids: Vec<_> = listed
                .devices
                .into_iter()
                .map(|device| device.device_id)
                .collect();
            if ids == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let patience = tokio::time::timeout(PATIENCE, found);
    patience
        .await
        .unwrap_or_else(|_| panic!("`{query}` does not come to {expected:?}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_away_or_alarmed_is_found_by_a_query_and_belongs_to_a_dynamic_group() {
    let mut world = World::with(&[("MUSTER_MONITORING__GRACE", "1s")]).await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-7", "pump-8"]).await;
    let erp = world.integrator(&admin, "erp", &["registry/#"]).await;
    let mut erp = world.connect(&world.identity(&erp), "").await;
    erp.client
        .subscribe("muster/v1/events/registry/groups/#")
        .await
        .unwrap();
    for (group, query) in [("away", "connectivity = offline"), ("alarmed", "alert = hot")] {
        let put = v1::PutGroup {
            group_id: group.into(),
            query: Some(query.into()),
            ..Default::default()
        };
        let _: v1::Changed = admin.ask(ServiceName::Registry, "put-group", &put).await;
    }
    let rule = v1::Rule {
        rule_id: "hot".into(),
        metric: "temperature".into(),
        comparison: v1::Comparison::Above.into(),
        threshold: 80.0,
        severity: v1::Severity::High.into(),
        ..Default::default()
    };
    let put = v1::PutRule {
        rule: Some(rule),
        ..Default::default()
    };
    let _: v1::Changed = admin.ask(ServiceName::Monitoring, "put-rule", &put).await;

    let pump = world.device(&admin, "pump-7").await;
    until_found(
        &admin,
        "connectivity = online and certificate_until > now+1d",
        &["pump-7"],
    )
    .await;
    until_found(
        &admin,
        "connectivity = never and not has certificate_until",
        &["pump-8"],
    )
    .await;
    let version = world.shown(&admin, "pump-7").await.version;
    let heartbeat = v1::Heartbeat {
        metrics: [("temperature".to_owned(), 95.0)].into(),
        ..Default::default()
    };
    let _: v1::Done = pump.ask(ServiceName::Monitoring, "heartbeat", &heartbeat).await;
    until_found(&admin, "group = alarmed and alert_severity = high", &["pump-7"]).await;
    pump.client.disconnect().await;
    until_found(&admin, "group = away and last_seen > now-1h", &["pump-7"]).await;
    let shown = world.shown(&admin, "pump-7").await;
    assert_eq!(
        (shown.groups, shown.version),
        (vec!["alarmed".to_owned(), "away".to_owned()], version)
    );
    let joined = tokio::time::timeout(PATIENCE, async {
        loop {
            let delivery = erp.inbox.recv().await.expect("it stays connected");
            let event: Value = serde_json::from_slice(&delivery.payload).unwrap();
            if event["data"]["group_id"] == "away" && event["data"]["joined"][0] == "pump-7" {
                return event;
            }
        }
    });
    assert_eq!(joined.await.unwrap()["data"]["members"], "1");

    // Nothing of it rests on memory.
    world.kill();
    world.start().await;
    let admin = world.admin().await;
    until_found(
        &admin,
        "group = away and group = alarmed and alert = hot",
        &["pump-7"],
    )
    .await;
    let server = format!("127.0.0.1:{}", world.endpoint().port);
    let settings = [("MUSTER_SERVER", server.as_str())];
    let command = [
        "device",
        "list",
        "--where",
        "connectivity != online and has certificate_until",
    ];
    let said = Process::command(world.folder(), &command, &settings)
        .output()
        .unwrap();
    let said = (
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr),
    );
    assert!(
        said.0.contains("pump-7") && !said.0.contains("pump-8"),
        "{said:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_granted_a_group_has_what_lies_within_it_in_every_service() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-7"]).await;
    let server = format!("127.0.0.1:{}", world.endpoint().port);
    let typed = |command: &str| {
        let words: Vec<_> = command.split(' ').collect();
        let settings = [("MUSTER_SERVER", server.as_str())];
        let said = Process::command(world.folder(), &words, &settings)
            .output()
            .unwrap();
        assert!(said.status.success(), "{command}: {said:?}");
        String::from_utf8(said.stdout).unwrap()
    };
    typed("group put berlin");
    typed("group put hall-3 --parent berlin");
    typed("group join hall-3 pump-7");
    let grant = v1::Grant {
        role: v1::Role::Viewer.into(),
        groups: vec!["berlin".into()],
        ..Default::default()
    };
    let eve = v1::PutPerson {
        kind: "operators".into(),
        id: "eve".into(),
        grants: vec![grant],
        ..Default::default()
    };
    let _: v1::Changed = admin.ask(ServiceName::Registry, "put-person", &eve).await;
    let eve = world.issue(&admin, "operators", "eve").await;
    let identity = world.identity(&eve);
    let eve = world.connect(&identity, "").await;
    let seen = async |expected: &[&str]| {
        let seen = async {
            loop {
                let request = v1::ListStatus::default();
                let listed: v1::StatusListed = eve.ask(ServiceName::Monitoring, "list", &request).await;
                if listed
                    .devices
                    .iter()
                    .map(|status| status.device_id.as_str())
                    .eq(expected.iter().copied())
                {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let patience = tokio::time::timeout(PATIENCE, seen);
        patience
            .await
            .unwrap_or_else(|_| panic!("monitoring does not show {expected:?}"));
    };
    seen(&["pump-7"]).await;
    let mut follower = world.connect(&identity, "follower").await;
    follower
        .client
        .subscribe("muster/v1/events/registry/#")
        .await
        .unwrap();
    // What passes until an event of this end, in their order; what is not in sight does not pass.
    let mut until = async |end: &str| {
        let mut passed = Vec::new();
        let follow = async {
            while !passed.last().is_some_and(|topic: &String| topic.ends_with(end)) {
                let delivery = follower.inbox.recv().await.expect("it stays connected");
                passed.push(delivery.topic);
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, follow).await.is_ok();
        assert!(in_time, "{end} in {passed:?}");
        passed
    };
    let told = typed("group tree");
    assert!(told.contains("hall-3") && told.contains("berlin"), "{told}");
    typed("device change pump-7 --set site=one");
    until("devices/pump-7/changed").await;
    typed("group put hall-3 --description pumps");
    until("groups/hall-3/changed").await;
    typed("config template set group hall-3 a=1");
    until("templates/group.hall-3/changed").await;
    // Whoever loses a group hears that, and nothing more of what is in it.
    typed("group put hall-3 --no-parent");
    until("groups/hall-3/changed").await;
    seen(&[]).await;
    typed("device change pump-7 --set site=two");
    typed("group put hall-3 --description hers-no-more");
    typed("config template set group hall-3 a=2");
    typed("group put berlin --description end");
    let passed = until("groups/berlin/changed").await;
    assert!(
        !passed
            .iter()
            .any(|topic| topic.contains("templates")
                || topic.contains("changed") && topic.contains("devices/")),
        "{passed:?}"
    );
    typed("group put hall-3 --parent berlin");
    until("groups/hall-3/changed").await;
    seen(&["pump-7"]).await;
    typed("device change pump-7 --set site=three");
    until("devices/pump-7/changed").await;
    assert!(typed("group show hall-3").contains("berlin"));
}
