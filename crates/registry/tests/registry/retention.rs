//! How long events and answers are kept, as any service keeps them, and what a replay says of events that are gone.

use contract::{
    limits::ANSWERS_PER_PRINCIPAL,
    v1::{ChangeDevice, Changed, Purpose, Replay, ReplayMarker},
};
use service::{inspect, store::Read};

use crate::world::{ADA, World, register};

const DAY_MS: i64 = 24 * 3_600_000;
const FOLLOWER: &str = "services/monitoring";

/// Registers so many devices; the broker has not taken their events yet.
fn registered(w: &mut World, name: &str, count: usize) {
    for n in 0..count {
        w.ask::<Changed>(ADA, "register", &register(&format!("{name}-{n}")))
            .unwrap();
    }
}

/// The broker has taken every event that there is.
fn all_taken(w: &mut World) -> u64 {
    let (head, _) = inspect::heads(&w.store).unwrap();
    w.taken(head);
    head
}

/// A page of replay: the sequences of its events, and its marker.
fn replayed(w: &mut World, after: u64) -> (Vec<u64>, ReplayMarker) {
    w.frames.clear();
    let ask = Replay {
        after,
        ..Replay::default()
    };
    let marker = w.ask(FOLLOWER, "replay", &ask).unwrap();
    let events = w
        .frames
        .iter()
        .filter(|frame| frame.purpose() == Purpose::Message);
    let sequence = |payload: &[u8]| {
        let event: serde_json::Value = serde_json::from_slice(payload).unwrap();
        event["sequence"].as_str().unwrap().parse().unwrap()
    };
    (events.map(|frame| sequence(&frame.payload)).collect(), marker)
}

fn kept(w: &World) -> Vec<u64> {
    let events = inspect::events(&w.store, 0, usize::MAX).unwrap();
    events.iter().map(|event| event.sequence).collect()
}

/// Until nothing more is removed.
fn rest(w: &mut World) {
    for _ in 0..4 {
        w.wait(61_000);
    }
}

#[test]
fn events_go_after_400_days_and_a_replay_from_before_says_where_the_rest_begins() {
    let mut w = World::new();
    w.keep_events(400 * DAY_MS.unsigned_abs(), 0);
    registered(&mut w, "old", 5);
    w.wait(11_000);
    let old = all_taken(&mut w);
    w.wait(399 * DAY_MS);
    registered(&mut w, "young", 3);
    w.wait(11_000);
    let head = all_taken(&mut w);
    assert_eq!(kept(&w), (1..=head).collect::<Vec<_>>());
    w.wait(2 * DAY_MS);
    // Publishing the audit log's head adds an event of its own.
    let head = head.max(inspect::heads(&w.store).unwrap().0);
    assert_eq!(kept(&w), (old + 1..=head).collect::<Vec<_>>());

    let (events, marker) = replayed(&mut w, 2);
    assert_eq!((marker.first, marker.head, marker.last), (old + 1, head, head));
    assert!(marker.complete);
    assert_eq!(events, (old + 1..=head).collect::<Vec<_>>());
    // Who has all up to the first that is kept has missed none.
    let (events, marker) = replayed(&mut w, old);
    assert_eq!((marker.first, events.first()), (old + 1, Some(&(old + 1))));
    let (events, marker) = replayed(&mut w, head);
    assert_eq!((events.len(), marker.first, marker.last), (0, old + 1, head));
}

#[test]
fn where_no_event_is_kept_a_replay_ends_and_numbers_go_on() {
    let mut w = World::new();
    let (events, marker) = replayed(&mut w, 0);
    assert_eq!(
        (events.len(), marker.first, marker.head),
        (0, 1, 0),
        "there was none"
    );
    w.keep_events(1_000, 0);
    registered(&mut w, "a", 3);
    rest(&mut w);
    let head = all_taken(&mut w);
    rest(&mut w);
    assert_eq!(kept(&w), [0; 0]);
    for after in [0, 2, head] {
        let (events, marker) = replayed(&mut w, after);
        assert_eq!((events.len(), marker.first, marker.last), (0, head + 1, head));
        assert!(marker.complete, "nobody waits for what is gone");
    }
    let (_, marker) = replayed(&mut w, head + 7);
    assert_eq!((marker.last, marker.complete), (head + 7, true));

    w.restart();
    w.frames.clear();
    let change = crate::world::change("a-0", &[("owner", "north")]);
    w.ask::<Changed>(ADA, "change", &change).unwrap();
    let event = w.events().remove(0);
    assert_eq!((event.sequence, event.subject_sequence), (head + 1, 2));
}

#[test]
fn what_the_broker_has_not_taken_stays_however_old_it_is() {
    let mut w = World::new();
    w.keep_events(1_000, 1);
    registered(&mut w, "a", 10);
    w.taken(4);
    rest(&mut w);
    let (head, _) = inspect::heads(&w.store).unwrap();
    assert_eq!(kept(&w), (5..=head).collect::<Vec<_>>());
    // After a restart the outbox begins where the events do.
    w.frames.clear();
    w.keep_events(1_000, 1);
    rest(&mut w);
    assert_eq!(kept(&w), (5..=head).collect::<Vec<_>>());
}

#[test]
fn so_many_are_kept_and_the_rest_goes_a_few_in_a_round() {
    let mut w = World::new();
    w.keep_events(0, 100);
    registered(&mut w, "a", 700);
    w.wait(11_000);
    let head = all_taken(&mut w);
    let mut left = kept(&w).len();
    w.wait(61_000);
    assert_eq!(kept(&w).len(), left - 256, "one round's");
    while kept(&w).len() > 100 {
        // No wait is needed as long as there is more.
        w.wait(1);
        assert!(kept(&w).len() < left);
        left = kept(&w).len();
    }
    assert_eq!(kept(&w), (head - 99..=head).collect::<Vec<_>>());
    rest(&mut w);
    assert_eq!(kept(&w).len(), 100);
    let (events, marker) = replayed(&mut w, 0);
    assert_eq!((events.len(), marker.first), (100, head - 99));
}

#[test]
fn nothing_goes_where_all_is_kept() {
    let mut w = World::new();
    w.keep_events(0, 0);
    registered(&mut w, "a", 3);
    w.wait(11_000);
    let head = all_taken(&mut w);
    w.wait(40_000 * DAY_MS);
    rest(&mut w);
    let kept = kept(&w);
    assert!(kept.len() as u64 >= head && kept.iter().copied().eq(1..=kept.len() as u64));
}

/// Changes the owner of a device, under this request id; the version that it came to.
fn owned(w: &mut World, request: &str, owner: &str) -> u64 {
    let change = ChangeDevice {
        device_id: "pump-0".into(),
        owner: Some(owner.into()),
        ..ChangeDevice::default()
    };
    w.ask_as::<Changed>(request, ADA, "change", &change)
        .unwrap()
        .version
}

/// Rows of answers, of their places, and of when they are to be looked at.
fn answer_rows(w: &World) -> [usize; 3] {
    [b"d", b"A", b"D"].map(|letter| w.store.scan(letter, None, usize::MAX).unwrap().len())
}

#[test]
fn an_answer_is_two_rows_and_goes_with_its_time() {
    let mut w = World::new();
    registered(&mut w, "pump", 1);
    w.wait(1_000);
    for n in 0..400 {
        owned(&mut w, &format!("change-{n}"), &format!("owner {n}"));
    }
    assert_eq!(answer_rows(&w), [401, 401, 1]);
    let version = owned(&mut w, "change-7", "owner 7");
    assert_eq!(version, 9, "the first answer again");

    // The first one's time is over, then that of all others, which go a few at a time.
    w.wait(DAY_MS - 1_000);
    assert_eq!(answer_rows(&w), [400, 400, 1]);
    assert_eq!(owned(&mut w, "change-7", "owner 7"), 9);
    w.wait(1_000);
    w.restart();
    let left = |rows: [usize; 3]| rows[0];
    let mut looks = 0;
    while left(answer_rows(&w)) > 0 && looks < 100 {
        let before = left(answer_rows(&w));
        w.wait(10_000);
        assert!(before - left(answer_rows(&w)) <= 256);
        looks += 1;
    }
    assert_eq!(answer_rows(&w), [0, 0, 0]);
    assert_eq!(owned(&mut w, "change-7", "owner 7"), 402, "decided anew");
    assert_eq!(answer_rows(&w), [1, 1, 1]);
}

#[test]
fn of_too_many_answers_the_oldest_go() {
    let mut w = World::new();
    registered(&mut w, "pump", 1);
    for n in 0..ANSWERS_PER_PRINCIPAL {
        owned(&mut w, &format!("change-{n}"), &format!("owner {n}"));
    }
    // The registration's has gone.
    assert_eq!(answer_rows(&w), [ANSWERS_PER_PRINCIPAL, ANSWERS_PER_PRINCIPAL, 1]);
    assert_eq!(owned(&mut w, "change-0", "owner 0"), 2);
    owned(&mut w, "one more", "somebody");
    assert_eq!(answer_rows(&w), [ANSWERS_PER_PRINCIPAL, ANSWERS_PER_PRINCIPAL, 1]);
    assert_eq!(owned(&mut w, "change-1", "owner 1"), 3);
    let last = owned(&mut w, "change-0", "owner 0");
    assert_eq!(last, ANSWERS_PER_PRINCIPAL as u64 + 3, "decided anew");
}
