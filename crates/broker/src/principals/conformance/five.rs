//! Properties of MQTT 5.

use std::sync::atomic::Ordering;

use super::*;
use packets::text;

fn alias(n: u16) -> Vec<u8> {
    [&[0x23][..], &n.to_be_bytes()].concat()
}

async fn with_properties(server: &Server, properties: Vec<u8>) -> (Client, Got) {
    server
        .connect(&Hello {
            properties,
            ..device(true)
        })
        .await
}

clause!(v5 "3.3.2-7", v5 "3.3.2-8", v5 "3.3.2-9", v5 "3.3.2-12", v5 "3.2.2-17");
#[tokio::test]
async fn a_client_may_name_its_topics_by_number() {
    let server = Server::start();
    let most = Limits::default().topic_aliases;
    let (mut client, connack) = with_properties(&server, vec![]).await;
    let told = [&[0x22][..], &most.to_be_bytes()].concat();
    assert!(connack.body.windows(3).any(|w| w == told));
    for n in 1..=most {
        client
            .say(&packets::publish_with(0, 0, REPORT, &alias(n), b"{}"))
            .await;
        client
            .say(&packets::publish_with(0, 0, "", &alias(n), b"{}"))
            .await;
    }
    let requests = server.asked(2 * usize::from(most)).await;
    assert!(requests.iter().all(|f| f.topic == REPORT));
    let unknown = packets::publish_with(0, 0, "", &alias(1), b"{}");
    for bytes in [
        unknown,
        packets::publish_with(0, 0, REPORT, &alias(0), b"{}"),
        packets::publish_with(0, 0, REPORT, &alias(most + 1), b"{}"),
    ] {
        assert!(matches!(
            last_reason(&ends(&server, true, &bytes).await),
            Some(0x94 | 0x82)
        ));
    }
}

clause!(v5 "3.1.2-26", v5 "3.1.2-27", v5 "3.3.2-11");
#[tokio::test]
async fn the_server_names_topics_by_number_as_far_as_the_client_takes_it() {
    let server = Server::start();
    for most in [0u16, 1] {
        let mut properties = vec![];
        if most > 0 {
            properties = [&[0x22][..], &most.to_be_bytes()].concat();
        }
        let (mut client, _) = with_properties(&server, properties).await;
        client.subscribe(0).await;
        for name in ["registry/retire", "registry/retire", "registry/other"] {
            server.push(name, "{}");
            let got = client.hear().await;
            let expected = if most == 0 { vec![] } else { alias(1) };
            assert_eq!(got.publish_properties(), expected);
        }
    }
}

clause!(v5 "3.3.2-13", v5 "3.3.2-14", v5 "3.3.2-19");
#[tokio::test]
async fn a_response_topic_is_a_text_without_wildcards() {
    let server = Server::start();
    let mut client = server.device(true).await;
    let response = |topic: &[u8]| [&[0x08][..], &(topic.len() as u16).to_be_bytes(), topic].concat();
    let wild = response(b"muster/v1/devices/pump-7/down/#");
    let got = client
        .ask(&packets::publish_with(1, 7, REPORT, &wild, b"{}"))
        .await;
    assert_eq!((got.kind, got.reason()), (0x40, 0x83));
    for property in [response(b"\xFF"), [&[0x03][..], &[0, 1, 0xFF]].concat()] {
        ends(
            &server,
            true,
            &packets::publish_with(1, 7, REPORT, &property, b"{}"),
        )
        .await;
    }
}

clause!(v5 "3.3.2-15", v5 "3.3.2-16", v5 "3.3.2-20");
#[tokio::test]
async fn a_reply_comes_where_it_was_wanted_with_what_it_answers() {
    let server = Server::start();
    let mut client = server.subscribed(true, 0).await;
    let topic = "muster/v1/devices/pump-7/down/registry/report/here";
    let properties = [&[0x08][..], &text(topic), &[0x09], &text("my id")].concat();
    client
        .say(&packets::publish_with(1, 7, REPORT, &properties, b"{}"))
        .await;
    let requests = server.asked(1).await;
    assert_eq!(
        (&requests[0].response_topic[..], &requests[0].correlation[..]),
        (topic, &b"my id"[..])
    );
    server.answer(&requests[0], "");
    let got = client.hear().await;
    assert_eq!(got.message(true).0, topic);
    let expected = [&[0x09][..], &text("my id"), &[0x03], &text("application/json")].concat();
    assert_eq!(got.publish_properties(), expected);
}

clause!(v5 "3.3.2-5", v5 "3.3.2-6", v5 "4.3.3-7");
#[tokio::test]
async fn a_message_that_is_of_no_use_any_more_is_left_out() {
    let server = Server::start();
    let message = |payload: &'static str, expires_ms| {
        let mut frame = Frame {
            topic: "muster/v1/devices/pump-7/down/registry/retire".into(),
            payload: payload.into(),
            expires_ms,
            ..Frame::default()
        };
        frame.set_purpose(Purpose::Message);
        frame
    };
    let mut client = server.subscribed(true, 1).await;
    // The server's clock stands at 1,000,000 ms.
    for (payload, at) in [("late", 1_000_000), ("soon", 1_002_500)] {
        server.publish(ServiceName::Registry, message(payload, at));
    }
    let got = client.hear().await;
    assert_eq!(got.message(true).1, b"soon");
    assert_eq!(got.publish_properties(), [0x02, 0, 0, 0, 3]);
}

clause!(v5 "4.3.3-13");
#[tokio::test]
async fn what_has_begun_is_brought_to_its_end_though_the_message_is_of_no_use_any_more() {
    let server = Server::start();
    let mut client = server.subscribed(true, 2).await;
    let mut frame = Frame {
        topic: "muster/v1/devices/pump-7/down/registry/retire".into(),
        payload: "soon".into(),
        expires_ms: 1_002_500,
        ..Frame::default()
    };
    frame.set_purpose(Purpose::Message);
    server.publish(ServiceName::Registry, frame.clone());
    let got = client.hear().await;
    let id = got.publish_id();
    server.0.wall_ms.store(1_003_000, Ordering::Relaxed);
    // What has not begun is left out by now.
    server.publish(ServiceName::Registry, frame);
    assert_eq!(
        client.ask(&packets::answer(0x50, id, 0)).await,
        Got {
            kind: 0x62,
            body: id.to_be_bytes().to_vec()
        }
    );
    client.say(&packets::answer(0x70, id, 0)).await;
    assert!(client.by_now().await.is_empty());
}

clause!(v5 "3.2.2-15");
#[tokio::test]
async fn a_client_is_told_how_large_a_packet_may_be() {
    let server = Server::start();
    let most = Limits::default().packet_bytes;
    let (mut client, connack) = with_properties(&server, vec![]).await;
    let told = [&[0x27][..], &most.to_be_bytes()].concat();
    assert!(connack.body.windows(5).any(|w| w == told));
    let begun = packets::publish(true, 1, 7, REPORT, &vec![b' '; most as usize]);
    client.say(&begun[..100]).await;
    assert_eq!(last_reason(&client.end().await), Some(0x95));
}

clause!(v5 "3.1.2-28");
#[tokio::test]
async fn only_whoever_asks_hears_where_replies_may_be_sent() {
    let server = Server::start();
    let prefix = [&[0x1A][..], &text("muster/v1/devices/pump-7/down/")].concat();
    for (properties, told) in [(vec![0x19, 1], true), (vec![0x19, 0], false), (vec![], false)] {
        let (_, connack) = with_properties(&server, properties).await;
        assert_eq!(connack.body.windows(prefix.len()).any(|w| w == prefix), told);
    }
}

clause!(v5 "3.1.2-29");
#[tokio::test]
async fn whoever_takes_no_reasons_gets_none() {
    let server = Server::start();
    for (properties, with_reason) in [(vec![], true), (vec![0x17, 0], false)] {
        let (mut client, _) = with_properties(&server, properties).await;
        for qos in [1, 2] {
            let got = client
                .ask(&packets::publish(true, qos, 7, "somewhere", b"{}"))
                .await;
            assert_eq!((got.reason(), got.body.len() > 4), (0x90, with_reason));
        }
    }
}

clause!(v5 "3.4.2-2", v5 "3.5.2-2", v5 "3.14.2-3", v5 "3.2.2-19");
#[tokio::test]
async fn a_reason_that_is_too_large_is_left_out_and_the_rest_comes() {
    let server = Server::start();
    let (mut client, _) = with_properties(&server, vec![0x27, 0, 0, 0, 30]).await;
    for (qos, kind) in [(1, 0x40), (2, 0x50)] {
        let got = client
            .ask(&packets::publish(true, qos, 7, "somewhere", b"{}"))
            .await;
        assert_eq!((got.kind, got.reason()), (kind, 0x90));
        assert!(got.body.len() <= 28);
    }
    client.say(&device(true).packet()).await;
    assert_eq!(last_reason(&client.end().await), Some(0x82));
    let hello = Hello {
        client_id: "pump-8",
        properties: vec![0x27, 0, 0, 0, 30],
        ..device(true)
    };
    let (_, connack) = server.connect(&hello).await;
    assert_eq!((connack.body[1], connack.body.len() <= 28), (0x85, true));
}

clause!(v5 "3.3.2-4", v5 "3.3.2-15", v5 "3.3.2-16", v5 "3.3.2-17", v5 "3.3.2-18", v5 "3.3.2-20");
#[tokio::test]
async fn what_a_device_says_to_people_comes_with_all_its_properties() {
    let server = Server::start();
    let hello = Hello {
        client_id: "erp",
        user_name: Some("integrators/erp"),
        ..device(true)
    };
    let (mut erp, _) = server.connect(&hello).await;
    let filter = "muster/v1/devices/+/up/front-door/data";
    erp.ask(&packets::subscribe_with(true, 1, &[0x0B, 5], filter, 0))
        .await;
    let pair = |key: &str, value: &str| [&[0x26][..], &text(key), &text(value)].concat();
    let properties = [
        &[0x01, 1][..],
        &[0x02, 0, 0, 0, 9],
        &[0x08],
        &text("muster/v1/devices/pump-7/down/x"),
        &[0x09],
        &text("my id"),
        &[0x03],
        &text("text/csv"),
        &pair("unit", "C"),
        &pair("traceparent", "00-1"),
        &pair("unit", "K"),
    ]
    .concat();
    let mut client = server.device(true).await;
    let topic = "muster/v1/devices/pump-7/up/front-door/data";
    let puback = client
        .ask(&packets::publish_with(1, 7, topic, &properties, b"22.5;23"))
        .await;
    assert_eq!((puback.kind, puback.reason()), (0x40, 0));
    let got = erp.hear().await;
    assert_eq!(got.message(true), (topic.to_owned(), b"22.5;23".to_vec()));
    let expected = [
        &[0x09][..],
        &text("my id"),
        &[0x03],
        &text("text/csv"),
        &[0x0B, 5],
        &[0x02, 0, 0, 0, 9],
        &[0x01, 1],
        &[0x08],
        &text("muster/v1/devices/pump-7/down/x"),
        &pair("unit", "C"),
        &pair("traceparent", "00-1"),
        &pair("unit", "K"),
    ]
    .concat();
    assert_eq!(got.publish_properties(), expected);
}
