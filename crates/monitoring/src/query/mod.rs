//! What only reads.

mod alerts;
mod refused;
mod rules;
mod status;

use contract::{Code, Refusal, wire::Reply};
use service::{Fault, Sight, View};

use crate::request::Request;

/// Answers a query.
pub(crate) fn query(view: &View<'_>, sight: &Sight, request: Request) -> Result<Box<dyn Reply>, Fault> {
    match request {
        Request::Show(m) => status::show(view, &m).map(boxed),
        Request::List(m) => status::list(view, sight, &m).map(boxed),
        Request::Summary(_) => status::summary(view).map(boxed),
        Request::Rules(m) => rules::list(view, &m).map(boxed),
        Request::Alerts(m) => alerts::list(view, sight, &m).map(boxed),
        Request::Refused(m) => refused::show(view, sight, &m).map(boxed),
        _ => Err(Refusal::new(Code::Internal, "this verb is a command").into()),
    }
}

fn boxed<R: Reply + 'static>(reply: R) -> Box<dyn Reply> {
    Box::new(reply)
}
