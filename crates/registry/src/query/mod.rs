//! The queries: answered from what is committed, in bounded pages.

mod catalogue;
mod count;
mod history;
mod list;
pub(crate) mod search;
mod show;
mod sorted;
mod spread;
mod why;

pub use self::spread::together;

use contract::{
    Code, Refusal, ServiceName,
    id::Principal,
    v1::{FourEyesShown, SavedQuery},
    wire::Reply,
};
use service::{Caller, Fault, View};

use crate::{
    Request, checkpoint, command, config,
    language::{Query, Surroundings},
    maintenance, retirement, state, transfer, tree,
};

/// Answers a query.
pub(crate) fn answer(
    view: &View<'_>,
    by: &Caller,
    now_ms: i64,
    request: Request,
) -> Result<Box<dyn Reply>, Fault> {
    let by = &tree::caller(view, by)?;
    let (caller, sight) = (&by.principal, &by.sight);
    Ok(match request {
        Request::Show(m) => Box::new(show::device(view, &m)?),
        Request::Standing(_) => Box::new(show::standing(view, caller)?),
        Request::List(m) => Box::new(list::devices(view, sight, now_ms, &m)?),
        Request::Count(m) => Box::new(count::devices(view, sight, now_ms, &m)?),
        Request::History(m) => Box::new(history::device(view, &m)?),
        Request::Why(m) => Box::new(why::device(view, now_ms, &m)?),
        Request::Retirement(m) => Box::new(retirement::show(view, &m)?),
        Request::Transfers(m) => Box::new(transfer::list(view, sight, &m)?),
        Request::Maintenance(m) => Box::new(maintenance::list(view, &m)?),
        Request::ShowType(m) => Box::new(catalogue::kind(view, &m)?),
        Request::Types(m) => Box::new(catalogue::types(view, &m)?),
        Request::Suppliers(m) => Box::new(catalogue::suppliers(view, &m)?),
        Request::Orders(m) => Box::new(catalogue::orders(view, &m)?),
        Request::Queries(m) => Box::new(catalogue::queries(view, &m)?),
        Request::Groups(m) => Box::new(catalogue::groups(view, sight, &m)?),
        Request::People(m) => Box::new(catalogue::people(view, &m)?),
        Request::Tokens(m) => Box::new(catalogue::tokens(view, now_ms, &m)?),
        Request::Password(m) => {
            // The verb table says so too; what can be guessed at is worth a second look.
            if *caller != Principal::from(ServiceName::FrontDoor) {
                return Err(Refusal::new(Code::Denied, "only the front door asks this").into());
            }
            Box::new(catalogue::password(view, m)?)
        }
        Request::FourEyes(_) => Box::new(FourEyesShown {
            settings: Some(view.load(state::FOUR_EYES)?.unwrap_or_default()),
            ..FourEyesShown::default()
        }),
        Request::Checkpoints(m) => Box::new(checkpoint::list(view, caller, &m)?),
        Request::ConfigShow(m) => Box::new(config::show(view, &m)?),
        Request::ConfigExplain(m) => Box::new(config::explain(view, &m)?),
        Request::ConfigList(m) => Box::new(list::configs(view, sight, now_ms, &m)?),
        Request::ConfigDrift(m) => Box::new(config::drift(view, sight, &m)?),
        Request::ConfigTemplates(m) => Box::new(config::templates(view, sight, &m)?),
        Request::Config(_) => Box::new(config::current(view, caller)?),
        Request::CommandWhy(m) => Box::new(command::why(view, caller, &m)?),
        Request::CommandShow(m) => Box::new(command::show(view, sight, &m)?),
        Request::CommandList(m) => Box::new(command::list(view, sight, &m)?),
        Request::CommandRead(m) => Box::new(command::read_output(view, sight, &m)?),
        Request::JobShow(m) => Box::new(command::show_job(view, by, &m)?),
        Request::JobList(m) => Box::new(command::list_jobs(view, by, &m)?),
        Request::JobDevices(m) => Box::new(command::list_job_devices(view, by, &m)?),
        _ => return Err(Refusal::new(Code::Internal, "this verb is a command").into()),
    })
}

/// Reads a query's text.
fn understand(view: &View<'_>, now_ms: i64, text: &str) -> Result<Query, Fault> {
    let saved = |name: &str| Ok(state::find::<SavedQuery>(view, "where", name)?.r#where);
    let around = Surroundings {
        now_ms,
        saved: &saved,
        below: &|group| Ok(tree::named(view, group)?),
    };
    Query::parse(text, &around)
}
