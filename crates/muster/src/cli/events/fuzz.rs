//! Events as strangers would forge them: one clean line or an error, and a stream that neither stops nor repeats.

use contract::{event, id::ServiceName, v1::ReplayMarker};
use falsify::{Corpus, falsify, mutated};
use proptest::prelude::*;

use super::{
    event::CloudEvent,
    stream::{Sight, Stream, Verdict},
};

const CASES: u32 = 5_000;

fn events() -> Vec<Vec<u8>> {
    let event = |name: &str, data: &str| {
        let event = contract::v1::Event {
            sequence: 41,
            subject_sequence: 3,
            time_ms: 1_700_000_000_123,
            subject: "devices/pump-7".into(),
            name: name.into(),
            data: data.as_bytes().to_vec(),
            epoch: 0xabc,
            actor: "operators/ada".into(),
            ..Default::default()
        };
        let source = event::Source {
            site: "hq",
            service: ServiceName::Registry,
        };
        event::to_cloud_event(source, &event)
    };
    vec![
        event(
            "moved",
            r#"{"device_id":"pump-7","to":"STAGE_ACTIVE","deadline_ms":"1700000000000","took_ms":12}"#,
        ),
        event(
            "reported",
            r#"{"attributes":{"a":"b"},"metrics":[1.5,null],"reason":"new\nbearing"}"#,
        ),
        event("removed", ""),
    ]
}

#[test]
fn a_forged_event_is_one_clean_line_or_none() {
    let words: &[&[u8]] = &[
        b"\\u001b[2J",
        b"\\n",
        b"\\ud800",
        b"\\u202e",
        b"18446744073709551615",
        b"\"-9223372036854775808\"",
        b"\"9223372036854775807\"",
        b"\"x_ms\":",
        b"1e999",
        b"[[[[",
        b"{\"a\":",
        b"null",
        b"\"\"",
        b"..",
    ];
    let corpus = Corpus::new(env!("CARGO_MANIFEST_DIR"), std::env::temp_dir(), "events");
    corpus.falsify(CASES, &mutated(corpus.with(events()), words), |payload| {
        if let Ok(event) = CloudEvent::read(payload) {
            let line = event.line(ServiceName::Registry);
            assert!(!line.contains(char::is_control), "{line:?}");
            assert!(
                line.len() <= 8 * payload.len() + 256,
                "{} bytes of {}",
                line.len(),
                payload.len()
            );
        }
    });
}

#[test]
fn every_time_is_told() {
    let edges = [
        0,
        1,
        -1,
        253_402_300_799_999,
        253_402_300_800_000,
        i64::MAX,
        i64::MIN,
    ];
    for ms in edges {
        let text = format!(
            "{{\"type\":\"a.b.c\",\"subject\":\"s\",\"time\":\"t\",\"sequence\":\"1\",\"epoch\":\"e\",\"data\":{{\"at_ms\":\"{ms}\"}}}}"
        );
        CloudEvent::read(text.as_bytes())
            .unwrap()
            .line(ServiceName::Registry);
    }
}

/// What happens to a stream.
#[derive(Debug, Clone)]
enum Heard {
    Live(u64),
    Replayed(u64),
    Marker(ReplayMarker),
    Lost,
}

fn heard() -> impl Strategy<Value = Heard> {
    let number = || prop_oneof![6 => 0u64..12, 1 => prop::sample::select(vec![u64::MAX - 1, u64::MAX])];
    prop_oneof![
        4 => number().prop_map(Heard::Live),
        4 => number().prop_map(Heard::Replayed),
        2 => (number(), number(), any::<bool>(), prop::sample::select(vec!["a", "a", "a", "b"])).prop_map(
            |(last, head, complete, epoch)| Heard::Marker(ReplayMarker {
                last,
                head,
                complete,
                epoch: epoch.into(),
                ..ReplayMarker::default()
            })
        ),
        1 => Just(Heard::Lost),
    ]
}

#[test]
fn a_stream_shows_each_number_of_a_history_once_and_in_order() {
    let stories = (any::<bool>(), prop::collection::vec(heard(), 0..30));
    let found = falsify(CASES, &stories, |(whole, story)| {
        let sight = if *whole { Sight::Whole } else { Sight::Partial };
        let mut stream = Stream::new(sight, 0);
        let mut shown = 0;
        for heard in story {
            let (number, verdict) = match heard {
                Heard::Live(number) => (*number, stream.live("a", *number)),
                Heard::Replayed(number) => (*number, stream.replayed(*number)),
                Heard::Marker(marker) => {
                    // Another history, or a head below what was shown, begins anew.
                    stream.marker(marker);
                    shown = stream.cursor().min(shown);
                    continue;
                }
                Heard::Lost => {
                    stream.fall_behind();
                    continue;
                }
            };
            if verdict == Verdict::Show {
                assert!(number > shown, "{number} after {shown}");
                shown = number;
            }
        }
    });
    assert!(found.is_none(), "fails for {found:?}");
}
