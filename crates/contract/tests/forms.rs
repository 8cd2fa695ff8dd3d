//! The forms in which messages travel, held by golden files: whoever wrote a client against them relies on it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use contract::{
    v1,
    wire::{self, Encoding, Wire},
};

/// One message of each kind of field: enums, 64-bit numbers, bytes, maps, options, nested and repeated ones.
fn forms() -> Vec<(&'static str, String)> {
    let device = v1::Device {
        device_id: "pump-7".into(),
        version: 3,
        stage: v1::Stage::Active as i32,
        restriction: v1::Restriction::None as i32,
        criticality: v1::Criticality::High as i32,
        groups: vec!["line-7".into()],
        location: Some(v1::Location {
            place: "berlin/hall-3".into(),
            latitude: 52.5,
            longitude: 13.25,
        }),
        attributes: [("bearing".into(), "ceramic".into())].into(),
        registered_at_ms: 1_700_000_000_123,
        ..v1::Device::default()
    };
    let change = v1::ChangeDevice {
        request_id: "r-1".into(),
        device_id: "pump-7".into(),
        name: Some(String::new()),
        ..v1::ChangeDevice::default()
    };
    let block = v1::PutBlock {
        artifact_id: "ab".into(),
        offset: 32_768,
        data: vec![0, 255, 16],
        ..Default::default()
    };
    let heartbeat = v1::Heartbeat {
        uptime_ms: 5,
        metrics: [("temperature".into(), 21.5)].into(),
        ..Default::default()
    };
    let rejection = v1::Rejection {
        code: "conflict".into(),
        message: "the device has version 3, not 2".into(),
        field: "expected_version".into(),
        request_id: "r-1".into(),
        present_version: 3,
        allowed: vec!["3".into()],
        retry_after_ms: 0,
    };
    vec![
        ("Device", json(&device)),
        ("ChangeDevice", json(&change)),
        ("PutBlock", json(&block)),
        ("Heartbeat", json(&heartbeat)),
        ("Rejection", json(&rejection)),
        ("Report, empty", json(&v1::Report::default())),
    ]
}

/// The JSON form, which must come back to the same message, as the protobuf form does.
fn json<M: Wire + PartialEq + std::fmt::Debug>(message: &M) -> String {
    for encoding in [Encoding::Json, Encoding::Protobuf] {
        let bytes = wire::encode(message, encoding);
        if !bytes.is_empty() {
            assert_eq!(
                wire::decode::<M>(&bytes, encoding.content_type()).unwrap(),
                *message
            );
        }
    }
    String::from_utf8(wire::encode(message, Encoding::Json).to_vec()).unwrap()
}

#[test]
fn messages_have_their_golden_json_forms() {
    let now: String = forms()
        .iter()
        .map(|(name, json)| format!("{name}: {json}\n"))
        .collect();
    let golden = include_str!("../testdata/messages.txt");
    assert!(
        now == golden,
        "the JSON forms have changed; clients rely on them:\n{now}"
    );
}

#[test]
fn protobuf_forms_never_begin_like_json() {
    // `{` would be field 15 with wire type 3, a group, which proto3 does not have.
    let mut first = std::collections::BTreeSet::new();
    first.insert(
        wire::encode(
            &v1::Report {
                model: "x".into(),
                ..Default::default()
            },
            Encoding::Protobuf,
        )[0],
    );
    first.insert(
        wire::encode(
            &v1::Heartbeat {
                uptime_ms: 1,
                ..Default::default()
            },
            Encoding::Protobuf,
        )[0],
    );
    assert!(!first.contains(&b'{'));
}
