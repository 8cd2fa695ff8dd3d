//! The decisions, one verb a file.

pub(crate) mod act;
mod active;
mod attest;
mod certificate;
mod change;
pub(crate) mod check;
mod deadline;
mod drift;
mod erased;
mod four_eyes;
mod hear;
mod maintain_many;
mod members;
mod move_stage;
mod order;
mod put_group;
pub(crate) mod put_person;
mod put_supplier;
pub(crate) mod put_type;
pub(crate) mod register;
mod register_many;
mod regroup;
mod remove_group;
mod replace;
mod report;
mod restrict;
mod retire;
mod saved;
mod settle;
mod tested;
mod token;
mod turn;

use std::sync::Arc;

use contract::{
    Code, Refusal,
    v1::{Changed, Device, DeviceType},
};
use service::{Caller, FactChange, Fault, Outcome, View};

use crate::{
    Request, Settings, acceptance, checkpoint, command, config,
    lifecycle::{self, Ground},
    maintenance,
    restriction::Measure,
    retirement,
    rules::Rules,
    schema::SchemaCache,
    state, transfer, tree,
};

/// What every decision is given.
pub(crate) struct Situation<'a> {
    /// The registry's records.
    pub(crate) view: &'a View<'a>,
    /// Who acts, as it is written down.
    pub(crate) actor: String,
    /// The time.
    pub(crate) now_ms: i64,
    /// The dynamic groups.
    pub(crate) rules: Arc<Rules>,
    /// The types' schemas.
    pub(crate) schemas: &'a SchemaCache,
}

impl Situation<'_> {
    /// What the guards of a device's transitions are judged by.
    pub(crate) fn ground(&self, device: &Device) -> Result<Ground, Fault> {
        ground(self.view, self.now_ms, device)
    }
}

/// What the guards of a device's transitions are judged by.
pub(crate) fn ground(view: &View<'_>, now_ms: i64, device: &Device) -> Result<Ground, Fault> {
    let mut ground = Ground {
        now_ms,
        pending: Vec::new(),
    };
    if !device.device_type.is_empty() && lifecycle::asks_for_acceptance(device.stage()) {
        let kind: DeviceType = state::find(view, "type", &device.device_type)?;
        ground.pending = acceptance::pending(&kind, device);
    }
    Ok(ground)
}

/// Decides a command.
pub(crate) fn decide(
    s: &Situation<'_>,
    settings: &Settings,
    by: &Caller,
    request: Request,
) -> Result<Outcome, Fault> {
    let by = &tree::caller(s.view, by)?;
    let caller = &by.principal;
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
        Request::JoinGroup(m) => members::join(s, &by.sight, m),
        Request::LeaveGroup(m) => members::leave(s, &by.sight, m),
        Request::PutPerson(m) => put_person::decide(s, m),
        Request::PutToken(m) => token::put(s, settings, m),
        Request::RevokeToken(m) => token::revoke(s, &m),
        Request::PutPassword(m) => token::put_password(s, m),
        Request::PutFourEyes(m) => four_eyes::decide(s, m),
        Request::Transfer(m) => transfer::offer(s, &by.sight, m),
        Request::AcceptTransfer(m) => transfer::accept(s, &by.sight, &m),
        Request::CancelTransfer(m) => transfer::cancel(s, &m),
        Request::Maintain(m) => maintenance::record(s, &m),
        Request::MaintainMany(m) => maintain_many::decide(s, &m),
        Request::Replace(m) => replace::decide(s, m),
        Request::Readmit(m) => retire::readmit(s, m),
        Request::Attest(m) => attest::decide(s, m),
        Request::Tested(m) => tested::decide(s, &m),
        Request::Annotate(m) => change::annotate(s, m),
        Request::PutType(m) => put_type::put(s, m),
        Request::DeprecateType(m) => put_type::deprecate(s, m),
        Request::PutSupplier(m) => put_supplier::decide(s, m),
        Request::PutOrder(m) => order::put(s, m),
        Request::Expect(m) => order::expect(s, m),
        Request::Receive(m) => order::receive(s, m),
        Request::PutQuery(m) => saved::put(s, m),
        Request::RemoveQuery(m) => saved::remove(s, m),
        Request::PutCheckpoint(m) => checkpoint::put(s, caller, &m),
        Request::RemoveCheckpoint(m) => checkpoint::remove(s, caller, &m),
        Request::ConfigSet(m) => config::set(s, m),
        Request::PutConfigTemplate(m) => config::put_template(s, &by.sight, m),
        Request::RemoveConfigTemplate(m) => config::remove_template(s, &by.sight, m),
        Request::ConfigReport(m) => config::report(s, caller, m),
        Request::CommandRun(m) => command::run(s, m),
        Request::CommandCancel(m) => command::cancel(s, &by.sight, m),
        Request::JobRun(m) => command::run_job(s, &by.sight, m),
        Request::JobCancel(m) => command::cancel_job(s, by, m),
        Request::Command(m) => command::hand(s, caller, m),
        Request::CommandReport(m) => command::report(s, caller, m),
        Request::CommandOutput(m) => command::take_output(s, caller, m),
        Request::Show(_)
        | Request::List(_)
        | Request::Count(_)
        | Request::History(_)
        | Request::Why(_)
        | Request::Retirement(_)
        | Request::Transfers(_)
        | Request::Maintenance(_)
        | Request::Standing(_)
        | Request::ShowType(_)
        | Request::Types(_)
        | Request::Suppliers(_)
        | Request::Orders(_)
        | Request::Queries(_)
        | Request::Groups(_)
        | Request::People(_)
        | Request::Tokens(_)
        | Request::Password(_)
        | Request::FourEyes(_)
        | Request::Checkpoints(_)
        | Request::ConfigShow(_)
        | Request::ConfigExplain(_)
        | Request::ConfigList(_)
        | Request::ConfigDrift(_)
        | Request::ConfigTemplates(_)
        | Request::CommandWhy(_)
        | Request::CommandShow(_)
        | Request::CommandList(_)
        | Request::CommandRead(_)
        | Request::JobShow(_)
        | Request::JobList(_)
        | Request::JobDevices(_)
        | Request::Config(_) => Err(Refusal::new(Code::Internal, "this verb is a query").into()),
    }
}

/// Follows what other services know of devices; an issued certificate moves its device.
pub(crate) fn fact(s: &Situation<'_>, fact: FactChange<'_>) -> Result<Outcome, Fault> {
    hear::decide(s, fact)
}

/// A wake-up: the deadline of a retiring device, the next page for a dynamic group, a configuration, how it drifts, a
/// command or a job, the end of a token, a record that is to be signed, the end of an offer, a moment at which a
/// dynamic group's query turns.
pub(crate) fn wake(s: &Situation<'_>, key: &str) -> Result<Outcome, Fault> {
    if let Some(rest) = key.strip_prefix(config::WAKE) {
        return config::wake(s, rest);
    }
    if let Some(device) = key.strip_prefix(config::DRIFT_WAKE) {
        return drift::decide(s, device);
    }
    if let Some(rest) = key.strip_prefix(command::WAKE) {
        return command::wake(s, rest);
    }
    if let Some(rest) = key.strip_prefix(token::WAKE) {
        return token::forget(s, rest);
    }
    if let Some(rest) = key.strip_prefix(command::JOB_WAKE) {
        return command::wake_job(s, rest);
    }
    if let Some(device) = key.strip_prefix(transfer::WAKE) {
        return transfer::expire(s, device);
    }
    if let Some(rest) = key.strip_prefix(retirement::NAME) {
        return retirement::wake(s.view, rest);
    }
    if let Some(rest) = key.strip_prefix(regroup::WAKE) {
        return regroup::decide(s, rest);
    }
    if let Some(device) = key.strip_prefix(turn::WAKE) {
        return turn::decide(s, device);
    }
    match key.strip_prefix(settle::WAKE) {
        Some(group) => settle::decide(s, group),
        None => deadline::decide(s, key),
    }
}

/// The answer to a change of one entity.
pub(crate) fn changed(id: &str, version: u64) -> Changed {
    Changed {
        id: id.to_owned(),
        version,
        ..Changed::default()
    }
}
