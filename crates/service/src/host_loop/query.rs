//! Queries: answered beside the writer, from what is committed.

use std::panic::{AssertUnwindSafe, catch_unwind};

use contract::{
    Code, Refusal,
    event::{self, Source},
    filter::Filter,
    id::Kind,
    limits,
    v1::{
        DeviceFact, Event, Fact, FactsAfter, FactsPage, Frame, ListApprovals, ReadAudit, Replay, ReplayMarker,
    },
    verb::Verb,
    wire,
};
use prost::Message;

use super::{Call, Settings, approvals, audit_query, rights};
use crate::{
    keys,
    planted::{self, Mistake},
    record::{FactRecord, Heads},
    service::{Fault, QueryContext, Service},
    sight::Sight,
    store::{Batch, Read, StoreError},
    view::View,
};

/// Facts in one page.
const FACTS_PAGE: usize = 200;

/// A query that waits to be answered.
pub struct Query<R> {
    call: Call,
    work: Work<R>,
}

enum Work<R> {
    Service(R),
    Replay(Replay),
    Facts(FactsAfter),
    Audit(ReadAudit),
    Approvals(ListApprovals),
}

/// What a query came to.
#[derive(Debug)]
pub struct QueryDone {
    /// The stream's messages, if any, and the answer.
    pub frames: Vec<Frame>,
    /// To be logged.
    pub warning: Option<String>,
}

impl<R> Query<R> {
    pub(super) fn of_the_service(call: Call, request: R) -> Query<R> {
        Query {
            call,
            work: Work::Service(request),
        }
    }

    /// Whether every service answers it in the same way.
    pub(super) fn is_of_the_host(verb: &Verb) -> bool {
        matches!(verb.name, "replay" | "facts" | "audit" | "approvals")
    }

    /// One of the queries that every service answers in the same way.
    pub(super) fn of_the_host(call: &mut Call) -> Result<Query<R>, Refusal> {
        let work = match call.verb.name {
            "replay" => wire::decode::<Replay>(&call.payload, &call.content_type)
                .map(|m| (m.request_id.clone(), Work::Replay(m))),
            "facts" => wire::decode::<FactsAfter>(&call.payload, &call.content_type)
                .map(|m| (m.request_id.clone(), Work::Facts(m))),
            "approvals" => wire::decode::<ListApprovals>(&call.payload, &call.content_type)
                .map(|m| (m.request_id.clone(), Work::Approvals(m))),
            _ => wire::decode::<ReadAudit>(&call.payload, &call.content_type)
                .map(|m| (m.request_id.clone(), Work::Audit(m))),
        };
        work.map(|(request_id, work)| {
            call.name_request(request_id);
            Query {
                call: call.clone(),
                work,
            }
        })
    }

    /// Whether the answer depends on the registry's word about the caller. As long as that may not have
    /// come, a refusal would be final and wrong.
    pub(super) fn asks_for_grants(&self) -> bool {
        matches!(self.work, Work::Replay(_)) && self.call.caller.principal.kind != Kind::Service
    }

    /// Answers it. An error means that the store must be opened anew; the caller is told nothing.
    pub fn run<S: Service<Request = R>>(
        self,
        service: &S,
        settings: &Settings,
        base: &dyn Read,
        cx: &QueryContext<'_>,
    ) -> Result<QueryDone, StoreError> {
        let Query { call, work } = self;
        let none = Batch::default();
        let view = View::new(base, &none);
        let answered = catch_unwind(AssertUnwindSafe(|| match work {
            Work::Service(request) => service
                .query(&view, &call.caller, request, cx)
                .map(|reply| vec![call.accepted(&settings.root, reply.encode(call.encoding))]),
            Work::Replay(replay) => replay_events::<S>(&call, &replay, settings, &view),
            Work::Facts(ask) => facts_page(&call, &ask, settings, &view),
            Work::Approvals(ask) => approvals::list::<S>(&call.caller, &ask, &view)
                .map(|page| vec![call.accepted(&settings.root, wire::encode(&page, call.encoding))]),
            Work::Audit(ask) => audit_query::read(&ask, &view)
                .map(|page| vec![call.accepted(&settings.root, wire::encode(&page, call.encoding))]),
        }));
        let refused = |refusal: Refusal, warning| {
            Ok(QueryDone {
                frames: vec![call.rejected(&settings.root, &refusal)],
                warning,
            })
        };
        match answered {
            Ok(Ok(frames)) => Ok(QueryDone {
                frames,
                warning: None,
            }),
            Ok(Err(Fault::Refused(refusal))) => refused(refusal, None),
            Ok(Err(Fault::Store(error @ StoreError::Damaged { .. }))) => refused(
                Refusal::new(Code::Internal, error.to_string()),
                Some(error.to_string()),
            ),
            Ok(Err(Fault::Store(error))) => Err(error),
            Err(_) => {
                let refusal = Refusal::new(Code::Internal, "the service failed on this query");
                refused(refusal, Some(format!("answering `{}` panicked", call.verb.name)))
            }
        }
    }
}

/// What a caller may see of the events.
enum Seen {
    Everything,
    Filters(Vec<Filter>),
    /// Those about the devices in sight.
    Devices(Sight),
}

fn seen<S: Service>(call: &Call, settings: &Settings, view: &View<'_>) -> Result<Seen, Fault> {
    let who = &call.caller.principal;
    match who.kind {
        Kind::Service => return Ok(Seen::Everything),
        Kind::Operator if call.caller.sight == Sight::Everything => return Ok(Seen::Everything),
        Kind::Operator => return Ok(Seen::Devices(call.caller.sight.clone())),
        _ => {}
    }
    let fact = rights::person::<S>(view, who)?;
    let filters = fact
        .event_filters
        .iter()
        .filter_map(|f| settings.root.event_grant(f));
    Ok(Seen::Filters(filters.collect()))
}

impl Seen {
    fn is_granted<S: Service>(&self, event: &Event, topic: &str, view: &View<'_>) -> Result<bool, Fault> {
        let sight = match self {
            Seen::Everything => return Ok(true),
            Seen::Filters(filters) => return Ok(filters.iter().any(|f| f.matches(topic))),
            Seen::Devices(sight) => sight,
        };
        if let Some(groups) = event::groups_of(&event.subject, || Some(event.data.clone())) {
            return Ok(sight.covers(&groups));
        }
        let Some(device) = event::device_of(&event.subject, || Some(event.data.clone())) else {
            return Ok(false);
        };
        let fact = rights::registry_fact::<S, DeviceFact>(view, "device", &device)?;
        Ok(fact.is_some_and(|fact| sight.covers(&fact.groups)))
    }
}

fn replay_events<S: Service>(
    call: &Call,
    replay: &Replay,
    settings: &Settings,
    view: &View<'_>,
) -> Result<Vec<Frame>, Fault> {
    let seen = seen::<S>(call, settings, view)?;
    let wanted = wanted::<S>(&replay.filter, settings)?;
    let limit = match replay.limit as usize {
        0 => limits::PAGE_MAX,
        n => n.min(limits::PAGE_MAX),
    };
    let head = view.raw_record::<Heads>(keys::HEADS)?.unwrap_or_default().event;
    let mut frames = Vec::new();
    let after = replay
        .after
        .saturating_add(u64::from(planted::is(Mistake::ReplaySeam)));
    let page = events_after(after, limit, view)?;
    // What was removed since the page was read is in the page.
    let oldest = oldest(view)?.unwrap_or(head.saturating_add(1));
    let first = page.first().map_or(oldest, |event| event.sequence.min(oldest));
    // Where nothing is kept up to the newest, there is nothing to wait for.
    let mut last = replay.after.max(if page.is_empty() { head } else { 0 });
    for event in page {
        last = event.sequence;
        let topic = settings.root.event(S::NAME, &event.subject, &event.name);
        let is_granted = seen.is_granted::<S>(&event, &topic, view)?;
        if is_granted && wanted.as_ref().is_none_or(|f| f.matches(&topic)) {
            let source = Source {
                site: &settings.site,
                service: S::NAME,
            };
            let payload = event::to_cloud_event(source, &event).into();
            frames.push(call.stream_item(&settings.root, "replay/event", payload, event::CONTENT_TYPE));
        }
    }
    let marker = ReplayMarker {
        request_id: String::new(),
        last,
        head,
        first,
        sent: frames.len() as u32,
        complete: last >= head,
        epoch: format!("{:016x}", settings.epoch),
    };
    frames.push(call.accepted(&settings.root, wire::encode(&marker, call.encoding)));
    Ok(frames)
}

fn wanted<S: Service>(filter: &str, settings: &Settings) -> Result<Option<Filter>, Fault> {
    if filter.is_empty() {
        return Ok(None);
    }
    let whole = settings.root.event_grant(&format!("{}/{filter}", S::NAME));
    let refusal = || {
        Refusal::invalid(
            "filter",
            "not an MQTT topic filter; for example `devices/+/registered`",
        )
    };
    whole.map(Some).ok_or_else(|| refusal().into())
}

fn events_after(after: u64, limit: usize, view: &View<'_>) -> Result<Vec<Event>, Fault> {
    let pairs = view.scan_raw(keys::EVENT, Some(&keys::event(after)), limit)?;
    let events = pairs.iter().map(|(_, bytes)| Event::decode(bytes.as_slice()));
    events.map(|event| event.map_err(|_| damaged())).collect()
}

/// The oldest sequence that is kept.
fn oldest(view: &View<'_>) -> Result<Option<u64>, Fault> {
    let first = view.scan_raw(keys::EVENT, None, 1)?;
    let first = first.first().map(|(_, bytes)| Event::decode(bytes.as_slice()));
    first
        .transpose()
        .map(|event| event.map(|event| event.sequence))
        .map_err(|_| damaged())
}

fn damaged() -> Fault {
    StoreError::Damaged {
        key: "an event".into(),
        reason: "the record does not decode",
    }
    .into()
}

fn facts_page(
    call: &Call,
    ask: &FactsAfter,
    settings: &Settings,
    view: &View<'_>,
) -> Result<Vec<Frame>, Fault> {
    let head = view.raw_record::<Heads>(keys::HEADS)?.unwrap_or_default().fact;
    let known = ask.epoch == settings.epoch && ask.after <= head;
    let after = if known { ask.after } else { 0 };
    let index = view.scan_raw(keys::FACT_INDEX, Some(&keys::fact_index(after)), FACTS_PAGE + 1)?;
    let complete = index.len() <= FACTS_PAGE;
    let mut facts = Vec::new();
    for (_, key) in index.iter().take(FACTS_PAGE) {
        let Some(record) = view.raw_record::<FactRecord>(key)? else {
            continue;
        };
        facts.push(Fact {
            epoch: settings.epoch,
            sequence: record.sequence,
            entity: record.entity,
            id: record.id,
            value: record.value,
            deleted: record.deleted,
        });
    }
    let reached = facts.last().map_or(after, |fact| fact.sequence);
    let page = FactsPage {
        request_id: String::new(),
        epoch: settings.epoch,
        last: if complete { head.max(reached) } else { reached },
        facts,
        complete,
        whole: !known || after == 0,
    };
    Ok(vec![
        call.accepted(&settings.root, wire::encode(&page, call.encoding)),
    ])
}
