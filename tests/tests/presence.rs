//! Who comes and goes, as an integrator follows it and as an operator looks it up.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use contract::{ServiceName, v1};
use serde_json::Value;
use world::{Person, Process, World};

/// How long an event may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

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
            (&"kicked".into(), &"this device is suspended".into()),
            "{said}"
        );
        let session = (&said["boot"], &said["session"]);
        assert_eq!(session, (&online["boot"], &online["session"]), "{said}");
    }
}
