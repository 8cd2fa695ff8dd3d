//! Wills, and goodbyes.

use super::*;

/// The device connects with a will.
async fn with_will(server: &Server, v5: bool, flags: u8, properties: Vec<u8>, expiry_s: u32) -> Client {
    let hello = Hello {
        will: Some(will(flags, properties)),
        clean: expiry_s == 0,
        ..kept(v5, expiry_s)
    };
    let (mut client, connack) = server.connect(&hello).await;
    assert_eq!(connack.body[1], 0);
    // A session is kept once its client has been heard.
    assert!(client.by_now().await.is_empty());
    client
}

clause!(v3 "3.1.2-8", v3 "3.1.2-16", v5 "3.1.2-7", v5 "3.1.2-8", v5 "3.1.2-14");
#[tokio::test]
async fn the_will_of_a_client_that_is_lost_is_published() {
    let server = Server::start();
    for v5 in BOTH {
        for flags in [0x00, 0x08, 0x10] {
            drop(with_will(&server, v5, flags, vec![], 0).await);
            assert_eq!(server.asked(1).await[0].payload, "{}");
        }
    }
}

clause!(
    v3 "3.1.2-10", v3 "3.1.2-12", v3 "3.14.4-3", v3 "4.1.0-2", v5 "3.1.2-10", v5 "3.14.4-3",
);
#[tokio::test]
async fn whoever_says_goodbye_takes_its_will_back() {
    let server = Server::start();
    for v5 in BOTH {
        let mut client = with_will(&server, v5, 0x08, vec![], 0).await;
        client.say(&[0xE0, 0]).await;
        assert!(client.end().await.is_empty());
        let client = server.device(v5).await;
        drop(client);
        server.until_kept(0).await;
        assert!(
            server.asked_by_now().is_empty(),
            "nor does one without a will leave one"
        );
    }
    let mut client = with_will(&server, true, 0x08, vec![], 0).await;
    client.say(&packets::disconnect_with(0x04, &[])).await;
    client.end().await;
    assert_eq!(server.asked(1).await.len(), 1, "unless it asks for it");
}

clause!(v5 "3.1.3-9");
#[tokio::test]
async fn a_will_waits_for_its_client() {
    // Whoever comes back at once is in time on a busy machine as well.
    const DELAY_S: u32 = 3;
    let spoken = Duration::from_millis(u64::from(DELAY_S) * 1_000 + 100);
    let server = Server::start();
    let client = with_will(&server, true, 0x08, packets::will_delay(DELAY_S), 600).await;
    drop(client);
    server.until_kept(1).await;
    let (client, connack) = server.connect(&kept(true, 600)).await;
    assert_eq!(connack.body[0], 1);
    tokio::time::sleep(spoken).await;
    server.0.shared.with_door(session::Door::tick);
    assert!(server.asked_by_now().is_empty(), "it came back");
    drop(client);
    server.until_kept(1).await;
    let client = with_will(&server, true, 0x08, packets::will_delay(DELAY_S), 600).await;
    drop(client);
    server.until_kept(1).await;
    assert!(server.asked_by_now().is_empty());
    tokio::time::sleep(spoken).await;
    server.0.shared.with_door(session::Door::tick);
    assert_eq!(server.asked(1).await.len(), 1);
}

clause!(v5 "3.14.0-1");
#[tokio::test]
async fn nobody_is_dismissed_before_it_was_let_in() {
    let server = Server::start();
    let mut connect = device(true).packet();
    connect[9] |= 0x01;
    let mut client = server.dial(true).await;
    client.say(&connect).await;
    assert!(client.end().await.iter().all(|got| got.kind == 0x20));
}

clause!(v5 "3.14.2-1", v5 "3.14.4-1", v5 "3.14.4-2");
#[tokio::test]
async fn a_dismissal_has_a_reason_and_is_the_last() {
    let server = Server::start();
    let mut client = server.device(true).await;
    server.0.shared.with_door(|door, _| door.close());
    let got = client.end().await;
    assert_eq!((got.len(), last_reason(&got)), (1, Some(0x8B)));
}
