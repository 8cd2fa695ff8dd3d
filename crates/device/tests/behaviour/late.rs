//! A device that comes back when its certificate has ended.

use std::{sync::atomic::Ordering, time::Duration};

use device::{Event, Settings};
use pki::{KeyKind, PublicKey};

use crate::{
    pump::{Pump, Watch},
    world::World,
};

/// A device without a claim, whose certificate has just ended.
async fn late(world: &World) -> Settings {
    let mut settings = world.settings("pump-7");
    settings.claim = None;
    let key = pki::generate_key(KeyKind::P256).unwrap();
    let public = PublicKey::of_private(&key).unwrap();
    let subject = "urn:muster:harbour:devices:pump-7".parse().unwrap();
    let certificate = world.site.issue(&subject, &public, 1_000);
    std::fs::create_dir_all(&settings.folder).unwrap();
    std::fs::write(
        settings.folder.join("identity.pem"),
        format!("{}{certificate}", *key),
    )
    .unwrap();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    settings
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_renews_over_the_certificate_that_ended_and_goes_on_with_the_next() {
    for has_claim in [false, true] {
        let (world, watch) = (World::new().await, Watch::default());
        let mut settings = late(&world).await;
        world.site.lets_in_late.store(true, Ordering::SeqCst);
        if has_claim {
            // A claim may be used up, or have ended long ago: it comes last.
            settings.claim = Some(world.claim());
        }
        let pump = Pump::start(&settings, &watch).await;
        world.until("it reports", |s| !s.reports.is_empty()).await;
        pump.stop().await;
        assert_eq!(world.state.lock().renewals.len(), 1);
        assert_eq!(watch.heard(|e| matches!(e, Event::Renewed { .. })), 1);
        assert_eq!(watch.heard(|e| matches!(e, Event::Claiming)), 0);
        assert!(!settings.folder.join("next.pem").exists());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_server_refuses_it_the_claim_is_used() {
    let (world, watch) = (World::new().await, Watch::default());
    let mut settings = late(&world).await;
    settings.claim = Some(world.claim());
    let pump = Pump::start(&settings, &watch).await;
    world.until("it reports", |s| !s.reports.is_empty()).await;
    pump.stop().await;
    let state = world.state.lock();
    assert!(state.renewals.is_empty());
    assert_eq!(state.serials, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_it_renews_it_gets_one_certificate() {
    let (world, watch) = (World::new().await, Watch::default());
    let settings = late(&world).await;
    world.site.lets_in_late.store(true, Ordering::SeqCst);
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

/// As when an answer of long ago comes once more, whose certificate has ended meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_of_no_use_is_followed_by_another_request() {
    let (world, watch) = (World::new().await, Watch::default());
    let settings = late(&world).await;
    world.site.lets_in_late.store(true, Ordering::SeqCst);
    world.state.lock().signs_for_another = true;
    let pump = Pump::start(&settings, &watch).await;
    let renewed = |e: &Event| matches!(e, Event::Renewed { .. });
    world.until("it reports", |s| !s.reports.is_empty()).await;
    pump.stop().await;
    assert_eq!(watch.heard(renewed), 1);
    assert_eq!(world.state.lock().serials, 2);
}
