//! The first certificate, and the next.

use std::time::Duration;

use device::{Ending, Error, Event};

use crate::{
    pump::{Pump, Watch},
    world::World,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_claims_connects_reports_speaks_and_beats() {
    let (world, watch) = (World::new().await, Watch::default());
    let settings = world.settings("pump-7");
    *watch.says.lock() = vec!["{not json", "22.5"];
    let pump = Pump::start(&settings, &watch).await;
    world
        .until("it beats and speaks", |s| {
            s.heartbeats > 2 && !s.reports.is_empty() && s.said.len() == 2
        })
        .await;
    assert_eq!(pump.stop().await, Ending::Shutdown);
    let said: Vec<_> = world.state.lock().said.drain(..).map(|(_, said)| said).collect();
    assert_eq!(said, [b"22.5".to_vec(), b"{not json".to_vec()]);
    let (id, report) = world.state.lock().reports[0].clone();
    assert_eq!((id.as_str(), report.model.as_str()), ("pump-7", "pump"));
    assert_eq!(report.firmware_version, "1.0.0");

    // Another process goes on with the certificate that is there.
    let mut settings = settings;
    settings.claim = None;
    let before = world.state.lock().reports.len();
    let pump = Pump::start(&settings, &watch).await;
    world
        .until("it reports again", |s| s.reports.len() > before)
        .await;
    pump.stop().await;
    assert_eq!(world.state.lock().serials, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_certificate_and_a_claim_there_is_nothing_to_do() {
    let (world, watch) = (World::new().await, Watch::default());
    let mut settings = world.settings("pump-7");
    settings.claim = None;
    let ended = Pump::start(&settings, &watch).await.end().await;
    assert!(matches!(ended, Err(Error::NoIdentity)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_it_claims_it_gets_one_certificate() {
    let (world, watch) = (World::new().await, Watch::default());
    let settings = world.settings("pump-7");
    for ms in [0, 2, 5, 9, 14, 20, 27, 35, 44, 60, 80] {
        let pump = Pump::start(&settings, &watch).await;
        tokio::time::sleep(Duration::from_millis(ms)).await;
        pump.kill().await;
    }
    let pump = Pump::start(&settings, &watch).await;
    world.until("it reports", |s| !s.reports.is_empty()).await;
    pump.stop().await;
    assert_eq!(world.state.lock().serials, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_or_given_anothers_certificate_it_asks_again_under_a_new_key() {
    let (world, watch) = (World::new().await, Watch::default());
    world.state.lock().refuses_to_sign = true;
    let pump = Pump::start(&world.settings("pump-7"), &watch).await;
    watch
        .until(|e| matches!(e, Event::Problem { what } if what.contains("not registered")))
        .await;
    {
        let mut state = world.state.lock();
        state.refuses_to_sign = false;
        state.signs_for_another = true;
    }
    world.until("it reports", |s| !s.reports.is_empty()).await;
    pump.stop().await;
    assert_eq!(world.state.lock().serials, 2);
    assert!(watch.heard(|e| matches!(e, Event::Problem { what } if what.contains("pump-7-other"))) == 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_renews_in_time_and_goes_over_to_the_next_certificate() {
    let (mut world, watch) = (World::new().await, Watch::default());
    // Backdated by a minute: two thirds of its life are over 5 seconds from now, three quarters after 13.
    world.state.lock().lifetime_ms = 38_000;
    let settings = world.settings("pump-7");
    let pump = Pump::start(&settings, &watch).await;
    world.until("it reports", |s| !s.reports.is_empty()).await;
    let first = std::fs::read(settings.folder.join("identity.pem")).unwrap();
    world.state.lock().lifetime_ms = 3_600_000;
    world.until("it asks for the next", |s| s.serials == 2).await;
    let reports = world.state.lock().reports.len();
    world
        .until("it connects with it", |s| s.reports.len() > reports)
        .await;
    assert_eq!(watch.heard(|e| matches!(e, Event::Renewed { .. })), 1);
    assert_ne!(
        std::fs::read(settings.folder.join("identity.pem")).unwrap(),
        first
    );
    assert!(!settings.folder.join("next.pem").exists());
    // And it lives through the loss of its server.
    world.stop();
    tokio::time::sleep(Duration::from_millis(300)).await;
    world.start().await;
    let reports = world.state.lock().reports.len();
    world.until("it comes back", |s| s.reports.len() > reports).await;
    pump.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_off_before_it_knew_that_the_next_certificate_counts_it_is_let_in_with_that_one() {
    let (world, watch) = (World::new().await, Watch::default());
    world.state.lock().lifetime_ms = 100_000;
    let settings = world.settings("pump-7");
    let file = |name: &str| settings.folder.join(name);
    let pump = Pump::start(&settings, &watch).await;
    world.until("it reports", |s| !s.reports.is_empty()).await;
    pump.stop().await;
    let first = std::fs::read(file("identity.pem")).unwrap();
    // A twin's identity is as good as one that was renewed.
    std::fs::remove_file(file("identity.pem")).unwrap();
    let reports = world.state.lock().reports.len();
    let pump = Pump::start(&settings, &watch).await;
    world
        .until("it reports again", |s| s.reports.len() > reports)
        .await;
    pump.stop().await;
    std::fs::rename(file("identity.pem"), file("next.pem")).unwrap();
    std::fs::write(file("identity.pem"), &first).unwrap();
    let serials: Vec<String> = watch
        .events
        .lock()
        .iter()
        .filter_map(|event| match event {
            Event::Enrolled { serial, .. } => Some(serial.clone()),
            _ => None,
        })
        .collect();
    world.state.lock().refused = vec![serials[0].clone()];

    let reports = world.state.lock().reports.len();
    let pump = Pump::start(&settings, &watch).await;
    world.until("it is let in", |s| s.reports.len() > reports).await;
    pump.stop().await;
    assert_eq!(
        watch.heard(|e| matches!(e, Event::Renewed { serial, .. } if *serial == serials[1])),
        1
    );
    assert!(std::fs::read(file("identity.pem")).unwrap() != first && !file("next.pem").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_ends_while_the_server_is_away_is_not_tried_for_ever() {
    let (mut world, watch) = (World::new().await, Watch::default());
    // Backdated by a minute.
    world.state.lock().lifetime_ms = 62_500;
    let pump = Pump::start(&world.settings("pump-7"), &watch).await;
    world.until("it reports", |s| !s.reports.is_empty()).await;
    world.state.lock().refuses_to_sign = true;
    world.stop();
    tokio::time::sleep(Duration::from_secs(4)).await;
    {
        let mut state = world.state.lock();
        state.refuses_to_sign = false;
        state.lifetime_ms = 3_600_000;
    }
    let reports = world.state.lock().reports.len();
    world.start().await;
    world.until("it is back", |s| s.reports.len() > reports).await;
    pump.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_renew_it_does_so_once_and_takes_no_order_about_another_certificate() {
    let (world, watch) = (World::new().await, Watch::default());
    let pump = Pump::start(&world.settings("pump-7"), &watch).await;
    world.until("it reports", |s| !s.reports.is_empty()).await;
    let serial = {
        let events = watch.events.lock();
        let enrolled = events.iter().find_map(|event| match event {
            Event::Enrolled { serial, .. } => Some(serial.clone()),
            _ => None,
        });
        enrolled.unwrap()
    };
    let order = |serial: &str| contract::v1::RenewOrder {
        renewal_id: "renewal-1".into(),
        serial: serial.into(),
        within_ms: 100,
    };
    let tell = |serial: &str| {
        let service = contract::id::ServiceName::Provisioning;
        world.push("pump-7", service, "renew", &order(serial));
    };
    tell("4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(world.state.lock().renewals.is_empty());
    let reports = world.state.lock().reports.len();
    tell(&serial);
    tell(&serial);
    world
        .until("it connects with the next", |s| {
            s.serials == 2 && s.reports.len() > reports
        })
        .await;
    assert_eq!(watch.heard(|e| matches!(e, Event::Renewed { .. })), 1);
    // The order comes once more, late.
    tell(&serial);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.state.lock().renewals.len(), 1);
    pump.stop().await;
}
