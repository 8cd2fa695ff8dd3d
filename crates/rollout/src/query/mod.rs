//! What only reads, and the transfer of blocks.

mod artifacts;
mod assignment;
mod blocks;
mod rollouts;

use contract::{Code, Refusal, wire::Reply};
use service::{Caller, Fault, View, store::Blobs};

use crate::request::Request;

/// Answers a query.
pub(crate) fn query(
    view: &View<'_>,
    caller: &Caller,
    request: Request,
    blobs: &dyn Blobs,
) -> Result<Box<dyn Reply>, Fault> {
    let device = caller.principal.id.as_str();
    match request {
        Request::Artifacts(m) => artifacts::list(view, &m).map(boxed),
        Request::Show(m) => rollouts::show(view, caller, &m).map(boxed),
        Request::List(m) => rollouts::list(view, caller, &m).map(boxed),
        Request::Updates(m) => rollouts::updates(view, caller, &m).map(boxed),
        Request::Assignment(_) => assignment::ask(view, device).map(boxed),
        Request::Block(m) => blocks::get(view, device, &m, blobs).map(boxed),
        Request::PutBlock(m) => blocks::put(view, &m, blobs).map(boxed),
        _ => Err(Refusal::new(Code::Internal, "this verb is a command").into()),
    }
}

fn boxed<R: Reply + 'static>(reply: R) -> Box<dyn Reply> {
    Box::new(reply)
}
