//! Bad networks between devices and the server: cut at any byte, slow, one byte at a time, silent without an end.
//! Nothing that was acknowledged is lost, and everybody is back when it is over.
//! `FIRE_CUTS` says at how many places connections are cut.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use contract::ServiceName;
use world::{
    Promptness, Scene, Tally,
    chaos::{Chaos, Weather},
    times,
};

/// Fair again, and how long it takes until all services acknowledge.
async fn clears(scene: &Scene, chaos: &Chaos) -> Duration {
    chaos.turns(Weather::Fair);
    scene.recovered(Instant::now()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_cut_at_any_byte_and_nothing_is_lost() {
    let (scene, chaos) = Scene::behind_chaos().await;
    let mut tally = Tally::of("connections cut at any byte");
    let wanted = times("FIRE_CUTS", 300);
    while chaos.cuts() < wanted {
        // From within the TLS handshake (some 4 kB) to well after a few requests.
        chaos.turns(Weather::CutWithin(10_000));
        tokio::time::sleep(Duration::from_millis(500)).await;
        tally.recovered(clears(&scene, &chaos).await);
    }
    println!("{} connections were cut", chaos.cuts());
    scene.end(tally).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_and_a_dripping_network_lose_nothing() {
    let (scene, chaos) = Scene::behind_chaos().await;
    let mut tally = Tally::of("network slow (300 ms), dripping (1 byte in 2 ms)");
    for weather in [
        Weather::Slow(Duration::from_millis(300)),
        Weather::Drip(Duration::from_millis(2)),
    ] {
        chaos.turns(weather);
        let begun = Instant::now();
        let took = scene.recovered(begun).await;
        println!("{weather:?}: all services acknowledge after {took:?}");
        tokio::time::sleep(Duration::from_secs(3)).await;
        tally.recovered(clears(&scene, &chaos).await);
    }
    scene.end(tally).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_falls_silent_loses_nothing() {
    let (scene, chaos) = Scene::behind_chaos().await;
    let mut tally = Tally::of("network silent, connections open, 15 s");
    chaos.turns(Weather::Silent);
    let others = scene
        .crew
        .connect(&scene.world.endpoint(), &scene.crew.probe, "")
        .await;
    let (begun, others_are) = (Instant::now(), Promptness::within(Duration::from_secs(1)));
    while begun.elapsed() < Duration::from_secs(times("FIRE_SILENCE_SECONDS", 15)) {
        // Whoever has another way in is served meanwhile.
        let standing = contract::v1::GetStanding::default();
        let asked = Instant::now();
        let _: contract::v1::Standing = others.ask(ServiceName::Registry, "standing", &standing).await;
        others_are.took(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    others.client.disconnect().await;
    tally.recovered(clears(&scene, &chaos).await);
    scene.end(tally).await;
}
