//! The end: keys go after the receipt has been acknowledged, and not before.

use std::{fs, time::Duration};

use contract::{id::ServiceName, v1::RetireOrder};
use device::{Ending, Error, Event};

use crate::{
    pump::{Pump, Watch},
    world::World,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ordered_to_retire_it_erases_its_keys_after_the_receipt() {
    let (world, watch) = (World::new().await, Watch::default());
    let settings = world.settings("pump-7");
    let pump = Pump::start(&settings, &watch).await;
    world.until("it reports", |s| !s.reports.is_empty()).await;
    world.state.lock().mute_on_erased = true;
    world.push("pump-7", ServiceName::Registry, "retire", &RetireOrder::default());
    world.until("the receipt comes", |s| !s.erased.is_empty()).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(settings.folder.join("identity.pem").exists());
    // Killed here, it goes on with retiring.
    pump.kill().await;
    world.state.lock().mute_on_erased = false;
    let pump = Pump::start(&settings, &watch).await;
    assert_eq!(pump.end().await.unwrap(), Ending::Retired);
    assert!(!settings.folder.join("identity.pem").exists());
    assert_eq!(world.state.lock().erased.last().unwrap().erased, ["identity.pem"]);
    assert_eq!(watch.heard(|e| *e == Event::RetireOrdered), 1);
    // It does not come back to life, though it has a claim.
    let pump = Pump::start(&settings, &watch).await;
    assert_eq!(pump.end().await.unwrap(), Ending::Retired);
    assert_eq!(world.state.lock().serials, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_was_missed_is_learnt_when_it_connects() {
    let (world, watch) = (World::new().await, Watch::default());
    world.state.lock().retiring = true;
    let pump = Pump::start(&world.settings("pump-7"), &watch).await;
    assert_eq!(pump.end().await.unwrap(), Ending::Retired);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_acknowledgement_and_erasure_it_erases_once_it_is_refused() {
    let (world, watch) = (World::new().await, Watch::default());
    let settings = world.settings("pump-7");
    let pump = Pump::start(&settings, &watch).await;
    world.until("it reports", |s| !s.reports.is_empty()).await;
    world.state.lock().mute_on_erased = true;
    world.push("pump-7", ServiceName::Registry, "retire", &RetireOrder::default());
    world.until("the receipt comes", |s| !s.erased.is_empty()).await;
    pump.kill().await;
    world.state.lock().revoked = true;
    let pump = Pump::start(&settings, &watch).await;
    assert_eq!(pump.end().await.unwrap(), Ending::Retired);
    assert!(!settings.folder.join("identity.pem").exists());
}

/// Its power was cut while it erased its keys, and no mark was made before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_was_half_erased_is_the_end_and_any_other_damage_is_named() {
    let (world, watch) = (World::new().await, Watch::default());
    let settings = world.settings("pump-7");
    let key = settings.folder.join("identity.pem");
    let pump = Pump::start(&settings, &watch).await;
    world.until("it reports", |s| !s.reports.is_empty()).await;
    pump.stop().await;
    let whole = fs::read(&key).unwrap();
    let erased_up_to = |n: usize| [&vec![0; n][..], &whole[n..]].concat();
    for (left, is_ordered, is_retired) in [
        (erased_up_to(1), false, true),
        (erased_up_to(700), false, true),
        (erased_up_to(whole.len()), false, true),
        (b"nonsense".to_vec(), false, false),
        (whole[..40].to_vec(), false, false),
        (whole[..40].to_vec(), true, true),
    ] {
        let _ = fs::remove_file(settings.folder.join("retired"));
        fs::write(&key, &left).unwrap();
        if is_ordered {
            fs::write(settings.folder.join("retire"), b"").unwrap();
        }
        let pump = Pump::start(&settings, &watch).await;
        match (pump.end().await, is_retired) {
            (Ok(Ending::Retired), true) => assert!(!key.exists()),
            (Err(Error::Damaged { path, .. }), false) => assert_eq!(path, key),
            (other, _) => panic!("{other:?} of {} octets", left.len()),
        }
    }
    let told = |e: &Event| matches!(e, Event::Problem { what } if what.contains("erases what is left"));
    assert_eq!(watch.heard(told), 4);
}
