//! What changes state, one verb a file.

mod create;
mod open_artifact;
mod recall;
mod report;
mod seal_artifact;
mod standing;
mod steer;
mod wake;

use artifact::Keyring;
use contract::{Code, Refusal};
use service::{Caller, Fault, Outcome, View};

use self::steer::Wheel;
pub(crate) use self::{create::touched, seal_artifact::on_effect, standing::on_fact, wake::on_wake};
use crate::request::Request;

/// Decides a command.
pub(crate) fn decide(
    keyring: &Keyring,
    view: &View<'_>,
    caller: &Caller,
    request: Request,
    now: i64,
) -> Result<Outcome, Fault> {
    match request {
        Request::OpenArtifact(m) => open_artifact::decide(keyring, view, caller, m, now),
        Request::SealArtifact(m) => seal_artifact::decide(view, &m),
        Request::Recall(m) => recall::decide(view, caller, &m, now),
        Request::Create(m) => create::decide(keyring, view, caller, m, now),
        Request::Pause(m) => steer::decide(view, caller, &m, Wheel::Pause, now),
        Request::Resume(m) => steer::decide(view, caller, &m, Wheel::Resume, now),
        Request::Abort(m) => steer::decide(view, caller, &m, Wheel::Abort, now),
        Request::Report(m) => report::decide(view, caller, m, now),
        _ => Err(Refusal::new(Code::Internal, "this verb is a query").into()),
    }
}
