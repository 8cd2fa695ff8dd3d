//! Wake-ups that are set, moved and lifted: which is next, and how many that are gone are passed to find it.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::{
    cell::Cell,
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex},
};

use contract::{Refusal, Root, ServiceName, v1::ShowDevice, verb::Verb, wire::Reply};
use service::{
    Caller, Context, Entropy, Fault, HostLoop, Input, Now, Outcome, Parsed, QueryContext, Service, Settings,
    View,
    store::{Pair, Read, StoreError},
};

service::requests! {
    /// What this registry is asked: nothing here.
    enum Request { "show" => Show(ShowDevice) }
}

/// Sets a wake-up when it is woken by `a=70`, lifts it by `a=`, and notes those that come.
#[derive(Default)]
struct Alarms(Mutex<Vec<String>>);

impl Service for Alarms {
    const NAME: ServiceName = ServiceName::Registry;
    type Request = Request;

    fn parse(&self, verb: &'static Verb, payload: &[u8], kind: &str) -> Result<Parsed<Request>, Refusal> {
        Request::parse(verb, payload, kind)
    }

    fn json(&self, _: &'static Verb, _: &[u8], _: &str) -> Result<String, Refusal> {
        Ok("{}".into())
    }

    fn decide(&self, _: &View<'_>, _: &Caller, _: Request, _: &mut Context<'_>) -> Result<Outcome, Fault> {
        Ok(Outcome::default())
    }

    fn query(
        &self,
        _: &View<'_>,
        _: &Caller,
        _: Request,
        _: &QueryContext<'_>,
    ) -> Result<Box<dyn Reply>, Fault> {
        Err(Refusal::not_found("device", "x").into())
    }

    fn on_wake(&self, _: &View<'_>, key: &str, _: &mut Context<'_>) -> Result<Outcome, Fault> {
        let mut outcome = Outcome::default();
        match key.split_once('=') {
            Some((name, "")) => outcome.no_wake(name),
            Some((name, at)) => outcome.wake_at(name, at.parse().unwrap()),
            None => self.0.lock().unwrap().push(key.to_owned()),
        }
        Ok(outcome)
    }
}

/// Rows, and those that were removed, as a store has them that has not forgotten them yet.
#[derive(Default)]
struct Rows {
    rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Removed rows that readers passed.
    passed: Cell<usize>,
}

impl Read for Rows {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.rows.get(key).cloned().flatten())
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StoreError> {
        let from = after.map_or(Bound::Included(prefix), Bound::Excluded);
        let mut found = Vec::new();
        for (key, value) in self.rows.range::<[u8], _>((from, Bound::Unbounded)) {
            if !key.starts_with(prefix) || found.len() == limit {
                break;
            }
            match value {
                Some(value) => found.push((key.clone(), value.clone())),
                None => self.passed.set(self.passed.get() + 1),
            }
        }
        Ok(found)
    }
}

struct Zeros;

impl Entropy for Zeros {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// A service and its store.
struct Life {
    host: HostLoop<Alarms>,
    alarms: Arc<Alarms>,
    rows: Rows,
}

fn open(alarms: &Arc<Alarms>, rows: &Rows) -> HostLoop<Alarms> {
    let settings = Settings {
        root: Root::default(),
        site: "test".into(),
        epoch: 1,
    };
    HostLoop::open(alarms.clone(), settings, rows).unwrap()
}

impl Life {
    fn new() -> Life {
        let (alarms, rows) = (Arc::new(Alarms::default()), Rows::default());
        Life {
            host: open(&alarms, &rows),
            alarms,
            rows,
        }
    }

    /// A round at this time, in which these are heard.
    fn round(&mut self, now_ms: i64, heard: &[String]) {
        let mut cx = Context {
            now: Now {
                wall_ms: now_ms,
                mono_ms: 1,
            },
            entropy: &mut Zeros,
            site: "test",
        };
        let inputs = heard.iter().cloned().map(Input::Woken).collect();
        let group = self.host.decide(inputs, &self.rows, &mut cx).unwrap();
        for (key, value) in group.batch().iter() {
            self.rows.rows.insert(key.to_vec(), value.map(<[u8]>::to_vec));
        }
    }
}

#[test]
fn the_next_is_the_earliest_of_those_that_are_set_whatever_came_before() {
    let mut life = Life::new();
    let mut set: BTreeMap<String, i64> = BTreeMap::new();
    // A sequence of numbers that is the same for ever.
    let mut state = 7_u64;
    let mut number = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % below
    };
    let mut expected = Vec::new();
    for step in 0..3_000_i64 {
        let now = step / 3;
        let mut due: Vec<_> = set.iter().filter(|(_, at)| **at <= now).collect();
        due.sort_by_key(|(name, at)| (**at, name.as_str()));
        expected.extend(due.into_iter().map(|(name, _)| name.clone()));
        set.retain(|_, at| *at > now);
        let mut heard = Vec::new();
        for _ in 0..number(4) {
            let name = format!("n{}", number(12));
            if number(3) == 0 {
                set.remove(&name);
                heard.push(format!("{name}="));
            } else {
                let at = now + 1 + number(12) as i64;
                heard.push(format!("{name}={at}"));
                set.insert(name, at);
            }
        }
        life.round(now, &heard);
        let next = set.values().copied().min();
        assert_eq!(life.host.next_wake(), next, "step {step}, {heard:?}");
        assert_eq!(*life.alarms.0.lock().unwrap(), expected, "step {step}");
        if step % 500 == 0 {
            life.host = open(&life.alarms, &life.rows);
            assert_eq!(life.host.next_wake(), next, "opened again at step {step}");
        }
    }
    assert!(expected.len() > 300, "{} came", expected.len());
}

/// Devices that come and go set a wake-up and lift it again, long before its time.
#[test]
fn those_that_are_gone_are_not_passed_again_and_again() {
    let mut life = Life::new();
    life.round(0, &["far=1000000".into()]);
    for n in 0..2_000 {
        let (name, at) = (format!("grace/{n}"), 30_000 + n);
        life.round(n, &[format!("{name}={at}")]);
        life.round(n, &[format!("{name}=")]);
        assert_eq!(life.host.next_wake(), Some(1_000_000));
    }
    let passed = life.rows.passed.get();
    assert!(passed <= 3 * 2_000, "{passed} removed rows were passed");
}
