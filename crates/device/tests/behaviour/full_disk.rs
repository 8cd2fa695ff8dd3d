//! A disk that takes nothing more: the device stays with its server, and goes on once there is room.
//!
//! Played by a folder where each new file would lie: like a full disk it lets everything be read and removed.

use std::{fs, path::Path, time::Duration};

use contract::{
    id::ServiceName,
    v1::{RetireOrder, UpdateState},
};
use device::{Ending, Event, UpdateStep};

use crate::{
    pump::{Pump, Watch},
    world::{World, image, release},
};

/// Nothing is written in place of this file any more.
fn fill(folder: &Path, name: &str) {
    fs::create_dir(folder.join(format!("{name}.new"))).unwrap();
}

fn free(folder: &Path, name: &str) {
    fs::remove_dir(folder.join(format!("{name}.new"))).unwrap();
}

async fn update_is_taken(world: &World) {
    let succeeded = |update: &(_, UpdateState, _)| update.1 == UpdateState::Succeeded;
    world
        .until("the update is taken", |s| s.updates.last().is_some_and(succeeded))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_comes_up_beats_and_takes_its_update_once_there_is_room() {
    let (world, watch) = (World::new().await, Watch::default());
    let settings = world.settings("pump-7");
    let pump = Pump::start(&settings, &watch).await;
    world.until("it reports", |s| !s.reports.is_empty()).await;
    pump.stop().await;
    for name in ["boots", "update.json"] {
        fill(&settings.folder, name);
    }

    let reports = world.state.lock().reports.len();
    let pump = Pump::start(&settings, &watch).await;
    world
        .until("it reports all the same", |s| s.reports.len() > reports)
        .await;
    let image = image(3, 9_000);
    world.assign("pump-7", &release("r1", 3, &image), &image);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let beats = world.state.lock().heartbeats;
    world.until("it beats", |s| s.heartbeats > beats + 2).await;
    problem_with(&watch, "boots").await;
    problem_with(&watch, "update.json").await;

    for name in ["boots", "update.json"] {
        free(&settings.folder, name);
    }
    update_is_taken(&world).await;
    pump.stop().await;
    assert_eq!(fs::read(settings.folder.join("slot-b")).unwrap(), image);
}

/// The answer under way says that nothing is assigned; the assignment, which is younger, overtakes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_is_told_while_it_asks_is_asked_for_again() {
    let (world, watch) = (World::new().await, Watch::default());
    let settings = world.settings("pump-7");
    fs::create_dir_all(&settings.folder).unwrap();
    fill(&settings.folder, "update.json");
    world.state.lock().late = Duration::from_secs(8);
    let pump = Pump::start(&settings, &watch).await;
    world.until("it asks", |s| s.asked == 1).await;
    let image = image(3, 9_000);
    world.assign("pump-7", &release("r1", 3, &image), &image);
    problem_with(&watch, "update.json").await;
    assert_eq!(world.state.lock().asked, 1, "the first answer is under way");
    free(&settings.folder, "update.json");
    update_is_taken(&world).await;
    pump.stop().await;
}

async fn problem_with(watch: &Watch, name: &str) {
    watch
        .until(|e| matches!(e, Event::Problem { what } if what.contains(name)))
        .await;
}

/// The start script must know of an image before it is tried: else the old one runs, and seems to be the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_whose_marker_is_not_taken_waits_for_it_and_does_not_go_back() {
    let (world, watch) = (World::new().await, Watch::default());
    let settings = world.settings("pump-7");
    let pump = Pump::start(&settings, &watch).await;
    world.until("it reports", |s| !s.reports.is_empty()).await;
    fill(&settings.folder, "active");
    let image = image(3, 9_000);
    world.assign("pump-7", &release("r1", 3, &image), &image);
    problem_with(&watch, "active").await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert!(watch.boots.lock().is_empty(), "it was started unmarked");
    free(&settings.folder, "active");
    update_is_taken(&world).await;
    pump.stop().await;
    assert!(
        !watch.steps().contains(&UpdateStep::RolledBack),
        "{:?}",
        watch.steps()
    );
    assert_eq!(fs::read_to_string(settings.folder.join("active")).unwrap(), "b\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fills_during_a_trial_ends_no_process() {
    for illness in [None, Some("it smokes".to_owned())] {
        let (world, watch) = (World::new().await, Watch::default());
        let settings = world.settings("pump-7");
        *watch.illness.lock() = illness.clone();
        *watch.fills.lock() = Some(settings.folder.join("update.json.new"));
        let image = image(3, 9_000);
        world.assign("pump-7", &release("r1", 3, &image), &image);
        let pump = Pump::start(&settings, &watch).await;
        problem_with(&watch, "update.json").await;
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        free(&settings.folder, "update.json");
        let end = match illness {
            None => UpdateState::Succeeded,
            Some(_) => UpdateState::RolledBack,
        };
        let told = |update: &(_, UpdateState, _)| update.1 == end;
        world
            .until("it ends as it should", |s| s.updates.last().is_some_and(told))
            .await;
        pump.stop().await;
    }
}

/// The answer under way is older than the assignment that overtakes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_is_told_while_it_asks_is_not_called_off() {
    let (world, watch) = (World::new().await, Watch::default());
    let settings = world.settings("pump-7");
    world.state.lock().late = Duration::from_millis(300);
    let pump = Pump::start(&settings, &watch).await;
    world.until("it asks", |s| s.asked == 1).await;
    let image = image(3, 9_000);
    world.state.lock().slow = Duration::from_millis(100);
    world.assign("pump-7", &release("r1", 3, &image), &image);
    update_is_taken(&world).await;
    pump.stop().await;
    assert!(
        !watch.steps().contains(&UpdateStep::CalledOff),
        "{:?}",
        watch.steps()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_gets_its_first_certificate_once_there_is_room() {
    let (world, watch) = (World::new().await, Watch::default());
    let settings = world.settings("pump-7");
    fs::create_dir_all(&settings.folder).unwrap();
    fill(&settings.folder, "request.pem");
    let pump = Pump::start(&settings, &watch).await;
    problem_with(&watch, "request.pem").await;
    free(&settings.folder, "request.pem");
    fill(&settings.folder, "identity.pem");
    problem_with(&watch, "identity.pem").await;
    free(&settings.folder, "identity.pem");
    world.until("it reports", |s| !s.reports.is_empty()).await;
    pump.stop().await;
    assert_eq!(world.state.lock().serials, 1, "one request, one certificate");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ordered_to_retire_it_notes_that_and_ends_though_there_is_no_room() {
    // Also where it has no count of its starts to note the order with: its key becomes the mark then.
    for has_boots in [true, false] {
        let (world, watch) = (World::new().await, Watch::default());
        let settings = world.settings("pump-7");
        let pump = Pump::start(&settings, &watch).await;
        world.until("it reports", |s| !s.reports.is_empty()).await;
        for name in ["retire", "retired", "boots"] {
            fill(&settings.folder, name);
        }
        if !has_boots {
            fs::remove_file(settings.folder.join("boots")).unwrap();
        }
        let key = settings.folder.join("identity.pem");
        let length = fs::metadata(&key).unwrap().len();
        world.push("pump-7", ServiceName::Registry, "retire", &RetireOrder::default());
        assert_eq!(pump.end().await.unwrap(), Ending::Retired);
        assert_eq!(world.state.lock().erased.len(), 1);
        no_key_is_left(&settings.folder);
        let mark = fs::read(settings.folder.join("retired")).unwrap();
        assert!(mark.iter().all(|byte| *byte == 0 || has_boots), "{mark:?}");
        assert_eq!(mark.len() as u64 == length, !has_boots);
        let pump = Pump::start(&settings, &watch).await;
        assert_eq!(pump.end().await.unwrap(), Ending::Retired);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ordered_to_retire_it_erases_its_keys_though_nothing_can_be_noted() {
    let (world, watch) = (World::new().await, Watch::default());
    let settings = world.settings("pump-7");
    let pump = Pump::start(&settings, &watch).await;
    world.until("it reports", |s| !s.reports.is_empty()).await;
    fs::create_dir_all(settings.folder.join("retired/full")).unwrap();
    world.push("pump-7", ServiceName::Registry, "retire", &RetireOrder::default());
    // The mark that it is retired cannot be made, and that is told.
    pump.end().await.unwrap_err();
    no_key_is_left(&settings.folder);
}

fn no_key_is_left(folder: &Path) {
    for name in ["identity.pem", "next.pem", "request.pem"] {
        assert!(!folder.join(name).exists(), "{name}");
    }
}
