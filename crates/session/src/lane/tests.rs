use super::*;

fn lane() -> Lane {
    Lane::new(
        3,
        &Limits {
            window: 4,
            ..Limits::default()
        },
    )
}

fn frame(topic: &str) -> Frame {
    Frame {
        topic: topic.into(),
        ..Frame::default()
    }
}

fn ask(lane: &mut Lane, topic: &str) -> u64 {
    lane.push(
        frame(topic),
        Origin::Connection {
            connection: 1,
            packet_id: Some(1),
        },
        Turn::First,
    )
    .unwrap()
}

fn topics(frames: &[Frame]) -> Vec<&str> {
    frames.iter().map(|f| f.topic.as_str()).collect()
}

fn answer(lane: &mut Lane, number: u64) -> bool {
    lane.release(RequestNumber { boot: 3, number }).is_some()
}

#[test]
fn a_window_is_sent_again_in_order_before_anything_new() {
    let mut lane = lane();
    lane.link_up();
    let (a, b, _c) = (ask(&mut lane, "a"), ask(&mut lane, "b"), ask(&mut lane, "c"));
    assert_eq!(topics(&lane.take(9, 9999)), ["a", "b", "c"]);
    assert!(answer(&mut lane, b));
    lane.link_down(Leaving::Lost);
    ask(&mut lane, "d");
    lane.pass(frame("lost, for there is nobody"));
    assert!(lane.take(9, 9999).is_empty());
    lane.link_up();
    assert_eq!(topics(&lane.take(9, 9999)), ["a", "c", "d"]);
    assert!(answer(&mut lane, a));
    assert!(!answer(&mut lane, a), "an answer settles once");
}

#[test]
fn a_full_window_gives_the_request_back_and_calls_when_there_is_room() {
    let mut lane = lane();
    lane.link_up();
    for n in 0..4 {
        ask(&mut lane, &n.to_string());
    }
    let origin = Origin::Connection {
        connection: 9,
        packet_id: None,
    };
    assert!(lane.push(frame("more"), origin, Turn::First).is_err());
    lane.stall(9);
    assert!(lane.take_stalled().is_empty());
    assert!(lane.push(frame("inside"), Origin::Inside, Turn::First).is_ok());
    for n in 1..=3 {
        answer(&mut lane, n);
    }
    assert_eq!(lane.take_stalled(), [9]);
}

#[test]
fn the_request_that_kills_again_is_marked() {
    let mut lane = lane();
    ask(&mut lane, "deadly");
    ask(&mut lane, "innocent");
    for _ in 0..2 {
        lane.link_up();
        assert_eq!(lane.take(9, 9999).len(), 2);
        lane.link_down(Leaving::Lost);
    }
    lane.link_up();
    let alone = lane.take(9, 9999);
    assert_eq!((topics(&alone), alone[0].suspect), (vec!["deadly"], false));
    lane.link_down(Leaving::Lost);
    lane.link_up();
    let marked = lane.take(9, 9999);
    assert!(marked[0].suspect && marked.len() == 1);
    assert!(answer(&mut lane, 1));
    let next = lane.take(9, 9999);
    assert_eq!((topics(&next), next[0].suspect), (vec!["innocent"], false));
    assert!(answer(&mut lane, 2));
    ask(&mut lane, "x");
    ask(&mut lane, "y");
    assert_eq!(
        lane.take(9, 9999).len(),
        2,
        "a window that emptied is trusted again"
    );
}

#[test]
fn what_is_passed_on_does_not_wait_behind_requests_that_must() {
    let mut lane = lane();
    for topic in ["a", "b"] {
        ask(&mut lane, topic);
    }
    for _ in 0..2 {
        lane.link_up();
        lane.take(9, 9999);
        lane.link_down(Leaving::Lost);
    }
    lane.link_up();
    assert_eq!(topics(&lane.take(9, 9999)), ["a"]);
    lane.pass(frame("the page that a waits for"));
    assert!(lane.has_work());
    lane.receipt("devices/a".into(), "heartbeat", frame("beat"));
    assert_eq!(topics(&lane.take(9, 9999)), ["the page that a waits for", "beat"]);
    assert!(!lane.has_work());
}

#[test]
fn care_ends_behind_what_was_out_at_the_death() {
    let mut lane = lane();
    let (a, b) = (ask(&mut lane, "a"), ask(&mut lane, "b"));
    for _ in 0..2 {
        lane.link_up();
        lane.take(9, 9999);
        lane.link_down(Leaving::Lost);
    }
    lane.link_up();
    assert_eq!(lane.take(9, 9999).len(), 1);
    answer(&mut lane, a);
    let (_, _) = (ask(&mut lane, "c"), ask(&mut lane, "d"));
    assert_eq!(lane.take(9, 9999).len(), 1);
    answer(&mut lane, b);
    assert_eq!(
        lane.take(9, 9999).len(),
        2,
        "those came later: they are trusted, though the window never emptied"
    );
}

#[test]
fn who_says_goodbye_has_not_been_killed() {
    let mut lane = lane();
    ask(&mut lane, "innocent");
    for _ in 0..9 {
        lane.link_up();
        assert!(!lane.take(9, 9999)[0].suspect);
        lane.link_down(Leaving::Goodbye);
    }
}

#[test]
fn of_messages_without_a_promise_the_newest_is_kept() {
    let mut lane = lane();
    lane.receipt("devices/a".into(), "heartbeat", frame("old"));
    lane.receipt("devices/a".into(), "heartbeat", frame("new"));
    assert!(!lane.has_work());
    lane.link_up();
    assert_eq!(topics(&lane.take(9, 9999)), ["new"]);
    assert!(!lane.has_work());
}

#[test]
fn answers_of_another_boot_settle_nothing() {
    let mut lane = lane();
    let number = ask(&mut lane, "a");
    assert!(lane.release(RequestNumber { boot: 2, number }).is_none());
    assert_eq!(lane.waiting(), 1);
}
