//! What the standards say of servers, statement by statement, as bytes to a running server.
//!
//! Each test names the statements that it is for, by version and number: `docs/mqtt.md` is made of that. The
//! client side is written by hand.

/// The statements that the next test is for: MQTT 3.1.1's and MQTT 5's.
macro_rules! clause {
    ($($version:ident $number:literal),+ $(,)?) => {};
}

mod connect;
mod deliveries;
mod five;
mod limits;
#[path = "../../../../session/tests/behaviour/packets.rs"]
#[allow(dead_code)]
mod packets;
mod publishes;
mod sessions;
mod shape;
mod subscriptions;
mod websocket;
mod wills;

use std::time::Duration;

use contract::{
    id::ServiceName,
    v1::{Done, Event, Frame, Purpose},
    wire::{self, Encoding},
};
use packets::{Got, Hello, Will};
use prost::Message;
use session::Limits;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::tests::{House, house};

const SOON: Duration = Duration::from_secs(20);
const BOTH: [bool; 2] = [false, true];
const DOWN: &str = "muster/v1/devices/pump-7/down/#";
const REPORT: &str = "muster/v1/devices/pump-7/up/registry/report";
const HEARTBEAT: &str = "muster/v1/devices/pump-7/up/monitoring/heartbeat";

/// A running server, and whoever plays its services.
struct Server(House);

impl Server {
    fn start() -> Server {
        Server::with(Limits::default())
    }

    fn with(limits: Limits) -> Server {
        let house = house(limits);
        for service in ServiceName::KEEPERS {
            if service != ServiceName::Registry {
                house.shared.with_door(|door, now| door.link_up(service, now));
            }
        }
        Server(house)
    }

    /// What the registry is asked by principals, when it has come.
    async fn asked(&self, requests: usize) -> Vec<Frame> {
        let mut asked = Vec::new();
        let all = async {
            while asked.len() < requests {
                tokio::time::sleep(Duration::from_millis(2)).await;
                asked.extend(self.asked_by_now());
            }
        };
        timeout(SOON, all).await.expect("the requests come");
        asked
    }

    fn asked_by_now(&self) -> Vec<Frame> {
        let take = |door: &mut session::Door, _| door.take_frames(ServiceName::Registry, 1_000, usize::MAX).1;
        let mut frames = self.0.shared.with_door(take);
        frames.retain(|f| f.purpose() == Purpose::Request && !f.topic.contains("/services/"));
        frames
    }

    /// The registry accepts a request, or rejects it with a code.
    fn answer(&self, request: &Frame, rejected: &str) {
        let leaf = if rejected.is_empty() {
            "accepted"
        } else {
            "rejected"
        };
        let mut reply = Frame {
            topic: format!("{}/{leaf}", request.topic.replace("/up/", "/down/")),
            payload: wire::encode(&Done::default(), Encoding::Json),
            request: request.request,
            correlation: request.correlation.clone(),
            response_topic: request.response_topic.clone(),
            content_type: Encoding::Json.content_type().into(),
            connection: request.connection,
            rejected: rejected.into(),
            ..Frame::default()
        };
        reply.set_purpose(Purpose::Reply);
        self.publish(ServiceName::Registry, reply);
    }

    /// All that the registry is asked is accepted.
    async fn accept(&self, requests: usize) {
        for request in self.asked(requests).await {
            self.answer(&request, "");
        }
    }

    /// A service sends the device something unasked, by its topic below `down/`.
    fn push(&self, name: &str, payload: &str) {
        let (service, _) = name.split_once('/').unwrap();
        let mut frame = Frame {
            topic: format!("muster/v1/devices/pump-7/down/{name}"),
            payload: payload.to_owned().into(),
            ..Frame::default()
        };
        frame.set_purpose(Purpose::Message);
        self.publish(ServiceName::from_word(service).unwrap(), frame);
    }

    fn publish(&self, from: ServiceName, frame: Frame) {
        self.0
            .shared
            .with_door(|door, now| door.on_frame(from, frame, now));
    }

    fn event(&self, sequence: u64) {
        let event = Event {
            sequence,
            subject: "devices/pump-7".into(),
            name: "moved".into(),
            data: b"{}".to_vec(),
            ..Event::default()
        };
        let mut frame = Frame {
            topic: "muster/v1/events/registry/devices/pump-7/moved".into(),
            payload: event.encode_to_vec().into(),
            ..Frame::default()
        };
        frame.set_purpose(Purpose::Event);
        self.publish(ServiceName::Registry, frame);
    }

    /// When as many sessions are kept without a connection.
    async fn until_kept(&self, sessions: usize) {
        let kept = async {
            while self.0.shared.status().kept != sessions || self.0.shared.status().sessions > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(SOON, kept).await.expect("they are kept");
    }

    async fn dial(&self, v5: bool) -> Client {
        Client {
            stream: TcpStream::connect(self.0.plain).await.unwrap(),
            v5,
            buffer: Vec::new(),
        }
    }

    /// The device says this CONNECT; what comes back first.
    async fn connect(&self, hello: &Hello) -> (Client, Got) {
        let mut client = self.dial(hello.v5).await;
        client.say(&hello.packet()).await;
        let connack = client.hear().await;
        (client, connack)
    }

    /// The device, connected with a clean session.
    async fn device(&self, v5: bool) -> Client {
        let (client, connack) = self.connect(&device(v5)).await;
        assert_eq!((connack.kind, connack.body[0], connack.body[1]), (0x20, 0, 0));
        client
    }

    /// The device, subscribed to its `down/#` with these options.
    async fn subscribed(&self, v5: bool, options: u8) -> Client {
        let mut client = self.device(v5).await;
        client.subscribe(options).await;
        client
    }
}

/// The device, with a clean session.
fn device(v5: bool) -> Hello {
    Hello {
        clean: true,
        ..kept(v5, 0)
    }
}

/// The device, whose session is kept for so many seconds.
fn kept(v5: bool, seconds: u32) -> Hello {
    Hello {
        user_name: Some("devices/pump-7"),
        ..Hello::kept(v5, seconds)
    }
}

struct Client {
    stream: TcpStream,
    v5: bool,
    buffer: Vec<u8>,
}

impl Client {
    async fn say(&mut self, bytes: &[u8]) {
        // A server that has closed the connection may refuse them.
        let _ = self.stream.write_all(bytes).await;
    }

    /// The next packet.
    async fn hear(&mut self) -> Got {
        timeout(SOON, self.next())
            .await
            .expect("something comes")
            .expect("a packet")
    }

    /// The next packet; `None` at the end.
    async fn next(&mut self) -> Option<Got> {
        loop {
            if let Some(length) = whole(&self.buffer) {
                let rest = self.buffer.split_off(length);
                let packet = std::mem::replace(&mut self.buffer, rest);
                return packets::split(&packet).pop();
            }
            let mut bytes = [0; 4_096];
            match self.stream.read(&mut bytes).await {
                Ok(0) | Err(_) => return None,
                Ok(n) => self.buffer.extend_from_slice(&bytes[..n]),
            }
        }
    }

    /// What is sent until the server closes the connection, as it must.
    async fn end(&mut self) -> Vec<Got> {
        let mut got = Vec::new();
        let all = async {
            while let Some(packet) = self.next().await {
                got.push(packet);
            }
        };
        timeout(SOON, all)
            .await
            .expect("the server closes the connection");
        got
    }

    /// What has been sent by now: a ping brings it.
    async fn by_now(&mut self) -> Vec<Got> {
        self.say(&[0xC0, 0]).await;
        let mut got = Vec::new();
        loop {
            match self.hear().await {
                pong if pong.kind == 0xD0 => return got,
                packet => got.push(packet),
            }
        }
    }

    async fn ask(&mut self, bytes: &[u8]) -> Got {
        self.say(bytes).await;
        self.hear().await
    }

    async fn subscribe(&mut self, options: u8) {
        let suback = self
            .ask(&packets::subscribe_with(self.v5, 1, &[], DOWN, options))
            .await;
        assert_eq!((suback.kind, suback.body.last()), (0x90, Some(&(options & 3))));
    }

    fn report(&self, qos: u8, id: u16) -> Vec<u8> {
        packets::publish(self.v5, qos, id, REPORT, b"{}")
    }
}

/// The length of the first packet, once it is whole.
fn whole(bytes: &[u8]) -> Option<usize> {
    let mut length = 0;
    for (n, byte) in bytes.iter().skip(1).enumerate() {
        length |= usize::from(byte & 0x7F) << (7 * n);
        if byte & 0x80 == 0 {
            let all = 2 + n + length;
            return (bytes.len() >= all).then_some(all);
        }
    }
    None
}

/// A will of the device: flags, properties, payload.
fn will(flags: u8, properties: Vec<u8>) -> Will {
    Will {
        flags,
        properties,
        topic: REPORT.into(),
        payload: "{}",
    }
}

/// These bytes end a connection that is open; what the server said before it closed it.
async fn ends(server: &Server, v5: bool, bytes: &[u8]) -> Vec<Got> {
    let mut client = server.device(v5).await;
    client.say(bytes).await;
    let got = client.end().await;
    assert!(server.asked_by_now().is_empty(), "{bytes:02x?} reached a service");
    got
}

/// The reason of the DISCONNECT that comes last, in MQTT 5.
fn last_reason(got: &[Got]) -> Option<u8> {
    got.last()
        .filter(|got| got.kind == 0xE0)
        .map(|got| got.body.first().copied().unwrap_or_default())
}
