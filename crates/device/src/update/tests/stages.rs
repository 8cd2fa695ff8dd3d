//! The stages, by tables and by chance.

use proptest::prelude::*;

use super::*;
use crate::{
    event::{Event, UpdateStep},
    update::journal::{How, Slot},
};

fn offer(rollout_id: &str, sequence: u64) -> Input {
    Input::Offered(Offer::Fit(job(rollout_id, sequence)))
}

fn to_trial() -> [Input; 5] {
    [
        offer("r1", 3),
        Input::Fetched,
        Input::Announced,
        Input::Staged,
        Input::Started,
    ]
}

fn ended(journal: &Journal) -> (How, &str) {
    match &journal.stage {
        Stage::Ended(end) => (end.how, end.detail.as_str()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_way_to_a_confirmed_image() {
    let trial = after(&Journal::default(), to_trial());
    assert_eq!(
        (trial.active, trial.floor, trial.marker().as_str()),
        (Slot::A, 0, "b try\n")
    );
    let done = step(&trial, Input::Healthy);
    assert_eq!(ended(&done), (How::Succeeded, ""));
    assert_eq!(
        (done.active, done.floor, done.marker().as_str()),
        (Slot::B, 3, "b\n")
    );
    let idle = step(&done, Input::Acknowledged);
    assert_eq!((idle.stage.clone(), task(&idle)), (Stage::Idle, None));
    let second = after(
        &idle,
        [offer("r2", 4), Input::Fetched, Input::Announced, Input::Staged],
    );
    assert_eq!(second.marker(), "a try\n");
}

#[test]
fn an_image_that_is_not_well_leaves_everything_as_it_was() {
    let trial = after(&Journal::default(), to_trial());
    let back = step(&trial, Input::Unhealthy("it\nsmokes".into()));
    assert_eq!((task(&back), back.marker().as_str()), (Some(Task::Undo), "a\n"));
    let done = step(&back, Input::Undone);
    assert_eq!(ended(&done), (How::RolledBack, "it smokes"));
    assert_eq!((done.active, done.floor, done.b), (Slot::A, 0, None));
}

#[test]
fn an_image_that_never_comes_up_is_given_three_starts() {
    let mut journal = after(&Journal::default(), to_trial());
    for boots in 2..=3 {
        journal = step(&journal, Input::Started);
        assert!(matches!(journal.stage, Stage::Trying { boots: n, .. } if n == boots));
    }
    assert_eq!(task(&step(&journal, Input::Started)), Some(Task::Undo));
}

#[test]
fn wrong_bytes_are_fetched_once_more_and_then_refused() {
    let first = after(&Journal::default(), [offer("r1", 3), Input::Damaged("x".into())]);
    assert!(matches!(first.stage, Stage::Downloading { attempt: 2, .. }));
    assert_eq!(
        ended(&step(&first, Input::Damaged("the digest".into()))),
        (How::Refused, "the digest")
    );
}

#[test]
fn calling_off_counts_until_the_server_has_been_told() {
    for (inputs, counts) in [(1, true), (2, true), (3, false), (4, false), (5, false)] {
        let journal = after(&Journal::default(), to_trial().into_iter().take(inputs));
        let off = step(&journal, Input::Unassigned);
        assert_eq!(off.stage == Stage::Idle, counts, "after {inputs}");
        assert!(counts || off == journal);
    }
}

#[test]
fn of_a_download_that_was_called_off_nothing_more_is_told() {
    let fetches = step(&Journal::default(), offer("r1", 3));
    let told = progress(&fetches, &job("r1", 3), 40);
    assert!(
        matches!(
            told,
            Some(Event::Update {
                step: UpdateStep::Downloading,
                percent: 40,
                ..
            })
        ),
        "{told:?}"
    );
    for after in [Input::Unassigned, offer("r2", 4), Input::Fetched] {
        let next = step(&fetches, after.clone());
        assert_eq!(progress(&next, &job("r1", 3), 50), None, "{after:?}");
    }
}

#[test]
fn a_newer_assignment_replaces_one_that_can_be_called_off_and_waits_for_any_other() {
    for (inputs, replaces) in [(0, true), (1, true), (2, true), (3, false), (5, false)] {
        let journal = after(&Journal::default(), to_trial().into_iter().take(inputs));
        let next = step(&journal, offer("r2", 4));
        let taken = matches!(&next.stage, Stage::Downloading { job, .. } if job.rollout_id == "r2");
        assert_eq!(taken, replaces, "after {inputs}");
    }
}

#[test]
fn a_server_that_forgot_the_end_is_told_again_and_nothing_is_installed_twice() {
    let done = after(
        &Journal::default(),
        to_trial()
            .into_iter()
            .chain([Input::Healthy, Input::Acknowledged]),
    );
    let again = step(&done, offer("r1", 3));
    assert_eq!(ended(&again).0, How::Succeeded);
    assert_eq!(again.active, Slot::B);
}

#[test]
fn an_unfit_offer_is_refused_with_its_reason() {
    let unfit = Offer::Unfit {
        rollout_id: "r1".into(),
        version: "1".into(),
        why: "not newer".into(),
    };
    let journal = step(&Journal::default(), Input::Offered(unfit));
    assert_eq!(ended(&journal), (How::Refused, "not newer"));
    assert!(matches!(task(&journal), Some(Task::Report(_))));
}

fn any_input() -> impl Strategy<Value = Input> {
    let jobs: Vec<Input> = [("r1", 3), ("r2", 4), ("r3", 2), ("r4", 9)]
        .map(|(r, s)| offer(r, s))
        .into();
    prop_oneof![
        4 => proptest::sample::select(jobs),
        1 => Just(Input::Unassigned),
        3 => Just(Input::Fetched),
        1 => Just(Input::Damaged("d".into())),
        1 => Just(Input::Failed("f".into())),
        1 => Just(Input::Refused("r".into())),
        3 => Just(Input::Announced),
        3 => Just(Input::Staged),
        3 => Just(Input::Started),
        3 => Just(Input::Healthy),
        1 => Just(Input::Unhealthy("u".into())),
        3 => Just(Input::Undone),
        3 => Just(Input::Acknowledged),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_in_whatever_order(inputs in proptest::collection::vec(any_input(), 0..80)) {
        let mut journal = Journal::default();
        for input in inputs {
            let next = step(&journal, input.clone());
            // A restart changes nothing.
            prop_assert_eq!(Journal::from_bytes(&next.to_bytes()).unwrap(), next.clone());
            prop_assert!(next.floor >= journal.floor);
            let was_tried = matches!(journal.stage, Stage::Trying { .. });
            if next.active != journal.active || next.floor != journal.floor {
                prop_assert!(was_tried && input == Input::Healthy);
            }
            // The confirmed slot is never touched.
            prop_assert_eq!(next.held(journal.active), journal.held(journal.active));
            prop_assert_eq!(task(&next).is_none(), next.stage == Stage::Idle);
            // What is tried was announced, and lies in the other slot.
            if let Stage::Trying { job, .. } = &next.stage {
                prop_assert_eq!(next.held(next.active.other()), Some(&job.image));
            }
            journal = next;
        }
    }
}
