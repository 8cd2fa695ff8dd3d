//! CONNECT and CONNACK.

use super::*;

clause!(v3 "3.1.0-1", v5 "3.1.0-1");
#[tokio::test]
async fn the_first_packet_is_a_connect() {
    let server = Server::start();
    for v5 in BOTH {
        for bytes in [
            vec![0xC0, 0],
            packets::publish(v5, 0, 0, REPORT, b"{}"),
            vec![0xE0, 0],
        ] {
            let mut client = server.dial(v5).await;
            client.say(&bytes).await;
            assert!(client.end().await.is_empty());
        }
    }
    assert!(server.asked_by_now().is_empty());
}

clause!(v3 "3.1.0-2", v5 "3.1.0-2");
#[tokio::test]
async fn a_second_connect_ends_the_connection() {
    let server = Server::start();
    for v5 in BOTH {
        let got = ends(&server, v5, &device(v5).packet()).await;
        assert_eq!(last_reason(&got), v5.then_some(0x82));
    }
}

clause!(v3 "3.1.2-1", v5 "3.1.2-1");
#[tokio::test]
async fn another_protocol_is_not_served() {
    let server = Server::start();
    for v5 in BOTH {
        let mut connect = device(v5).packet();
        connect[4] = b'N';
        let mut client = server.dial(v5).await;
        client.say(&connect).await;
        assert!(
            client
                .end()
                .await
                .iter()
                .all(|got| got.kind == 0x20 && got.body[1] != 0)
        );
    }
}

clause!(v3 "3.1.2-2", v5 "3.1.2-2");
#[tokio::test]
async fn another_version_is_told_so() {
    let server = Server::start();
    for version in [3, 6] {
        let mut connect = device(false).packet();
        connect[8] = version;
        let mut client = server.dial(false).await;
        client.say(&connect).await;
        let got = client.end().await;
        let told: Vec<_> = got.iter().map(|got| (got.kind, got.body[1])).collect();
        assert_eq!(told, [(0x20, 0x01)], "version {version}");
    }
}

/// A CONNECT with other flags.
fn with_flags(v5: bool, flags: u8) -> Vec<u8> {
    let mut connect = device(v5).packet();
    connect[9] = flags;
    connect
}

/// The server does not let it in.
async fn keeps_out(server: &Server, v5: bool, connect: &[u8]) {
    let mut client = server.dial(v5).await;
    client.say(connect).await;
    let got = client.end().await;
    let let_in = got.iter().any(|got| got.kind == 0x20 && got.body[1] == 0);
    assert!(!let_in, "{connect:02x?}");
    assert!(
        v5 || got.is_empty(),
        "MQTT 3.1.1 says nothing to what is malformed"
    );
}

clause!(v3 "3.1.2-3", v5 "3.1.2-3", v3 "3.1.4-1", v5 "3.1.4-1");
#[tokio::test]
async fn the_reserved_flag_is_nothing() {
    let server = Server::start();
    for v5 in BOTH {
        keeps_out(&server, v5, &with_flags(v5, 0x83)).await;
    }
}

clause!(
    v3 "3.1.2-11", v3 "3.1.2-13", v3 "3.1.2-14", v3 "3.1.2-15",
    v5 "3.1.2-11", v5 "3.1.2-12", v5 "3.1.2-13",
);
#[tokio::test]
async fn the_flags_of_a_will_fit() {
    let server = Server::start();
    for v5 in BOTH {
        for flags in [0x82 | 0x08, 0x82 | 0x10, 0x82 | 0x20] {
            keeps_out(&server, v5, &with_flags(v5, flags)).await;
        }
        let hello = Hello {
            will: Some(will(0x18, vec![])),
            ..device(v5)
        };
        keeps_out(&server, v5, &hello.packet()).await;
    }
}

clause!(
    v3 "3.1.2-9", v3 "3.1.2-18", v3 "3.1.2-19", v3 "3.1.2-20", v3 "3.1.2-21", v3 "3.1.2-22", v3 "3.1.3-1", v3 "3.1.3-3",
    v5 "3.1.2-9", v5 "3.1.2-16", v5 "3.1.2-17", v5 "3.1.2-18", v5 "3.1.2-19", v5 "3.1.3-1", v5 "3.1.3-3",
);
#[tokio::test]
async fn what_the_flags_promise_is_there_and_nothing_else() {
    let server = Server::start();
    for v5 in BOTH {
        // A user name that is not announced; a will, a password and both that are not there.
        for flags in [0x02, 0x82 | 0x04, 0x82 | 0x40, 0xC6] {
            keeps_out(&server, v5, &with_flags(v5, flags)).await;
        }
        let nobody = Hello {
            user_name: None,
            ..device(v5)
        };
        let mut connect = nobody.packet();
        connect[9] |= 0x80;
        keeps_out(&server, v5, &connect).await;
    }
    // In MQTT 3.1.1 there is no password without a user name.
    let mut connect = Hello {
        user_name: None,
        ..device(false)
    }
    .packet();
    connect[9] |= 0x40;
    let secret = packets::text("secret");
    connect[1] += secret.len() as u8;
    connect.extend(secret);
    keeps_out(&server, false, &connect).await;
}

clause!(v3 "3.1.2-24", v5 "3.1.2-22");
#[tokio::test]
async fn whoever_is_silent_for_one_and_a_half_keep_alives_is_let_go() {
    let server = Server::start();
    for v5 in BOTH {
        let mut connect = device(v5).packet();
        connect[10..12].copy_from_slice(&1u16.to_be_bytes());
        let mut client = server.dial(v5).await;
        let began = std::time::Instant::now();
        client.say(&connect).await;
        client.hear().await;
        let got = client.end().await;
        assert!(began.elapsed() > Duration::from_millis(1_200));
        assert_eq!(last_reason(&got), v5.then_some(0x8D));
    }
}

clause!(v5 "3.2.2-21", v5 "3.2.2-22");
#[tokio::test]
async fn a_keep_alive_that_is_too_long_is_replaced() {
    let server = Server::start();
    let mut connect = device(true).packet();
    connect[10..12].copy_from_slice(&u16::MAX.to_be_bytes());
    let mut client = server.dial(true).await;
    let connack = client.ask(&connect).await;
    let imposed = [&[0x13][..], &Limits::default().keep_alive_s.to_be_bytes()].concat();
    assert!(connack.body.windows(3).any(|w| w == imposed));
}

clause!(v3 "3.1.3-2", v5 "3.1.3-2", v3 "3.1.4-2", v5 "3.1.4-3");
#[tokio::test]
async fn a_client_that_is_connected_already_is_let_go() {
    let server = Server::start();
    for v5 in BOTH {
        let mut first = server.device(v5).await;
        let mut second = server.device(v5).await;
        let got = first.end().await;
        assert_eq!(last_reason(&got), v5.then_some(0x8E));
        assert!(second.by_now().await.is_empty(), "the second stays");
    }
}

clause!(v3 "3.1.3-5", v5 "3.1.3-5");
#[tokio::test]
async fn short_client_ids_of_letters_and_digits_are_allowed_to_whom_they_belong() {
    let server = Server::start();
    for v5 in BOTH {
        let hello = Hello {
            client_id: "erp",
            user_name: Some("integrators/erp"),
            ..device(v5)
        };
        assert_eq!(server.connect(&hello).await.1.body[1], 0);
    }
}

clause!(v3 "3.1.3-6", v5 "3.1.3-6", v5 "3.1.3-7", v5 "3.2.2-16");
#[tokio::test]
async fn whoever_has_no_client_id_is_given_one_of_its_own() {
    let server = Server::start();
    for v5 in BOTH {
        let nameless = Hello {
            client_id: "",
            ..device(v5)
        };
        let (mut first, connack) = server.connect(&nameless).await;
        let (mut second, again) = server.connect(&nameless).await;
        assert_eq!((connack.body[1], again.body[1]), (0, 0));
        assert!(
            first.by_now().await.is_empty() && second.by_now().await.is_empty(),
            "neither takes over"
        );
        if v5 {
            assert!(connack.body.contains(&0x12), "it is told");
            assert_ne!(connack.body, again.body);
        }
    }
}

clause!(v3 "3.1.3-8", v3 "3.1.3-9", v5 "3.1.3-8", v3 "3.2.2-4", v3 "3.2.2-5", v5 "3.2.2-6", v5 "3.2.2-7", v5 "3.2.2-8", v5 "4.13.2-1");
#[tokio::test]
async fn a_client_id_that_may_not_be_is_rejected() {
    let server = Server::start();
    for v5 in BOTH {
        let mut ids = vec!["pump-8"];
        if !v5 {
            // Without a client id there is no session to go on with.
            ids.push("");
        }
        for client_id in ids {
            let (mut client, connack) = server
                .connect(&Hello {
                    client_id,
                    ..kept(v5, 60)
                })
                .await;
            let code = if v5 { 0x85 } else { 0x02 };
            assert_eq!((connack.body[0], connack.body[1]), (0, code), "{client_id}");
            assert!(client.end().await.is_empty());
        }
    }
}

clause!(v3 "3.2.2-6");
#[tokio::test]
async fn whoever_has_no_code_to_be_told_by_is_let_go_without_a_word() {
    let server = Server::start();
    for v5 in BOTH {
        let mut connect = device(v5).packet();
        connect.splice(
            1..2,
            packets::remaining(Limits::default().hello_bytes as usize + 1),
        );
        let mut client = server.dial(v5).await;
        client.say(&connect).await;
        let got = client.end().await;
        let told: Vec<_> = got.iter().map(|got| (got.kind, got.body[1])).collect();
        assert_eq!(told, if v5 { vec![(0x20, 0x95)] } else { vec![] });
    }
}

clause!(v5 "3.1.4-2");
#[tokio::test]
async fn whoever_is_not_known_is_told_so_and_let_go() {
    let server = Server::start();
    for v5 in BOTH {
        let hello = Hello {
            client_id: "ghost",
            user_name: Some("devices/ghost"),
            ..device(v5)
        };
        let (mut client, connack) = server.connect(&hello).await;
        assert_eq!(connack.body[1], if v5 { 0x87 } else { 0x05 });
        assert!(client.end().await.is_empty());
    }
}

clause!(v3 "3.1.4-4", v5 "3.1.4-5", v3 "3.2.0-1", v5 "3.2.0-1", v5 "3.2.0-2", v5 "3.2.2-1");
#[tokio::test]
async fn the_first_packet_of_the_server_is_its_only_connack() {
    let server = Server::start();
    for v5 in BOTH {
        let mut client = server.dial(v5).await;
        let mut bytes = device(v5).packet();
        bytes.extend(packets::subscribe_with(v5, 1, &[], DOWN, 1));
        client.say(&bytes).await;
        let kinds = [client.hear().await.kind, client.hear().await.kind];
        assert_eq!(kinds, [0x20, 0x90]);
        assert!(client.by_now().await.is_empty());
    }
}

clause!(v3 "3.1.4-5", v5 "3.1.4-6");
#[tokio::test]
async fn what_comes_behind_a_rejected_connect_is_not_looked_at() {
    let server = Server::start();
    for v5 in BOTH {
        let mut client = server.dial(v5).await;
        let mut bytes = Hello {
            client_id: "pump-8",
            ..device(v5)
        }
        .packet();
        bytes.extend(packets::publish(v5, 1, 7, REPORT, b"{}"));
        client.say(&bytes).await;
        assert_eq!(client.end().await.len(), 1, "the CONNACK");
        assert!(server.asked_by_now().is_empty());
    }
}

clause!(v5 "3.2.2-9", v5 "3.2.2-10");
#[tokio::test]
async fn no_quality_is_ruled_out() {
    let server = Server::start();
    let (_, connack) = server.connect(&device(true)).await;
    let properties = &connack.body[3..];
    assert!(
        !properties.windows(2).any(|w| w[0] == 0x24 && w[1] < 2),
        "{properties:02x?}"
    );
}

clause!(v5 "3.2.2-13");
#[tokio::test]
async fn a_will_that_would_be_retained_is_rejected() {
    let server = Server::start();
    let hello = Hello {
        will: Some(will(0x20, vec![])),
        ..device(true)
    };
    let (mut client, connack) = server.connect(&hello).await;
    assert_eq!((connack.body[0], connack.body[1]), (0, 0x9A));
    assert!(client.end().await.is_empty());
}

clause!(v5 "4.12.0-1", v5 "4.12.0-6", v5 "4.12.0-7");
#[tokio::test]
async fn enhanced_authentication_is_not_offered() {
    let server = Server::start();
    let properties = [&[0x15][..], &packets::text("SCRAM-SHA-256")].concat();
    let (mut client, connack) = server
        .connect(&Hello {
            properties,
            ..device(true)
        })
        .await;
    assert_eq!(connack.body[1], 0x8C);
    assert!(client.end().await.is_empty());
    let (mut client, connack) = server.connect(&device(true)).await;
    assert!(!connack.body[3..].contains(&0x15));
    assert!(client.by_now().await.is_empty(), "no AUTH");
}
