//! Requests that cannot be read are refused under the name that their sender gave them.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::sync::Arc;

use contract::{
    Principal, Refusal, Root, ServiceName,
    v1::{Frame, Purpose, Rejection, ShowDevice},
    verb::Verb,
    wire::{self, Reply},
};
use service::{
    Caller, Context, Entropy, Fault, HostLoop, Input, Now, Outcome, Parsed, QueryContext, Service, Settings,
    View,
    store::{Pair, Read, StoreError},
};

service::requests! {
    /// What this registry is asked.
    enum Request { "show" => Show(ShowDevice) }
}

/// A registry that reads requests and answers none.
struct Reader;

impl Service for Reader {
    const NAME: ServiceName = ServiceName::Registry;
    type Request = Request;

    fn parse(
        &self,
        verb: &'static Verb,
        payload: &[u8],
        content_type: &str,
    ) -> Result<Parsed<Request>, Refusal> {
        Request::parse(verb, payload, content_type)
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
        request: Request,
        _: &QueryContext<'_>,
    ) -> Result<Box<dyn Reply>, Fault> {
        let Request::Show(show) = request;
        Err(Refusal::not_found("device", &show.device_id).into())
    }
}

/// A store without rows.
struct Nothing;

impl Read for Nothing {
    fn get(&self, _: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    fn scan(&self, _: &[u8], _: Option<&[u8]>, _: usize) -> Result<Vec<Pair>, StoreError> {
        Ok(Vec::new())
    }
}

struct Zeros;

impl Entropy for Zeros {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// The name and the code that a refusal of this request states.
fn refusal(verb: &str, payload: &[u8], correlation: &str) -> (String, String) {
    let settings = Settings {
        root: Root::default(),
        site: "test".into(),
        epoch: 1,
    };
    let mut host = HostLoop::open(Arc::new(Reader), settings, &Nothing).unwrap();
    let who: Principal = "operators/ada".parse().unwrap();
    let mut frame = Frame {
        topic: Root::default().up(&who, ServiceName::Registry, verb),
        payload: payload.to_vec().into(),
        correlation: correlation.as_bytes().to_vec().into(),
        ..Frame::default()
    };
    frame.set_purpose(Purpose::Request);
    let mut cx = Context {
        now: Now::default(),
        entropy: &mut Zeros,
        site: "test",
    };
    let group = host.decide(vec![Input::Frame(frame)], &Nothing, &mut cx).unwrap();
    let released = group.without_writes().ok().unwrap();
    let mut frames = released.frames.iter();
    let reply = frames.find(|frame| frame.purpose() == Purpose::Reply).unwrap();
    let rejection: Rejection = wire::decode(&reply.payload, "").unwrap();
    (rejection.request_id, rejection.code)
}

#[test]
fn a_request_that_cannot_be_read_is_refused_under_its_name() {
    for (payload, correlation, name) in [
        (&b"{\"request_id\":\"r-1\",\"nonsense\":1}"[..], "", "r-1"),
        (b"{\"request_id\":\"r-1\",\"nonsense\":1}", "c-1", "r-1"),
        (b"{\"requestId\":\"r-1\",", "", "r-1"),
        (b"{\"nonsense\":1}", "c-1", "c-1"),
        (b"{\"nonsense\":1}", "", ""),
        (b"\x0A\x03r-1\xFF", "", "r-1"),
        (b"\xFF", "c-1", "c-1"),
    ] {
        for verb in ["show", "replay"] {
            let expected = (name.to_owned(), "malformed".to_owned());
            let told = refusal(verb, payload, correlation);
            assert_eq!(told, expected, "{verb} \"{}\"", payload.escape_ascii());
        }
    }
}
