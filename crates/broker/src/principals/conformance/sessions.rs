//! Sessions that outlive their connection, and such as do not.

use super::*;
use packets::{again, answer};

/// The device leaves without a word, and its session is kept.
async fn leave(server: &Server, client: Client) {
    drop(client);
    server.until_kept(1).await;
}

async fn begin(server: &Server, v5: bool, options: u8) -> Client {
    let (mut client, connack) = server.connect(&kept(v5, 600)).await;
    assert_eq!((connack.body[0], connack.body[1]), (0, 0));
    client.subscribe(options).await;
    client
}

async fn come_back(server: &Server, v5: bool) -> Client {
    let (client, connack) = server.connect(&kept(v5, 600)).await;
    assert_eq!((connack.body[0], connack.body[1]), (1, 0));
    client
}

clause!(
    v3 "3.1.2-4", v3 "3.1.2-5", v3 "3.1.4-3", v3 "3.2.2-2", v3 "4.1.0-1", v3 "4.1.0-2",
    v5 "3.1.2-5", v5 "3.1.2-23", v5 "3.1.4-4", v5 "3.2.2-3", v5 "4.1.0-1",
);
#[tokio::test]
async fn a_session_that_is_kept_goes_on() {
    for v5 in BOTH {
        let server = Server::start();
        let client = begin(&server, v5, 1).await;
        leave(&server, client).await;
        server.push("registry/retire", "one");
        let mut client = come_back(&server, v5).await;
        assert_eq!(client.hear().await.message(v5).1, b"one");
        server.push("registry/retire", "two");
        assert_eq!(client.hear().await.message(v5).1, b"two", "still subscribed");
    }
}

clause!(v3 "3.2.2-3", v5 "3.1.2-6");
#[tokio::test]
async fn without_one_a_session_begins() {
    for v5 in BOTH {
        let server = Server::start();
        let (_, connack) = server.connect(&kept(v5, 600)).await;
        assert_eq!((connack.body[0], connack.body[1]), (0, 0));
    }
}

clause!(v3 "3.1.2-6", v3 "3.2.2-1", v5 "3.1.2-4", v5 "3.2.2-2");
#[tokio::test]
async fn a_clean_start_leaves_nothing_of_it() {
    for v5 in BOTH {
        let server = Server::start();
        let client = begin(&server, v5, 1).await;
        leave(&server, client).await;
        server.push("registry/retire", "one");
        let mut client = server.device(v5).await;
        server.push("registry/retire", "two");
        assert!(client.by_now().await.is_empty());
        drop(client);
        server.until_kept(0).await;
    }
}

clause!(v5 "4.1.0-2");
#[tokio::test]
async fn a_session_is_over_when_its_time_is() {
    let server = Server::start();
    let (mut client, _) = server.connect(&kept(true, 1)).await;
    assert!(client.by_now().await.is_empty());
    leave(&server, client).await;
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    server.0.shared.with_door(session::Door::tick);
    assert_eq!(server.0.shared.status().kept, 0);
}

clause!(
    v3 "4.4.0-1", v3 "3.3.1-1", v3 "4.6.0-1", v5 "4.4.0-1", v5 "3.3.1-1", v5 "4.6.0-1", v5 "4.3.2-3", v5 "4.3.3-3",
    v5 "4.3.3-5", v5 "4.3.3-6",
);
#[tokio::test]
async fn what_was_not_acknowledged_comes_again() {
    for v5 in BOTH {
        let server = Server::start();
        let mut client = begin(&server, v5, 2).await;
        for payload in ["one", "two", "three"] {
            server.push("registry/retire", payload);
        }
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(client.hear().await.publish_id());
        }
        assert_eq!(client.ask(&answer(0x50, ids[1], 0)).await.kind, 0x62);
        leave(&server, client).await;
        let mut client = come_back(&server, v5).await;
        let got = [client.hear().await, client.hear().await, client.hear().await];
        assert_eq!((got[0].kind, got[0].publish_id()), (0x3C, ids[0]));
        assert_eq!(
            (got[1].kind, got[1].packet_id()),
            (0x62, ids[1]),
            "its release, not the message"
        );
        assert_eq!((got[2].kind, got[2].publish_id()), (0x3C, ids[2]));
        client.say(&answer(0x70, ids[1], 0)).await;
        assert!(client.by_now().await.is_empty());
    }
}

clause!(v3 "4.3.3-2", v5 "4.3.3-10");
#[tokio::test]
async fn what_was_taken_is_not_taken_again_over_another_connection() {
    for v5 in BOTH {
        let server = Server::start();
        let mut client = begin(&server, v5, 0).await;
        client.say(&client.report(2, 7)).await;
        let requests = server.asked(1).await;
        leave(&server, client).await;
        let mut client = come_back(&server, v5).await;
        client.say(&again(client.report(2, 7))).await;
        assert!(client.by_now().await.is_empty(), "its service has not answered");
        server.answer(&requests[0], "");
        let mut got = client.hear().await;
        while got.kind & 0xF0 == 0x30 {
            got = client.hear().await;
        }
        assert_eq!((got.kind, got.packet_id()), (0x50, 7));
        leave(&server, client).await;
        let mut client = come_back(&server, v5).await;
        let got = client.ask(&again(client.report(2, 7))).await;
        assert_eq!((got.kind, got.packet_id()), (0x50, 7), "received once more");
        assert!(server.asked_by_now().is_empty());
        assert_eq!(client.ask(&answer(0x62, 7, 0)).await.kind, 0x70);
    }
}

clause!(v3 "3.1.2-7");
#[tokio::test]
async fn what_is_retained_is_no_part_of_a_session() {
    for v5 in BOTH {
        let server = Server::start();
        server.push("rollout/assignment", "kept");
        let client = server.subscribed(v5, 1).await;
        drop(client);
        server.until_kept(0).await;
        let mut client = server.subscribed(v5, 1).await;
        assert_eq!(client.hear().await.message(v5).1, b"kept");
    }
}

clause!(v5 "3.14.2-2");
#[tokio::test]
async fn a_goodbye_may_shorten_a_session_but_not_make_one() {
    let server = Server::start();
    let (mut client, _) = server.connect(&kept(true, 600)).await;
    client
        .say(&packets::disconnect_with(0, &packets::session_expiry(0)))
        .await;
    assert!(client.end().await.is_empty());
    server.until_kept(0).await;
    let (mut client, _) = server.connect(&kept(true, 0)).await;
    client
        .say(&packets::disconnect_with(0, &packets::session_expiry(60)))
        .await;
    let got = client.end().await;
    assert_eq!(last_reason(&got), Some(0x82));
    assert!(!got[0].body.contains(&0x11), "a server names no expiry");
}

clause!(v3 "3.1.4-2", v5 "3.1.4-3");
#[tokio::test]
async fn whoever_takes_over_goes_on_with_the_session() {
    for v5 in BOTH {
        let server = Server::start();
        let mut first = begin(&server, v5, 1).await;
        server.push("registry/retire", "one");
        assert_eq!(first.hear().await.kind, 0x32);
        let mut second = come_back(&server, v5).await;
        assert_eq!(last_reason(&first.end().await), v5.then_some(0x8E));
        assert_eq!(second.hear().await.kind, 0x3A, "once more");
    }
}

clause!(v5 "4.8.2-4", v5 "4.8.2-5");
#[tokio::test]
async fn what_a_member_has_begun_to_get_it_gets_when_it_comes_back() {
    let server = Server::start();
    let hello = Hello {
        client_id: "erp",
        user_name: Some("integrators/erp"),
        ..kept(true, 600)
    };
    let (mut client, _) = server.connect(&hello).await;
    let filter = "$share/g/muster/v1/events/registry/#";
    client
        .ask(&packets::subscribe_with(true, 9, &[], filter, 2))
        .await;
    server.event(1);
    let id = client.hear().await.publish_id();
    leave(&server, client).await;
    let (mut client, _) = server.connect(&hello).await;
    let got = client.hear().await;
    assert_eq!((got.kind, got.publish_id()), (0x3C, id));
}
