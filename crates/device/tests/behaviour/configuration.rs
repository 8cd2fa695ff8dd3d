//! What the device is to be set to: on its disk, applied, told, whatever is cut off.

use contract::{
    id::ServiceName,
    v1::{ConfigChange, ConfigState},
};
use device::Event;

use crate::{
    pump::{Pump, Watch},
    world::World,
};

fn state(version: u64, document: &str) -> ConfigState {
    ConfigState {
        version,
        document: document.into(),
        ..ConfigState::default()
    }
}

fn change(base_version: u64, version: u64, patch: &str) -> ConfigChange {
    ConfigChange {
        version,
        base_version,
        patch: patch.into(),
    }
}

fn versions(world: &World) -> Vec<(u64, String)> {
    let state = world.state.lock();
    let reports = state.config_reports.iter();
    let mut told: Vec<_> = reports.map(|r| (r.version, r.error.clone())).collect();
    // What was not acknowledged in time is told again.
    told.dedup();
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_asks_applies_tells_and_follows_changes() {
    let (world, watch) = (World::new().await, Watch::default());
    world.state.lock().config = state(1, r#"{"a":1,"b":2}"#);
    let settings = world.settings("pump-7");
    let pump = Pump::start(&settings, &watch).await;
    world.until("it tells", |s| s.config_reports.len() == 1).await;
    let asked = world.state.lock().configs_asked;
    // A change of what it has needs no question.
    world.push(
        "pump-7",
        ServiceName::Registry,
        "config",
        &change(1, 2, r#"{"b":null,"c":3}"#),
    );
    world
        .until("it tells of the second", |s| s.config_reports.len() == 2)
        .await;
    assert_eq!(world.state.lock().configs_asked, asked);
    // A change of something else does.
    world.state.lock().config = state(7, r#"{"d":4}"#);
    *watch.dislike.lock() = Some("no such\nvalve".into());
    world.push(
        "pump-7",
        ServiceName::Registry,
        "config",
        &change(6, 7, r#"{"d":4}"#),
    );
    world
        .until("it tells of the seventh", |s| s.config_reports.len() == 3)
        .await;
    let told = |version, error: &str| (version, error.to_owned());
    assert_eq!(
        versions(&world),
        [told(1, ""), told(2, ""), told(7, "no such valve")]
    );
    let configs = watch.configs.lock().clone();
    assert_eq!(configs, [r#"{"a":1,"b":2}"#, r#"{"a":1,"c":3}"#, r#"{"d":4}"#]);
    // Reconnected, it has nothing to tell.
    world.cut();
    world
        .until("it asks again", |s| s.configs_asked > asked + 1)
        .await;
    pump.stop().await;
    assert_eq!(versions(&world).len(), 3);
    assert_eq!(watch.configs.lock().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offline_start_has_its_configuration() {
    let (world, watch) = (World::new().await, Watch::default());
    world.state.lock().config = state(3, r#"{"a":1}"#);
    let settings = world.settings("pump-7");
    let pump = Pump::start(&settings, &watch).await;
    world.until("it tells", |s| s.config_reports.len() == 1).await;
    pump.kill().await;
    world.stop();
    let again = Watch::default();
    let pump = Pump::start(&settings, &again).await;
    let applied = Event::Configured {
        version: 3,
        error: None,
    };
    again.until(|event| *event == applied).await;
    assert_eq!(again.configs.lock().clone(), [r#"{"a":1}"#]);
    assert_eq!(again.heard(|event| *event == applied), 1);
    pump.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_it_is_acknowledged_it_tells_again() {
    let (world, watch) = (World::new().await, Watch::default());
    {
        let mut state = world.state.lock();
        state.config = self::state(1, r#"{"a":1}"#);
        state.mute_on_config = true;
    }
    let settings = world.settings("pump-7");
    let pump = Pump::start(&settings, &watch).await;
    world.until("it tells", |s| !s.config_reports.is_empty()).await;
    pump.kill().await;
    world.state.lock().mute_on_config = false;
    let before = world.state.lock().config_reports.len();
    let pump = Pump::start(&settings, &watch).await;
    world
        .until("it tells again", |s| s.config_reports.len() > before)
        .await;
    assert!(
        versions(&world)
            .iter()
            .all(|(version, error)| *version == 1 && error.is_empty())
    );
    pump.stop().await;
}
