//! Updates from the assignment to the end, cut off wherever it hurts.

use std::time::Duration;

use contract::{
    id::ServiceName,
    v1::{Assignment, UpdateState as U},
};
use device::{Device, Ending, Event, UpdateStep};

use crate::{
    pump::{Pump, Watch},
    world::{BLOCK, World, image, release},
};

const KIB: usize = 1024;

fn is_over(world: &World) -> impl Future<Output = ()> {
    world.until("the update is over", |s| {
        s.updates
            .last()
            .is_some_and(|(_, state, _)| *state as i32 >= U::Succeeded as i32)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_is_fetched_tried_and_confirmed_and_the_next_one_too() {
    let (world, watch) = (World::new().await, Watch::default());
    let settings = world.settings("pump-7");
    let pump = Pump::start(&settings, &watch).await;
    world.until("it reports", |s| !s.reports.is_empty()).await;
    for (sequence, slot) in [(3, "b"), (4, "a")] {
        let image = image(sequence as u8, 20 * KIB + 17);
        world.state.lock().updates.clear();
        world.assign(
            "pump-7",
            &release(&format!("r{sequence}"), sequence, &image),
            &image,
        );
        is_over(&world).await;
        let way = [U::Downloading, U::Verified, U::Installing, U::Succeeded];
        assert_eq!(world.updates("pump-7"), way);
        let file = settings.folder.join(format!("slot-{slot}"));
        assert_eq!(std::fs::read(file).unwrap(), image);
        let marker = std::fs::read_to_string(settings.folder.join("active")).unwrap();
        assert_eq!(marker, format!("{slot}\n"));
        let version = format!("1.{sequence}.0");
        world
            .until("it reports its version", |s| {
                s.reports
                    .iter()
                    .any(|(_, report)| report.firmware_version == version)
            })
            .await;
    }
    pump.stop().await;
    let image = Device::open(settings, watch).unwrap().image().unwrap();
    assert_eq!((image.version.as_str(), image.sequence), ("1.4.0", 4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_twenty_points_it_resumes_and_ends_well() {
    let (world, watch) = (World::new().await, Watch::default());
    let settings = world.settings("pump-7");
    let image = image(3, 100 * KIB);
    world.state.lock().slow = Duration::from_millis(10);
    world.assign("pump-7", &release("r1", 3, &image), &image);
    let mut kills = 0;
    for ms in 0..20 {
        let pump = Pump::start(&settings, &watch).await;
        tokio::time::sleep(Duration::from_millis(40 + ms * 7)).await;
        pump.kill().await;
        kills += 1;
    }
    let pump = Pump::start(&settings, &watch).await;
    is_over(&world).await;
    pump.stop().await;
    assert_eq!(world.updates("pump-7").last(), Some(&U::Succeeded));
    assert_eq!(std::fs::read(settings.folder.join("slot-b")).unwrap(), image);
    let blocks = world.state.lock().blocks;
    assert!(blocks <= image.len() / BLOCK + kills * 8, "{blocks} blocks");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_in_the_midst_of_it_it_leaves_its_folder_to_the_next() {
    let (world, watch) = (World::new().await, Watch::default());
    let settings = world.settings("pump-7");
    // More than ten rounds come to.
    let image = image(3, 4_000 * KIB);
    world.state.lock().slow = Duration::from_millis(20);
    world.assign("pump-7", &release("r1", 3, &image), &image);
    for _ in 0..10 {
        let blocks = world.state.lock().blocks;
        let pump = Pump::start(&settings, &watch).await;
        world.until("blocks go out", |s| s.blocks > blocks + 8).await;
        pump.stop().await;
        Device::open(settings.clone(), watch.clone()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_goes_away_in_the_middle() {
    let (mut world, watch) = (World::new().await, Watch::default());
    let settings = world.settings("pump-7");
    let image = image(3, 60 * KIB);
    {
        let mut state = world.state.lock();
        state.slow = Duration::from_millis(30);
        state.damages_blocks = true;
    }
    world.assign("pump-7", &release("r1", 3, &image), &image);
    let pump = Pump::start(&settings, &watch).await;
    world.until("blocks go out", |s| s.blocks > 10).await;
    world.stop();
    tokio::time::sleep(Duration::from_millis(200)).await;
    world.state.lock().damages_blocks = false;
    world.start().await;
    is_over(&world).await;
    pump.stop().await;
    assert_eq!(world.updates("pump-7").last(), Some(&U::Succeeded));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_is_not_well_goes_back() {
    let (world, watch) = (World::new().await, Watch::default());
    let settings = world.settings("pump-7");
    *watch.illness.lock() = Some("it smokes".into());
    let image = image(3, 4 * KIB);
    world.assign("pump-7", &release("r1", 3, &image), &image);
    let pump = Pump::start(&settings, &watch).await;
    is_over(&world).await;
    pump.stop().await;
    let (_, state, detail) = world.state.lock().updates.last().unwrap().clone();
    assert_eq!((state, detail.as_str()), (U::RolledBack, "it smokes"));
    let marker = std::fs::read_to_string(settings.folder.join("active")).unwrap();
    assert_eq!(marker, "a\n");
    assert_eq!(watch.steps().last(), Some(&UpdateStep::RolledBack));
    assert!(
        world
            .state
            .lock()
            .reports
            .iter()
            .all(|(_, r)| r.firmware_version == "1.0.0")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_loses_the_server_goes_back() {
    let (mut world, watch) = (World::new().await, Watch::default());
    let mut settings = world.settings("pump-7");
    settings.confirm_within = Duration::from_secs(1);
    *watch.restarts.lock() = 1;
    let image = image(3, 4 * KIB);
    world.assign("pump-7", &release("r1", 3, &image), &image);
    assert_eq!(
        Pump::start(&settings, &watch).await.end().await.unwrap(),
        Ending::Restart
    );
    world.stop();
    let pump = Pump::start(&settings, &watch).await;
    let marked = || std::fs::read_to_string(settings.folder.join("active")).unwrap();
    for _ in 0..3_000 {
        if marked() == "a\n" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(marked(), "a\n");
    world.start().await;
    is_over(&world).await;
    pump.stop().await;
    assert_eq!(world.updates("pump-7").last(), Some(&U::RolledBack));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_never_comes_up_goes_back_after_three_starts() {
    let (world, watch) = (World::new().await, Watch::default());
    let settings = world.settings("pump-7");
    *watch.restarts.lock() = 99;
    let image = image(3, 4 * KIB);
    world.assign("pump-7", &release("r1", 3, &image), &image);
    for _ in 0..3 {
        assert_eq!(
            Pump::start(&settings, &watch).await.end().await.unwrap(),
            Ending::Restart
        );
    }
    let pump = Pump::start(&settings, &watch).await;
    is_over(&world).await;
    pump.stop().await;
    assert_eq!(watch.boots.lock().len(), 3);
    assert_eq!(world.updates("pump-7").last(), Some(&U::RolledBack));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_be_installed_is_refused() {
    let (world, watch) = (World::new().await, Watch::default());
    let settings = world.settings("pump-7");
    let (three, two) = (image(3, 4 * KIB), image(2, 4 * KIB));
    let pump = Pump::start(&settings, &watch).await;
    world.until("it reports", |s| !s.reports.is_empty()).await;
    world.assign("pump-7", &release("r1", 3, &three), &three);
    is_over(&world).await;
    let mut forged = release("r3", 9, &two);
    forged.signed.as_mut().unwrap().payload[3] ^= 1;
    for (assignment, image, expected) in [
        (release("r2", 2, &two), &two, "not newer"),
        (release("r4", 3, &three), &three, "not newer"),
        (forged, &two, "not to be trusted"),
        // The server serves other bytes than those that were signed.
        (release("r5", 5, &two), &three, "digest"),
    ] {
        world.state.lock().updates.clear();
        world.assign("pump-7", &assignment, image);
        is_over(&world).await;
        let (_, state, detail) = world.state.lock().updates.last().unwrap().clone();
        assert_eq!(state, U::Refused, "{detail}");
        assert!(detail.contains(expected), "{detail}");
    }
    pump.stop().await;
    assert_eq!(watch.boots.lock().as_slice(), ["1.3.0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn called_off_in_time_it_is_not_installed() {
    let (world, watch) = (World::new().await, Watch::default());
    let settings = world.settings("pump-7");
    // So much that it is called off in time on a busy machine too.
    let image = image(3, 2_000 * KIB);
    world.state.lock().slow = Duration::from_millis(50);
    world.assign("pump-7", &release("r1", 3, &image), &image);
    let pump = Pump::start(&settings, &watch).await;
    world.until("blocks go out", |s| s.blocks > 10).await;
    world.state.lock().assigned.clear();
    let off = Assignment {
        rollout_id: "r1".into(),
        canceled: true,
        ..Assignment::default()
    };
    world.push("pump-7", ServiceName::Rollout, "assignment", &off);
    watch
        .until(|e| matches!(e, Event::Update { step, .. } if *step == UpdateStep::CalledOff))
        .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let fetched = world.state.lock().blocks;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.state.lock().blocks, fetched, "nothing is fetched any more");
    pump.stop().await;
    // How far it is may be told by what kept a block on another thread just then.
    let mut steps = watch.steps();
    if steps.len() == 3 {
        assert_eq!(steps.pop(), Some(UpdateStep::Downloading));
    }
    assert_eq!(steps, [UpdateStep::Downloading, UpdateStep::CalledOff]);
    assert_eq!(world.updates("pump-7"), [U::Downloading]);
}
