//! The agent as it is, and a server in other hands: the front door that the device's tests play.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../device/tests/world/mod.rs"]
mod world;

use agent::{Config, Ending};
use tokio::sync::mpsc;
use world::{World, command_key, order, signed_order};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agent_wipes_itself_for_an_operator_and_not_for_the_server() {
    let world = World::new().await;
    let settings = world.settings("pump-7");
    let mut config = Config::new(
        settings.folder.clone(),
        settings.device_id,
        settings.server,
        settings.roots_pem,
    );
    config.claim = Some(world.claim());
    config.command_keys = vec![command_key().public_key()];
    world.state.lock().config = contract::v1::ConfigState {
        version: 1,
        document: r#"{"secret":"x"}"#.into(),
        ..Default::default()
    };
    let wipe = |id: &str| order(id, "wipe", "{}");
    let other = artifact::SigningKey::from_seed(&[1; 32]);
    world.state.lock().orders = vec![
        wipe("c-1"),
        signed_order(&other, "pump-7", wipe("c-2")),
        signed_order(&command_key(), "pump-8", wipe("c-3")),
        order("c-4", "diagnose", "{}"),
        signed_order(&command_key(), "pump-7", wipe("c-5")),
    ];
    let (events, _heard) = mpsc::unbounded_channel();
    let ending = agent::run(config, Default::default(), events).await.unwrap();
    assert_eq!(ending, Ending::Wiped);
    let state = world.state.lock();
    let ends: Vec<_> = state
        .command_reports
        .iter()
        .filter(|r| r.state() != contract::v1::CommandState::Running)
        .map(|r| (r.command_id.as_str(), r.error.split(':').next().unwrap()))
        .collect();
    let expected = [
        ("c-1", "signature-missing"),
        ("c-2", "signature-wrong"),
        ("c-3", "signature-wrong"),
        ("c-4", ""),
        ("c-5", ""),
    ];
    assert_eq!(ends, expected);
    for name in ["identity.pem", "settings.json"] {
        assert!(!settings.folder.join(name).exists(), "{name}");
    }
}
