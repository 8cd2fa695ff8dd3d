//! The entrance with real sockets: a crowd that says nothing, and no file descriptors.

use std::{
    fs::File,
    io::{Read, Seek},
    net::Ipv4Addr,
    sync::atomic::{AtomicI64, Ordering},
};

use contract::{
    id::ServiceName,
    v1::{DeviceFact, Fact, FactsAfter, FactsPage, Frame, PrincipalFact, Purpose, Stage},
    wire,
};
use prost::Message;
use rustix::process::{Resource, getrlimit, setrlimit};
use session::{Door, DoorSettings};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::*;
use crate::{PrincipalListener, TlsMaterial};

const SOON: Duration = Duration::from_secs(20);

/// A listener over TLS and one without, behind which is a door that knows the device `pump-7` and the
/// integrator `erp`, who may see the registry's events.
pub(super) struct House {
    secure: SocketAddr,
    pub(super) plain: SocketAddr,
    pub(super) shared: Arc<Shared>,
    /// Its clock, milliseconds since 1970.
    pub(super) wall_ms: Arc<AtomicI64>,
    pub(super) entrance: Arc<Entrance>,
    end: CancellationToken,
}

impl Drop for House {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

pub(super) fn house(limits: Limits) -> House {
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let wall_ms = Arc::new(AtomicI64::new(1_000_000));
    let clock = wall_ms.clone();
    let config = FrontDoorConfig {
        site: "hq".into(),
        root: contract::Root::default(),
        boot: 1,
        principals: Some(PrincipalListener {
            addr: loopback,
            tls: tls_material(),
        }),
        websocket: None,
        est: None,
        services: loopback,
        service_secret: String::new(),
        insecure_principals: Some(loopback),
        policy: None,
        limits: limits.clone(),
        clock: Arc::new(move || clock.load(Ordering::Relaxed)),
    };
    let settings = DoorSettings {
        site: config.site.clone(),
        root: config.root.clone(),
        boot: 1,
        limits: Arc::new(limits),
    };
    let door = Door::new(settings);
    let shared = Arc::new(Shared::new(door, config.clock.clone(), config.root.clone()).0);
    tell_of_the_device(&shared);
    let (end, entrance) = (CancellationToken::new(), Entrance::new(&config.limits));
    let handshakes = Arc::new(Handshakes::new(&tls_material(), 0).unwrap());
    let gates = Gate::bind_all(&config, Some(&handshakes)).unwrap();
    let [secure, plain] = [Listener::Principals, Listener::Insecure]
        .map(|l| gates.iter().find(|g| g.listener() == l).unwrap().address());
    for gate in gates {
        let listening = gate.listen().unwrap();
        listening.open(&config, shared.clone(), entrance.clone(), end.clone());
    }
    House {
        secure,
        plain,
        shared,
        wall_ms,
        entrance,
        end,
    }
}

fn tls_material() -> TlsMaterial {
    let founded = pki::create_root(&pki::Charter {
        site: "hq",
        key: pki::KeyKind::P256,
        serial: pki::Serial::from_random([7; 16]),
        now_ms: 1_700_000_000_000,
        lifetime_ms: 10 * 365 * 86_400_000,
    })
    .unwrap();
    TlsMaterial {
        server_chain_pem: founded.chain_pem.clone(),
        server_key_pem: founded.key_pem.to_string(),
        client_roots_pem: founded.chain_pem.clone(),
        root_links_pem: String::new(),
        issuing_pem: founded.chain_pem.clone(),
    }
}

/// Answers the question for facts as the registry does.
fn tell_of_the_device(shared: &Shared) {
    let question = shared.with_door(|door, now| {
        door.link_up(ServiceName::Registry, now);
        door.take_frames(ServiceName::Registry, 9, usize::MAX).1.remove(0)
    });
    let ask: FactsAfter = wire::decode(&question.payload, "").unwrap();
    let device = DeviceFact {
        device_id: "pump-7".into(),
        stage: Stage::Active as i32,
        ..DeviceFact::default()
    };
    let erp = PrincipalFact {
        id: "erp".into(),
        kind: "integrators".into(),
        event_filters: vec!["registry/#".into()],
        data_devices: vec!["+".into()],
        ..PrincipalFact::default()
    };
    let fact = |sequence, entity: &str, id: &str, value: Vec<u8>| Fact {
        epoch: 7,
        sequence,
        entity: entity.into(),
        id: id.into(),
        value,
        deleted: false,
    };
    let facts = vec![
        fact(1, "device", "pump-7", device.encode_to_vec()),
        fact(2, "principal", "integrators.erp", erp.encode_to_vec()),
    ];
    let page = FactsPage {
        request_id: ask.request_id,
        epoch: 7,
        facts,
        last: 2,
        complete: true,
        whole: true,
    };
    let mut reply = Frame {
        topic: "muster/v1/services/front-door/down/registry/facts/accepted".into(),
        payload: wire::encode(&page, wire::Encoding::Protobuf),
        request: question.request,
        ..Frame::default()
    };
    reply.set_purpose(Purpose::Reply);
    shared.with_door(|door, now| door.on_frame(ServiceName::Registry, reply, now));
}

/// The device says CONNECT, and gets its CONNACK.
async fn is_let_in(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(CONNECT).await.unwrap();
    let mut connack = [0; 4];
    stream.read_exact(&mut connack).await.unwrap();
    assert_eq!(connack, [0x20, 2, 0, 0]);
    stream
}

/// MQTT 3.1.1, client id `pump-7`, user name `devices/pump-7`, clean session.
const CONNECT: &[u8] = b"\x10\x22\x00\x04MQTT\x04\x82\x00\x3c\x00\x06pump-7\x00\x0edevices/pump-7";

async fn dial(address: SocketAddr, times: usize) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..times {
        streams.push(TcpStream::connect(address).await.unwrap());
    }
    streams
}

/// Whether the other end has closed it.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let read = timeout(Duration::from_millis(1), stream.read(&mut [0; 9])).await;
    matches!(read, Ok(Ok(0) | Err(_)))
}

async fn still_open(crowd: &mut Vec<TcpStream>) -> usize {
    for mut stream in std::mem::take(crowd) {
        if !is_closed(&mut stream).await {
            crowd.push(stream);
        }
    }
    crowd.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_crowd_keeps_no_device_out() {
    for over_tls in [false, true] {
        let house = house(Limits {
            connections: 4,
            handshakes: 8,
            silent_ms: 5,
            ..Limits::default()
        });
        let mut crowd = dial(if over_tls { house.secure } else { house.plain }, 400).await;
        let device = timeout(SOON, is_let_in(house.plain)).await;
        let device = device.expect("the device gets in");
        assert_eq!(house.shared.status().sessions, 1);
        let shrunk = timeout(SOON, async { while still_open(&mut crowd).await > 8 {} }).await;
        shrunk.expect("of the silent the oldest go");
        drop(device);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_a_session_makes_way_for_nobody() {
    let house = house(Limits {
        connections: 2,
        handshakes: 1,
        silent_ms: 1,
        ..Limits::default()
    });
    let mut device = timeout(SOON, is_let_in(house.plain)).await.unwrap();
    let _crowd = dial(house.plain, 40).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    device.write_all(&[0xC0, 0]).await.unwrap();
    let mut pong = [0; 2];
    device.read_exact(&mut pong).await.unwrap();
    assert_eq!(pong, [0xD0, 0]);
}

/// MQTT 5, otherwise as `CONNECT`.
const CONNECT_5: &[u8] = b"\x10\x23\x00\x04MQTT\x05\x82\x00\x3c\x00\x00\x06pump-7\x00\x0edevices/pump-7";
const REPORT: &[u8] = b"muster/v1/devices/pump-7/up/registry/report";

/// The device, which has sent as many reports as may wait and is read no further; what it has sent besides lies in its
/// socket.
async fn talks_on(house: &House) -> TcpStream {
    let mut stream = TcpStream::connect(house.plain).await.unwrap();
    stream.write_all(CONNECT_5).await.unwrap();
    let length = [0x32, (2 + REPORT.len() + 3 + 2) as u8, 0, REPORT.len() as u8];
    for id in 1..=Limits::default().receive_maximum {
        let report = [&length[..], REPORT, &id.to_be_bytes(), b"\0{}"].concat();
        stream.write_all(&report).await.unwrap();
    }
    let held = async {
        let mut held = 0;
        while held < usize::from(Limits::default().receive_maximum) {
            held += asked(house);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, held).await.expect("it is read so far");
    stream.write_all(&[0xC0, 0].repeat(10_000)).await.unwrap();
    stream
}

/// How many reports have come since somebody asked.
fn asked(house: &House) -> usize {
    let take = |door: &mut Door, _| door.take_frames(ServiceName::Registry, 999, usize::MAX).1;
    let frames = house.shared.with_door(take);
    frames
        .iter()
        .filter(|frame| frame.topic.as_bytes() == REPORT)
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_sent_away_in_the_midst_of_its_words_hears_why_and_is_not_reset() {
    let house = house(Limits::default());
    let mut stream = talks_on(&house).await;
    house.shared.with_door(|door, _| door.close());
    let mut heard = Vec::new();
    let ended = timeout(SOON, stream.read_to_end(&mut heard)).await.unwrap();
    assert!(ended.is_ok(), "{ended:?}");
    let goodbye = heard.windows(3).any(|bytes| bytes[0] == 0xE0 && bytes[2] == 0x8B);
    assert!(goodbye, "{heard:02x?}");
    let gone = async {
        while house.shared.status().sessions > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(SOON, gone).await.expect("its session is over");
    // What it says from now on is for nobody, and it may not say it for long.
    let cut = async { while stream.write_all(&[0; 64 * 1024]).await.is_ok() {} };
    timeout(SOON, cut).await.expect("it is closed");
    assert_eq!(asked(&house), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_still_being_told_why_makes_way_at_once() {
    let house = house(Limits {
        connections: 1,
        handshakes: 1,
        takeovers_per_minute: 1_000,
        ..Limits::default()
    });
    // Each takes the session of the one before, which does not hang up. There is room for two.
    let mut crowd = Vec::new();
    let all = async {
        for _ in 0..50 {
            crowd.push(is_let_in(house.plain).await);
            // The former one is being told why by now.
            while house.shared.status().sessions > 1 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    };
    timeout(SOON, all).await.expect("each gets in");
    let shrunk = timeout(SOON, async { while still_open(&mut crowd).await > 1 {} }).await;
    shrunk.expect("the former ones are closed");
}

/// CPU time of this process, in clock ticks.
fn cpu_ticks(stat: &mut File) -> u64 {
    let mut text = String::new();
    stat.rewind().unwrap();
    stat.read_to_string(&mut text).unwrap();
    let fields: Vec<_> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Takes descriptors from the whole process: to be run in one of its own, as nextest does.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes all file descriptors: it needs a process of its own, see tests/run"]
async fn without_file_descriptors_it_waits_and_goes_on() {
    let house = house(Limits::default());
    let mut stat = File::open("/proc/self/stat").unwrap();
    let client = TcpSocket::new_v4().unwrap();
    let limit = getrlimit(Resource::Nofile);
    let mut few = limit;
    few.current = Some(128);
    setrlimit(Resource::Nofile, few).unwrap();
    let mut hoard: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(!hoard.is_empty());
    let mut client = client.connect(house.plain).await.unwrap();
    client.write_all(CONNECT).await.unwrap();
    let before = cpu_ticks(&mut stat);
    tokio::time::sleep(Duration::from_millis(700)).await;
    let spent = cpu_ticks(&mut stat) - before;
    assert!(spent < 20, "{spent} ticks in 0.7 s");
    assert_eq!(house.shared.status().sessions, 0);
    hoard.clear();
    let mut connack = [0; 4];
    timeout(SOON, client.read_exact(&mut connack))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(connack, [0x20, 2, 0, 0]);
    setrlimit(Resource::Nofile, limit).unwrap();
}
