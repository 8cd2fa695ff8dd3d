//! A download on a real folder, cut off again and again.

use std::sync::Arc;

use contract::v1::Block;
use proptest::prelude::*;

use super::*;
use crate::files::Folder;
use crate::ground::{Ground as _, Machine};
use crate::update::{
    download::WINDOW,
    journal::{Held, Slot},
};

fn folder(dir: &tempfile::TempDir) -> Slots {
    Slots::new(Arc::new(Folder::on(Machine.disk(dir.path()).unwrap())))
}

/// Where the power goes within a window.
#[derive(Debug, Clone, Copy)]
enum Cut {
    None,
    BeforeStoring,
    BeforeNoting,
}

fn block(job: &Job, image: &[u8], (offset, length): (u64, u32)) -> Block {
    let data = image[offset as usize..][..length as usize].to_vec();
    Block {
        artifact_id: job.artifact_id.clone(),
        offset,
        crc32: crc32fast::hash(&data),
        data,
        ..Block::default()
    }
}

/// Fetches one window; returns how many blocks were asked for.
fn window(slots: &Slots, job: &Job, image: &[u8], cut: Cut) -> usize {
    let kept = slots.map(job).unwrap();
    let mut download = Download::resume(job, kept.as_deref()).unwrap();
    let asked = download.window();
    let mut blocks = Vec::new();
    for place in asked.iter().copied() {
        match download.look(place, block(job, image, place)) {
            Arrived::Good { offset, data } => blocks.push((offset, data)),
            Arrived::Bad(why) => panic!("{why}"),
        }
        download.stored(place.0, place.1).unwrap();
    }
    match cut {
        Cut::BeforeStoring => {}
        Cut::BeforeNoting => slots
            .store(job, &blocks, kept.as_deref().unwrap_or_default())
            .unwrap(),
        Cut::None => slots.store(job, &blocks, &download.map()).unwrap(),
    }
    asked.len()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_download_goes_on_where_it_was(
        cuts in proptest::collection::vec(
            proptest::sample::select(vec![Cut::None, Cut::BeforeStoring, Cut::BeforeNoting]), 0..6),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let slots = folder(&dir);
        let (job, image) = (job("r1", 3), image(3));
        let lost = cuts.iter().filter(|cut| !matches!(cut, Cut::None)).count();
        let (mut asked, mut cuts) = (0, cuts.into_iter());
        loop {
            let window = window(&slots, &job, &image, cuts.next().unwrap_or(Cut::None));
            if window == 0 {
                break;
            }
            asked += window;
        }
        prop_assert!(asked <= image.len().div_ceil(512) + lost * WINDOW);
        prop_assert_eq!(slots.check_incoming(&job), Ok(()));
        // Staging twice is the same as once: a cut may come after it.
        for _ in 0..2 {
            prop_assert_eq!(slots.stage(&job, Slot::B), Ok(()));
        }
        prop_assert_eq!(std::fs::read(slots.path(Slot::B)).unwrap(), image);
    }
}

#[test]
fn blocks_that_are_not_what_was_asked_for() {
    let (job, image) = (job("r1", 3), image(3));
    let download = Download::resume(&job, None).unwrap();
    let good = block(&job, &image, (512, 512));
    type Change = fn(&mut Block);
    let cases: [Change; 5] = [
        |b| b.artifact_id = "0".repeat(64),
        |b| b.offset = 0,
        |b| b.data[7] ^= 1,
        |b| b.crc32 ^= 1,
        |b| b.data.truncate(100),
    ];
    assert!(matches!(
        download.look((512, 512), good.clone()),
        Arrived::Good { .. }
    ));
    for change in cases {
        let mut block = good.clone();
        change(&mut block);
        assert!(matches!(download.look((512, 512), block), Arrived::Bad(_)));
    }
}

#[test]
fn a_map_without_its_image_or_of_another_one_counts_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let slots = folder(&dir);
    let (job, image) = (job("r1", 3), image(3));
    window(&slots, &job, &image, Cut::None);
    assert!(slots.map(&job).unwrap().is_some());
    std::fs::remove_file(dir.path().join(format!("incoming-{}", job.artifact_id))).unwrap();
    assert_eq!(slots.map(&job).unwrap(), None);
    let longer = Job {
        image: Held {
            size: 6_000,
            ..job.image.clone()
        },
        ..job.clone()
    };
    let map = Download::resume(&job, None).unwrap().map();
    assert_eq!(
        Download::resume(&longer, Some(&map)).unwrap().window().len(),
        WINDOW
    );
    assert_eq!(Download::resume(&longer, Some(b"rubbish")).unwrap().percent(), 0);
}

#[test]
fn an_image_that_changed_in_its_slot_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let slots = folder(&dir);
    let (job, image) = (job("r1", 3), image(3));
    type Change = fn(&mut Vec<u8>);
    let cases: [Change; 4] = [
        |b| b[100] ^= 1,
        |b| b.push(0),
        |b| b.truncate(4_999),
        |b| b.clear(),
    ];
    for change in cases {
        let mut altered = image.clone();
        change(&mut altered);
        std::fs::write(slots.path(Slot::B), altered).unwrap();
        assert!(slots.check_slot(Slot::B, &job.image).is_err());
        assert!(slots.stage(&job, Slot::B).is_err());
    }
    std::fs::write(slots.path(Slot::B), &image).unwrap();
    assert_eq!(slots.check_slot(Slot::B, &job.image), Ok(()));
}

#[test]
fn the_marker_follows_the_journal_even_where_a_cut_came_between() {
    let dir = tempfile::tempdir().unwrap();
    let slots = folder(&dir);
    let inputs = [
        Input::Offered(Offer::Fit(job("r1", 3))),
        Input::Fetched,
        Input::Announced,
        Input::Staged,
    ];
    let trying = after(&Journal::default(), inputs);
    let marker = || std::fs::read_to_string(dir.path().join("active")).unwrap();
    slots.save(&Journal::default()).unwrap();
    assert_eq!(marker(), "a\n");
    std::fs::write(dir.path().join("update.json"), trying.to_bytes()).unwrap();
    slots.mark(&slots.journal().unwrap()).unwrap();
    assert_eq!(marker(), "b try\n");
}
