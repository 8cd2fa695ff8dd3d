//! MQTT over WebSocket, as bytes: RFC 6455's handshake and frames by hand.

use std::net::{IpAddr, Ipv4Addr};

use packets::{connect, packet};
use tokio::io::DuplexStream;

use super::*;
use crate::{
    entrance::Entrance,
    principals::{Connection, Peer, task, websocket},
};

const MOST: usize = 64 * 1024;
const ORIGIN: &str = "https://console.example.com";
const BINARY: u8 = 0x82;
const TEXT: u8 = 0x81;

/// A client's side of a WebSocket whose handshake has not begun.
fn dial(server: &Server) -> DuplexStream {
    dial_with(server, Limits::default())
}

fn dial_with(server: &Server, limits: Limits) -> DuplexStream {
    let (client, other_end) = tokio::io::duplex(1024 * 1024);
    let shared = server.0.shared.clone();
    tokio::spawn(async move {
        let entrance = Entrance::new(&limits);
        let Some(guest) = entrance.enter(IpAddr::V4(Ipv4Addr::LOCALHOST)).await else {
            return;
        };
        let terms = websocket::Terms {
            origins: &[ORIGIN.to_owned()],
            is_ours: |host: &str| host == "muster",
            most_bytes: MOST,
            is_stranger: false,
        };
        let Ok(frames) = websocket::accept(other_end, terms).await else {
            return;
        };
        let id = shared.next_connection();
        let (root, now) = (shared.root.clone(), shared.now());
        let connection = Connection::new(id, Peer::Believed, "here".into(), root, limits.into(), now);
        task::run(frames, connection, shared.clone(), guest).await;
    });
    client
}

/// Shakes hands with these headers; what the server answered.
async fn upgrade(stream: &mut DuplexStream, headers: &str) -> String {
    upgrade_at(stream, &format!("Host: muster\r\n{headers}")).await
}

/// The same with a host in them, or none.
async fn upgrade_at(stream: &mut DuplexStream, headers: &str) -> String {
    let request = format!(
        "GET /mqtt HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let whole = async {
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
    };
    timeout(SOON, whole).await.expect("an answer");
    String::from_utf8(answer).unwrap()
}

async fn open(server: &Server) -> DuplexStream {
    open_with(server, Limits::default()).await
}

async fn open_with(server: &Server, limits: Limits) -> DuplexStream {
    let mut stream = dial_with(server, limits);
    let answer = upgrade(&mut stream, "Sec-WebSocket-Protocol: mqttv3.1, mqtt\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    let chosen = answer.to_ascii_lowercase();
    assert!(chosen.contains("sec-websocket-protocol: mqtt\r\n"), "{answer}");
    // RFC 6455, section 1.3.
    assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
    stream
}

/// A client's frame, with a mask.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xFA, 0x21, 0x3D];
    let mut out = vec![first];
    match payload.len() {
        len @ 0..126 => out.push(0x80 | len as u8),
        len @ 126..0x1_0000 => {
            out.push(0x80 | 126);
            out.extend((len as u16).to_be_bytes());
        }
        len => {
            out.push(0x80 | 127);
            out.extend((len as u64).to_be_bytes());
        }
    }
    out.extend(mask);
    out.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    out
}

/// The server's next frame, of less than 126 bytes: its first byte and its payload.
async fn next(stream: &mut DuplexStream) -> (u8, Vec<u8>) {
    let whole = async {
        let (first, len) = (stream.read_u8().await?, stream.read_u8().await?);
        let mut payload = vec![0; usize::from(len)];
        stream.read_exact(&mut payload).await?;
        Ok::<_, std::io::Error>((first, payload))
    };
    timeout(SOON, whole)
        .await
        .expect("a frame")
        .expect("it stays open")
}

fn hello() -> Vec<u8> {
    let hello = Hello {
        client_id: "pump-7",
        clean: true,
        user_name: Some("devices/pump-7"),
        ..Hello::default()
    };
    hello.packet()
}

const CONNACK: &[u8] = &[0x20, 2, 0, 0];
const PING: &[u8] = &[0xC0, 0];

clause!(v3 "6.0.0-4", v5 "6.0.0-4");
#[tokio::test]
async fn the_subprotocol_is_mqtt() {
    let server = Server::start();
    drop(open(&server).await);
    for headers in [
        "",
        "Sec-WebSocket-Protocol: mqttv3.1\r\n",
        "Sec-WebSocket-Protocol: xmqtt, chat\r\n",
    ] {
        let answer = upgrade(&mut dial(&server), headers).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{headers}: {answer}");
    }
}

#[tokio::test]
async fn pages_connect_from_listed_origins_only() {
    let server = Server::start();
    for (origin, status) in [
        (ORIGIN, "101"),
        ("https://evil.example.com", "403"),
        ("http://console.example.com", "403"),
        ("null", "403"),
    ] {
        let headers = format!("Sec-WebSocket-Protocol: mqtt\r\nOrigin: {origin}\r\n");
        let answer = upgrade(&mut dial(&server), &headers).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{origin}: {answer}"
        );
    }
}

#[tokio::test]
async fn an_upgrade_is_for_this_host_and_has_no_body() {
    let server = Server::start();
    for (headers, status) in [
        ("Host: muster\r\n", "101"),
        ("Host: MUSTER:8884\r\n", "101"),
        ("Host: evil.example.com\r\n", "421"),
        ("Host: muster.evil.example.com:8884\r\n", "421"),
        ("Host: evil@muster.example.com\r\n", "421"),
        ("Host: mus ter\r\n", "400"),
        ("Host:\r\n", "400"),
        ("", "400"),
        ("Host: muster\r\nHost: evil.example.com\r\n", "400"),
        ("Host: muster\r\nContent-Length: 5\r\n", "400"),
        ("Host: muster\r\nTransfer-Encoding: chunked\r\n", "400"),
        (
            "Host: muster\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "400",
        ),
    ] {
        let headers = format!("{headers}Sec-WebSocket-Protocol: mqtt\r\n");
        let answer = upgrade_at(&mut dial(&server), &headers).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{headers}: {answer}"
        );
    }
}

clause!(v3 "6.0.0-2", v5 "6.0.0-2");
#[tokio::test]
async fn packets_span_frames_and_frames_hold_packets() {
    let server = Server::start();
    let mut stream = open(&server).await;
    for byte in hello() {
        stream.write_all(&frame(BINARY, &[byte])).await.unwrap();
    }
    assert_eq!(next(&mut stream).await, (BINARY, CONNACK.to_vec()));
    // Two packets and a half in one message of two frames, a WebSocket's ping between them.
    let message = [PING, PING, &PING[..1]].concat();
    let bytes = [
        frame(0x02, &message[..3]),
        frame(0x89, b"are you there"),
        frame(0x80, &message[3..]),
        frame(BINARY, &PING[1..]),
    ];
    stream.write_all(&bytes.concat()).await.unwrap();
    let (mut pongs, mut answered) = (Vec::new(), false);
    while pongs.len() < 6 || !answered {
        match next(&mut stream).await {
            (0x8A, payload) => answered = payload == b"are you there",
            (first, payload) => {
                assert_eq!(first, BINARY);
                pongs.extend(payload);
            }
        }
    }
    assert_eq!(pongs, [0xD0, 0, 0xD0, 0, 0xD0, 0]);
}

/// It is closed with this code (RFC 6455, section 7.4.1), and nothing comes after that.
async fn is_closed_with(stream: &mut DuplexStream, code: u16) {
    let (first, payload) = next(stream).await;
    assert_eq!((first, &payload[..2]), (0x88, &code.to_be_bytes()[..]));
    let mut rest = Vec::new();
    let end = timeout(SOON, stream.read_to_end(&mut rest)).await;
    assert!(end.is_ok() && rest.is_empty(), "{rest:?}");
}

clause!(v3 "6.0.0-1", v5 "6.0.0-1");
#[tokio::test]
async fn a_text_frame_closes_the_connection() {
    let server = Server::start();
    for let_in in BOTH {
        let mut stream = open(&server).await;
        if let_in {
            stream.write_all(&frame(BINARY, &hello())).await.unwrap();
            assert_eq!(next(&mut stream).await.1, CONNACK);
        }
        stream.write_all(&frame(TEXT, b"hello")).await.unwrap();
        is_closed_with(&mut stream, 1003).await;
    }
}

#[tokio::test]
async fn frames_and_messages_are_bounded_before_they_are_read() {
    let server = Server::start();
    // The head of a frame is enough; so are many small ones of one message.
    let head = [
        &[BINARY, 0x80 | 127][..],
        &(MOST as u64 + 1).to_be_bytes(),
        &[1, 2, 3, 4],
    ]
    .concat();
    let mut many = frame(0x02, &packet(0x30, &[b'x'; 30_000]));
    for _ in 0..2 {
        many.extend(frame(0x00, &[b'x'; 30_000]));
    }
    for bytes in [head, many] {
        let mut stream = open(&server).await;
        stream.write_all(&bytes).await.unwrap();
        is_closed_with(&mut stream, 1009).await;
    }
}

#[tokio::test]
async fn what_is_no_websocket_is_let_go() {
    let server = Server::start();
    for bytes in [
        b"GET / HTTP/1.1\r\nHost: muster\r\n\r\n".to_vec(),
        b"SSH-2.0-x\r\n\r\n".to_vec(),
        connect(false, "pump-7", 60),
        [b"GET / HTTP/1.1\r\n".as_slice(), &b"x: y\r\n".repeat(50_000)].concat(),
    ] {
        let mut stream = dial(&server);
        let mut rest = Vec::new();
        let _ = stream.write_all(&bytes).await;
        if bytes[0] == 0x10 {
            stream.shutdown().await.unwrap();
        }
        let end = timeout(SOON, stream.read_to_end(&mut rest)).await;
        assert!(end.is_ok(), "{:?}", &bytes[..9]);
        assert!(!rest.starts_with(b"HTTP/1.1 101"));
    }
    // Without a mask.
    let mut stream = open(&server).await;
    stream.write_all(&[BINARY, 2, 0xC0, 0]).await.unwrap();
    let mut rest = Vec::new();
    timeout(SOON, stream.read_to_end(&mut rest))
        .await
        .expect("closed")
        .unwrap();
}

#[tokio::test]
async fn frames_that_carry_nothing_cost_what_their_bytes_do() {
    let server = Server::start();
    let limits = Limits {
        bytes_per_second: 10_000,
        ..Limits::default()
    };
    let silent: [(&str, Vec<u8>); 3] = [
        ("empty", frame(BINARY, b"")),
        ("pings", frame(0x89, b"x")),
        ("a message without end", frame(0x00, b"")),
    ];
    for (what, nothing) in silent {
        let mut stream = open_with(&server, limits.clone()).await;
        stream
            .write_all(&frame(BINARY, &device(false).packet()))
            .await
            .unwrap();
        // The CONNACK: from now on its rate is counted.
        timeout(SOON, stream.read_u8()).await.expect("an answer").unwrap();
        if nothing[0] == 0 {
            stream.write_all(&frame(0x02, b"")).await.unwrap();
        }
        let flood = nothing.repeat(4 * 1024 * 1024 / nothing.len());
        let (_from, mut to) = tokio::io::split(stream);
        let all = timeout(Duration::from_secs(2), to.write_all(&flood)).await;
        assert!(all.is_err(), "{what}: it is not read any more");
    }
}

#[tokio::test]
async fn whoever_frames_nothing_and_says_no_connect_is_let_go() {
    let server = Server::start();
    let mut stream = open(&server).await;
    let _ = stream.write_all(&frame(BINARY, b"").repeat(200_000)).await;
    let mut rest = Vec::new();
    let ended = timeout(SOON, stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the server closes the connection");
}
