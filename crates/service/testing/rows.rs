//! What a service makes of its own rows once a stranger has written one of them: it names the row, changes
//! nothing on its word, and never fails as a whole. The tests of the four services share this file.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail where it stands"
)]

use std::{cell::Cell, sync::Arc};

use contract::{
    Leaf, Principal, Root, ServiceName, Topic,
    v1::{FactsAfter, FactsPage, Frame, PrincipalFact, Purpose, RequestNumber, Role},
    wire::{self, Encoding},
};
use falsify::{falsify, mutated};
use proptest::{prelude::*, sample::Index};
use prost::Message as _;
use service::{
    Context, Entropy, Group, HostLoop, Input, Now, QueryContext, Released, Service, Settings, inspect,
    store::{Batch, Pair, Read, Store},
};
use store::{MemoryBlobs, MemoryStore};

/// Wake-ups that are let come due after the requests.
const WAKES: usize = 20;
const DAY_MS: i64 = 86_400_000;

/// Numbers, lengths and words of protobuf.
const WORDS: &[&[u8]] = &[
    b"\x0A\x00",
    b"\x0A\xFF\xFF\xFF\xFF\x0F",
    b"\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01",
    b"\x10\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F",
    b"\x18\x63",
    b"\x20\x00",
    b"\x28\xFF\xFF\xFF\xFF\x0F",
    b"\x12\x03a/b",
    b"\x12\x02\xC3\x28",
];

/// A service and what it is asked.
pub(crate) struct Rows<'a, S> {
    pub(crate) service: Arc<S>,
    pub(crate) site: &'a str,
    /// Everything in its store.
    pub(crate) rows: Vec<Pair>,
    /// Its files.
    pub(crate) blobs: Arc<MemoryBlobs>,
    pub(crate) now_ms: i64,
    /// Who asks, the verb, the payload as JSON.
    pub(crate) asked: &'a [(&'a str, &'a str, &'a str)],
}

struct Counter(u8);

impl Entropy for Counter {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0 = self.0.wrapping_add(1);
        bytes.fill(self.0);
    }
}

impl<S: Service> Rows<'_, S> {
    /// Lets the service live on rows of which one is changed; says how often it named a damaged one.
    pub(crate) fn check(&self, cases: u32) -> u32 {
        let own: Vec<&Pair> = self
            .rows
            .iter()
            .filter(|(key, value)| key.starts_with(b"s") && !value.is_empty())
            .collect();
        assert!(own.len() > 5, "{} rows", own.len());
        let values = own.iter().map(|(_, value)| value.clone()).collect();
        let named = Cell::new(0);
        let found = falsify(
            cases,
            &(any::<Index>(), mutated(values, WORDS)),
            |(row, bytes)| {
                let (key, _) = row.get(&own);
                let mut life = Life::new(self, key, bytes);
                for (n, asked) in self.asked.iter().enumerate() {
                    life.ask(n, asked);
                }
                for _ in 0..WAKES {
                    life.now.wall_ms = life
                        .host
                        .next_wake()
                        .unwrap_or(life.now.wall_ms)
                        .max(life.now.wall_ms);
                    life.round(Vec::new());
                }
                life.now.wall_ms += 400 * DAY_MS;
                life.round(Vec::new());
                named.set(named.get() + life.named);
            },
        );
        if let Some((row, bytes)) = found {
            let (key, _) = row.get(&own);
            panic!(
                "fails with \"{}\" under \"{}\"",
                bytes.escape_ascii(),
                key.escape_ascii()
            );
        }
        named.get()
    }
}

/// Whoever asks is an admin, by the registry's facts: its own, and their copies.
fn known(who: &str, batch: &mut Batch) {
    let who: Principal = who.parse().unwrap();
    let fact = PrincipalFact {
        id: who.id.to_string(),
        kind: who.kind.word().into(),
        role: Role::Admin.into(),
        ..PrincipalFact::default()
    };
    let (id, value) = (format!("{}.{}", who.kind, who.id), fact.encode_to_vec());
    for (key, row) in [
        inspect::own_fact("principal", &id, value.clone()),
        inspect::copied_fact(ServiceName::Registry, "principal", &id, value),
    ] {
        batch.put(key, row);
    }
}

/// A service on a store of its own.
struct Life<S: Service> {
    host: HostLoop<S>,
    store: MemoryStore,
    blobs: Arc<MemoryBlobs>,
    now: Now,
    entropy: Counter,
    site: String,
    named: u32,
}

impl<S: Service> Life<S> {
    fn new(rows: &Rows<'_, S>, key: &[u8], bytes: &[u8]) -> Life<S> {
        let store = MemoryStore::new(7);
        let mut batch = Batch::default();
        rows.rows
            .iter()
            .for_each(|(key, value)| batch.put(key.clone(), value.clone()));
        batch.put(key, bytes);
        rows.asked.iter().for_each(|(who, ..)| known(who, &mut batch));
        store.commit(&batch).unwrap();
        let settings = Settings {
            root: Root::default(),
            site: rows.site.into(),
            epoch: store.epoch(),
        };
        let host = HostLoop::open(rows.service.clone(), settings, &store).unwrap();
        let now = Now {
            wall_ms: rows.now_ms,
            mono_ms: 1_000,
        };
        let (entropy, site) = (Counter(0), rows.site.to_owned());
        panic::listen();
        let mut life = Life {
            host,
            store,
            blobs: rows.blobs.clone(),
            now,
            entropy,
            site,
            named: 0,
        };
        life.follow();
        life
    }

    /// Connects, and hears that it knows all that others have told.
    fn follow(&mut self) {
        for asked in self.round(vec![Input::Connected]) {
            let Some(Topic::Up { who, verb }) = Root::default().parse_topic(&asked.topic) else {
                continue;
            };
            let Ok(asked) = wire::decode::<FactsAfter>(&asked.payload, "") else {
                continue;
            };
            let page = FactsPage {
                request_id: asked.request_id,
                epoch: asked.epoch,
                last: asked.after,
                complete: true,
                ..FactsPage::default()
            };
            let mut frame = Frame {
                topic: Root::default().down(&who, verb.service, verb.name, Leaf::Accepted),
                payload: wire::encode(&page, Encoding::Protobuf),
                ..Frame::default()
            };
            frame.set_purpose(Purpose::Reply);
            self.round(vec![Input::Frame(frame)]);
        }
        assert!(self.host.is_whole());
    }

    fn ask(&mut self, n: usize, (who, verb, payload): &(&str, &str, &str)) {
        let who: Principal = who.parse().unwrap();
        let number = Some(RequestNumber {
            boot: 1,
            number: n as u64 + 1,
        });
        let mut frame = Frame {
            topic: Root::default().up(&who, S::NAME, verb),
            payload: payload.as_bytes().to_vec().into(),
            correlation: format!("asked-{n}").into_bytes().into(),
            request: number,
            serial: "0a".into(),
            batch: "lot".into(),
            ..Frame::default()
        };
        frame.set_purpose(Purpose::Request);
        let before = self.own_rows();
        let frames = self.round(vec![Input::Frame(frame)]);
        let answers: Vec<_> = frames.iter().filter(|frame| frame.request == number).collect();
        assert_eq!(answers.len(), 1, "{verb} has one answer");
        let is_named = answers[0].rejected == "internal";
        assert!(
            !is_named || answers[0].reason.contains("is damaged") || panic::is_overflow(),
            "{verb}: {}",
            answers[0].reason
        );
        if is_named {
            assert_eq!(self.own_rows(), before, "{verb} changes nothing");
        }
    }

    /// What is published; a damaged row is a warning, a panic is a fault.
    fn round(&mut self, inputs: Vec<Input>) -> Vec<Frame> {
        let mut cx = Context {
            now: self.now,
            entropy: &mut self.entropy,
            site: &self.site,
        };
        let group = self.host.decide(inputs, &self.store, &mut cx).unwrap();
        let released = self.commit(group);
        let (mut frames, mut warnings) = (released.frames, released.warnings);
        let (service, settings) = self.host.shared();
        let blobs = self.blobs.clone();
        for query in released.queries {
            let cx = QueryContext {
                now: self.now,
                blobs: &*blobs,
            };
            let done = query.run(&*service, &settings, &self.store, &cx).unwrap();
            frames.extend(done.frames);
            warnings.extend(done.warning);
        }
        for warning in warnings {
            assert!(!warning.contains("panicked") || panic::is_overflow(), "{warning}");
            self.named += u32::from(warning.contains("is damaged"));
        }
        frames
    }

    fn commit(&mut self, group: Group<S::Request>) -> Released<S::Request> {
        match group.without_writes() {
            Ok(released) => released,
            Err(group) => {
                let proof = self.store.commit(group.batch()).unwrap();
                group.committed(&proof)
            }
        }
    }

    fn own_rows(&self) -> Vec<Pair> {
        self.store.scan(b"s", None, usize::MAX).unwrap()
    }
}

/// What was panicked about. A count at its end is no damage that a disk can do, for rows have checksums: whoever forges
/// one is answered in a debug build by a panic, which the host catches, and in a release build by a count from 0.
mod panic {
    use std::{
        cell::Cell,
        panic::{set_hook, take_hook},
        sync::Once,
    };

    thread_local! {
        static IS_OVERFLOW: Cell<bool> = const { Cell::new(false) };
    }

    /// Listens to panics from now on; after proptest, which listens too.
    pub(super) fn listen() {
        static LISTENING: Once = Once::new();
        LISTENING.call_once(|| {
            let others = take_hook();
            set_hook(Box::new(move |info| {
                let about = info.payload().downcast_ref::<&str>();
                IS_OVERFLOW.set(about.is_some_and(|text| text.ends_with("with overflow")));
                others(info);
            }));
        });
        IS_OVERFLOW.set(false);
    }

    /// Whether the last panic of this thread was about a number that has no successor.
    pub(super) fn is_overflow() -> bool {
        IS_OVERFLOW.get()
    }
}
