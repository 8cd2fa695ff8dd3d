//! What changes state, one verb a file.

mod heartbeat;
mod presence;
mod put_rule;
mod remove_rule;
mod security;
mod snapshot;
mod standing;
mod wake;

use contract::{Code, Refusal};
use service::{Caller, FactChange, Fault, Outcome, View};

use crate::{Settings, decision::Decision, request::Request};

/// Decides a command.
pub(crate) fn decide(
    settings: Settings,
    view: &View<'_>,
    caller: &Caller,
    request: Request,
    now: i64,
) -> Result<Outcome, Fault> {
    let mut decision = Decision::new(settings, view, now)?;
    match request {
        Request::Heartbeat(m) => heartbeat::decide(&mut decision, caller, m)?,
        Request::Presence(m) => presence::decide(&mut decision, &m)?,
        Request::PresenceSnapshot(m) => snapshot::decide(&mut decision, &m)?,
        Request::Security(m) => security::decide(&mut decision, &m)?,
        Request::PutRule(m) => put_rule::decide(&mut decision, m)?,
        Request::RemoveRule(m) => remove_rule::decide(&mut decision, &m)?,
        _ => return Err(Refusal::new(Code::Internal, "this verb is a query").into()),
    }
    Ok(decision.finish())
}

/// The registry says something new of a device.
pub(crate) fn on_fact(
    settings: Settings,
    view: &View<'_>,
    change: FactChange<'_>,
    now: i64,
) -> Result<Outcome, Fault> {
    let mut decision = Decision::new(settings, view, now)?;
    standing::on_fact(&mut decision, change)?;
    Ok(decision.finish())
}

/// A time has come.
pub(crate) fn on_wake(settings: Settings, view: &View<'_>, key: &str, now: i64) -> Result<Outcome, Fault> {
    let mut decision = Decision::new(settings, view, now)?;
    wake::on_wake(&mut decision, key)?;
    Ok(decision.finish())
}
