//! The queries: answered from what is committed, in bounded pages.

mod list;
mod rosters;
mod show;

use contract::{Code, Refusal, id::Principal, wire::Reply};
use service::{Fault, View};

use crate::Request;

/// Answers a query.
pub(crate) fn answer(view: &View<'_>, caller: &Principal, request: Request) -> Result<Box<dyn Reply>, Fault> {
    Ok(match request {
        Request::Show(m) => Box::new(show::device(view, &m)?),
        Request::Standing(_) => Box::new(show::standing(view, caller)?),
        Request::List(m) => Box::new(list::devices(view, &m)?),
        Request::Groups(m) => Box::new(rosters::groups(view, &m)?),
        Request::People(m) => Box::new(rosters::people(view, &m)?),
        _ => return Err(Refusal::new(Code::Internal, "this verb is a command").into()),
    })
}
