//! The decisions, one verb a file.

mod certificate;
mod change;
mod deadline;
mod enter;
mod erased;
mod members;
mod move_stage;
mod put_group;
mod put_person;
mod register;
mod register_many;
mod remove_group;
mod report;
mod restrict;
mod retire;

use contract::{Code, Refusal, id::Principal, v1::Changed};
use service::{FactChange, Fault, Outcome, View};

use crate::{Request, Settings, restriction::Measure};

/// What every decision is given.
pub(crate) struct Situation<'a> {
    /// The registry's records.
    pub(crate) view: &'a View<'a>,
    /// Who acts, as it is written down.
    pub(crate) actor: String,
    /// The time.
    pub(crate) now_ms: i64,
}

/// Decides a command.
pub(crate) fn command(
    s: &Situation<'_>,
    settings: &Settings,
    caller: &Principal,
    request: Request,
) -> Result<Outcome, Fault> {
    match request {
        Request::Register(m) => register::decide(s, m),
        Request::RegisterMany(m) => register_many::decide(s, m),
        Request::Change(m) => change::decide(s, m),
        Request::Move(m) => move_stage::decide(s, m),
        Request::Suspend(m) => restrict::decide(s, caller, m, Measure::Suspend),
        Request::Quarantine(m) => restrict::decide(s, caller, m, Measure::Quarantine),
        Request::Release(m) => restrict::decide(s, caller, m, Measure::Release),
        Request::Retire(m) => retire::decide(s, settings, m),
        Request::Report(m) => report::decide(s, caller, m),
        Request::Erased(m) => erased::decide(s, caller, m),
        Request::PutGroup(m) => put_group::decide(s, m),
        Request::RemoveGroup(m) => remove_group::decide(s, m),
        Request::JoinGroup(m) => members::join(s, m),
        Request::LeaveGroup(m) => members::leave(s, m),
        Request::PutPerson(m) => put_person::decide(s, m),
        Request::Show(_)
        | Request::List(_)
        | Request::Standing(_)
        | Request::Groups(_)
        | Request::People(_) => Err(Refusal::new(Code::Internal, "this verb is a query").into()),
    }
}

/// Follows provisioning: an issued certificate moves its device.
pub(crate) fn fact(s: &Situation<'_>, fact: FactChange<'_>) -> Result<Outcome, Fault> {
    certificate::decide(s, fact)
}

/// A wake-up: the deadline of a retiring device.
pub(crate) fn wake(s: &Situation<'_>, key: &str) -> Result<Outcome, Fault> {
    deadline::decide(s, key)
}

/// The answer to a change of one entity.
fn changed(id: &str, version: u64) -> Changed {
    Changed {
        id: id.to_owned(),
        version,
        ..Changed::default()
    }
}
