//! The shape of packets: flags, lengths, texts.

use super::*;
use packets::{packet, text};

/// A packet with a text that ends so.
fn with_text(v5: bool, bad: &[u8]) -> Vec<Vec<u8>> {
    let mut topic = text("muster/v1/devices/pump-7/up/registry/");
    topic[1] += bad.len() as u8;
    topic.extend_from_slice(bad);
    let none: &[u8] = if v5 { &[0] } else { &[] };
    vec![
        packet(0x30, &[&topic, none, b"{}"].concat()),
        packet(0x82, &[&[0, 9], none, &topic, &[1]].concat()),
        packet(0xA2, &[&[0, 9], none, &topic].concat()),
    ]
}

clause!(
    v3 "1.4.0-1", v3 "1.4.0-2", v3 "3.3.2-1", v3 "3.8.3-1", v3 "3.10.3-1", v3 "4.7.3-2",
    v5 "1.5.4-1", v5 "1.5.4-2", v5 "3.3.2-1", v5 "3.8.3-1", v5 "3.10.3-1", v5 "4.7.3-2",
);
#[tokio::test]
async fn a_text_is_utf_8_without_surrogates_and_zeros() {
    let server = Server::start();
    for v5 in BOTH {
        for bad in [&[0xC3, 0x28][..], &[0xED, 0xA0, 0x80], &[0xFF], b"x\0y"] {
            for (n, bytes) in with_text(v5, bad).iter().enumerate() {
                // A filter with a zero is refused by its code.
                if n == 0 || !bad.contains(&0) {
                    ends(&server, v5, bytes).await;
                }
            }
        }
    }
}

clause!(
    v3 "3.1.3-4", v3 "3.1.3-10", v3 "3.1.3-11", v5 "3.1.3-4", v5 "3.1.3-11", v5 "3.1.3-12",
);
#[tokio::test]
async fn the_texts_of_a_connect_are_utf_8() {
    let server = Server::start();
    for v5 in BOTH {
        let hello = Hello {
            will: Some(will(0, vec![])),
            ..device(v5)
        };
        let good = hello.packet();
        for part in ["pump-7", REPORT, "devices/pump-7"] {
            let mut bytes = good.clone();
            // The last place where it stands: the topic holds the id as well.
            let found = |w: &[u8]| w == part.as_bytes();
            let at = match part {
                "pump-7" => bytes.windows(part.len()).position(found),
                _ => bytes.windows(part.len()).rposition(found),
            };
            bytes[at.unwrap()] = 0xFF;
            let mut client = server.dial(v5).await;
            client.say(&bytes).await;
            let got = client.end().await;
            assert!(
                got.iter().all(|got| got.kind == 0x20 && got.body[1] != 0),
                "{part}"
            );
        }
    }
}

clause!(v3 "1.4.0-3", v5 "1.5.4-3");
#[tokio::test]
async fn a_byte_order_mark_is_a_character_like_any_other() {
    let server = Server::start();
    for v5 in BOTH {
        let mut client = server.device(v5).await;
        let marked = format!("\u{FEFF}{REPORT}");
        let got = client.ask(&packets::publish(v5, 1, 7, &marked, b"{}")).await;
        assert_eq!((got.kind, got.packet_id()), (0x40, 7));
        assert!(server.asked_by_now().is_empty(), "it is another topic");
    }
}

clause!(
    v3 "2.2.2-1", v3 "2.2.2-2", v3 "3.6.1-1", v3 "3.8.1-1", v3 "3.10.1-1", v3 "3.14.1-1", v3 "3.3.1-2", v3 "3.3.1-4",
    v5 "2.1.3-1", v5 "3.6.1-1", v5 "3.8.1-1", v5 "3.10.1-1", v5 "3.14.1-1", v5 "3.3.1-4", v5 "3.15.1-1",
);
#[tokio::test]
async fn flags_are_as_the_standard_has_them() {
    let server = Server::start();
    for v5 in BOTH {
        let none: &[u8] = if v5 { &[0] } else { &[] };
        let mut wrong = vec![
            packet(0x41, &[0, 7]),
            packet(0x51, &[0, 7]),
            packet(0x60, &[0, 7]),
            packet(0x71, &[0, 7]),
            packet(0x80, &[&[0, 9], none, &text(DOWN), &[1]].concat()),
            packet(0xA0, &[&[0, 9], none, &text(DOWN)].concat()),
            vec![0xC1, 0],
            vec![0xE1, 0],
            // QoS 3, and a duplicate at QoS 0.
            packet(0x36, &[&text(REPORT)[..], &[0, 7], none].concat()),
            packet(0x38, &[&text(REPORT)[..], none].concat()),
            vec![0x00, 0],
        ];
        if v5 {
            wrong.push(vec![0xF1, 0]);
        }
        for bytes in wrong {
            let got = ends(&server, v5, &bytes).await;
            assert_eq!(last_reason(&got), v5.then_some(0x81), "{bytes:02x?}");
        }
    }
}

clause!(v5 "1.5.5-1");
#[tokio::test]
async fn a_length_has_as_few_bytes_as_it_needs() {
    let server = Server::start();
    for v5 in BOTH {
        for bytes in [vec![0xC0, 0x80, 0x00], vec![0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]] {
            let got = ends(&server, v5, &bytes).await;
            assert_eq!(last_reason(&got), v5.then_some(0x81));
        }
    }
}

clause!(v5 "1.5.7-1");
#[tokio::test]
async fn user_properties_are_texts_too() {
    let server = Server::start();
    for bad in [&[0xFF, b'x'][..], b"\xC3\x28"] {
        let property = [&[0x26][..], &text("k"), &(bad.len() as u16).to_be_bytes(), bad].concat();
        ends(
            &server,
            true,
            &packets::publish_with(1, 7, REPORT, &property, b"{}"),
        )
        .await;
    }
}

clause!(v3 "2.3.1-1", v5 "2.2.1-3");
#[tokio::test]
async fn a_packet_id_is_never_nothing() {
    let server = Server::start();
    for v5 in BOTH {
        let none: &[u8] = if v5 { &[0] } else { &[] };
        for bytes in [
            packets::publish(v5, 1, 0, REPORT, b"{}"),
            packets::publish(v5, 2, 0, REPORT, b"{}"),
            packet(0x82, &[&[0, 0], none, &text(DOWN), &[1]].concat()),
            packet(0xA2, &[&[0, 0], none, &text(DOWN)].concat()),
        ] {
            ends(&server, v5, &bytes).await;
        }
    }
}

clause!(v5 "2.2.2-1", v3 "2.3.1-5", v5 "2.2.1-2");
#[tokio::test]
async fn what_the_server_sends_has_its_property_length_and_no_id_at_qos_0() {
    let server = Server::start();
    for v5 in BOTH {
        let mut client = server.subscribed(v5, 0).await;
        server.push("registry/retire", "{}");
        let got = client.hear().await;
        let topic = text("muster/v1/devices/pump-7/down/registry/retire");
        let none: &[u8] = if v5 { &[0] } else { &[] };
        assert_eq!((got.kind, got.body), (0x30, [&topic, none, b"{}"].concat()));
    }
}

clause!(v3 "3.12.4-1", v5 "3.12.4-1");
#[tokio::test]
async fn a_ping_is_answered() {
    let server = Server::start();
    for v5 in BOTH {
        let mut client = server.device(v5).await;
        assert_eq!(client.ask(&[0xC0, 0]).await.kind, 0xD0);
    }
}

clause!(v3 "4.8.0-1", v5 "4.13.1-1");
#[tokio::test]
async fn what_no_client_sends_ends_the_connection() {
    let server = Server::start();
    for v5 in BOTH {
        for bytes in [
            vec![0x20, 2, 0, 0],
            vec![0x90, 3, 0, 1, 0],
            vec![0xB0, 2, 0, 1],
            vec![0xD0, 0],
        ] {
            ends(&server, v5, &bytes).await;
        }
    }
}

clause!(v5 "3.2.2-15");
#[tokio::test]
async fn a_packet_that_is_too_large_ends_the_connection() {
    let server = Server::start();
    for v5 in BOTH {
        let mut client = server.device(v5).await;
        client.say(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F]).await;
        let got = client.end().await;
        assert_eq!(last_reason(&got), v5.then_some(0x95));
    }
}

clause!(v5 "4.2.0-1", v3 "7.1.1-1", v3 "7.0.0-2");
#[tokio::test]
async fn packets_may_come_in_any_pieces() {
    let server = Server::start();
    for v5 in BOTH {
        let mut client = server.dial(v5).await;
        let mut bytes = device(v5).packet();
        bytes.extend(packets::subscribe_with(v5, 1, &[], DOWN, 1));
        bytes.extend([0xC0, 0]);
        for byte in bytes {
            client.say(&[byte]).await;
        }
        assert_eq!(client.hear().await.kind, 0x20);
        // A ping is answered by the connection itself, a subscription by the door.
        let mut kinds = [client.hear().await.kind, client.hear().await.kind];
        kinds.sort_unstable();
        assert_eq!(kinds, [0x90, 0xD0]);
    }
}
