//! A device's life, over real mTLS and a real disk, step by step as its operator sees it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use contract::{
    ServiceName,
    v1::{self, Restriction, Stage},
};
use world::World;

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
