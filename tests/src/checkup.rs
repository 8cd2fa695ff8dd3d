//! What must hold after every fault: a device gets in and is answered, the health check is well, nothing
//! panicked, and memory is what it was.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use client::{Client, Endpoint, Identity};
use contract::{Root, ServiceName, v1};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{process::Process, server::Server};

/// How fast a device must be served.
const SOON: Duration = Duration::from_secs(1);
/// Tries, since other tests keep the processors busy.
const TRIES: usize = 5;
/// How long memory may take to go down, and what the health check tells of the fault to be over.
const SETTLING: Duration = Duration::from_secs(10);
/// What a small process may grow by, whatever it had before: caches fill.
const ALLOWANCE_KIB: u64 = 64 * 1024;

/// A process as seen from outside.
pub struct Vitals {
    /// Where its health is asked.
    pub http: SocketAddr,
    /// Its process id.
    pub pid: u32,
    /// What it has logged.
    pub log: String,
}

impl From<&Server> for Vitals {
    fn from(server: &Server) -> Vitals {
        Vitals {
            http: server.http,
            pid: server.pid(),
            log: server.log(),
        }
    }
}

impl From<&Process> for Vitals {
    fn from(process: &Process) -> Vitals {
        Vitals {
            http: process.http(),
            pid: process.pid(),
            log: process.log(),
        }
    }
}

/// How soon others are served while somebody misbehaves: within a time, each time.
pub struct Promptness {
    within: Duration,
}

impl Promptness {
    /// Within this time.
    pub fn within(within: Duration) -> Promptness {
        Promptness { within }
    }

    /// It took so long this time.
    pub fn took(&self, took: Duration) {
        assert!(took < self.within, "others wait: {took:?}");
    }
}

/// The four checks. `before_kib` is what all these processes took together before the fault.
pub async fn checkup(endpoint: &Endpoint, probe: &Identity, processes: &[Vitals], before_kib: u64) {
    gets_in(endpoint, probe).await;
    for process in processes {
        is_healthy(process.http).await;
        assert!(!process.log.contains("panic"), "{}", process.log);
    }
    let pids: Vec<_> = processes.iter().map(|process| process.pid).collect();
    memory_is_back(&pids, before_kib).await;
}

/// A device connects over mTLS, subscribes, asks and is answered, all within a second.
pub async fn gets_in(endpoint: &Endpoint, probe: &Identity) {
    let mut took = Vec::new();
    for _ in 0..TRIES {
        let begun = Instant::now();
        let connected = Client::connect(endpoint, probe, Root::default(), "").await;
        let (client, _inbox) = connected.expect("the probe is let in");
        let standing = v1::GetStanding::default();
        let answer = client
            .ask::<v1::Standing>(ServiceName::Registry, "standing", &standing)
            .await;
        answer.expect("the probe is answered");
        took.push(begun.elapsed());
        client.disconnect().await;
        if took.last().is_some_and(|last| *last < SOON) {
            return;
        }
    }
    panic!("no device is served within a second: {took:?}");
}

async fn is_healthy(http: SocketAddr) {
    let begun = Instant::now();
    let (mut status, mut answer) = health(http).await;
    // A trouble is told until the service has gone on.
    while status != 200 && begun.elapsed() < SETTLING {
        tokio::time::sleep(Duration::from_millis(100)).await;
        (status, answer) = health(http).await;
    }
    assert_eq!(status, 200, "{answer}");
}

/// The health check: its status, and all of the answer.
pub async fn health(http: SocketAddr) -> (u16, String) {
    let mut stream = TcpStream::connect(http).await.unwrap();
    let ask = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(ask).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
    (status.unwrap_or_default(), answer)
}

async fn memory_is_back(pids: &[u32], before_kib: u64) {
    let bound = (2 * before_kib).max(before_kib + ALLOWANCE_KIB);
    let begun = Instant::now();
    let mut now_kib = memory_kib(pids);
    while now_kib > bound && begun.elapsed() < SETTLING {
        tokio::time::sleep(Duration::from_millis(200)).await;
        now_kib = memory_kib(pids);
    }
    assert!(now_kib <= bound, "{before_kib} KiB before, {now_kib} KiB after");
}

/// What processes hold in memory together, KiB.
pub fn memory_kib(pids: &[u32]) -> u64 {
    pids.iter().map(|pid| resident_kib(*pid)).sum()
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
