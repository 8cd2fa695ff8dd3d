//! What the registry is asked: the only place where wire messages come in.

use std::collections::BTreeSet;

use contract::v1::ShowRetirement;
use contract::v1::{AcceptTransfer, CancelTransfer, ListTransfers, OfferTransfer};
use contract::v1::{
    Annotate, AskWhy, Attest, ChangeDevice, ChangeMembers, CountDevices, DeprecateType, Erased,
    ExpectDevices, GetStanding, ListDevices, ListGroups, ListOrders, ListPeople, ListQueries, ListSuppliers,
    ListTypes, MoveDevice, PutGroup, PutOrder, PutPerson, PutQuery, PutSupplier, PutType, ReadmitDevice,
    ReceiveDevices, RegisterDevice, RegisterDevices, RemoveGroup, RemoveQuery, ReplaceDevice, Report,
    RestrictDevice, RetireDevice, ShowDevice, ShowHistory, ShowType,
};
use contract::v1::{AskCommand, Tested};
use contract::v1::{
    CancelCommand, GetCommand, ListCommands, PutCommandOutput, ReadCommandOutput, ReportCommand, RunCommand,
    ShowCommand,
};
use contract::v1::{CancelJob, ListJobDevices, ListJobs, RunJob, ShowJob};
use contract::v1::{
    ExplainConfig, GetConfig, ListConfigDrift, ListConfigTemplates, ListConfigs, PutConfigTemplate,
    RemoveConfigTemplate, ReportConfig, SetConfig, ShowConfig,
};
use contract::v1::{ListCheckpoints, PutCheckpoint, RemoveCheckpoint};
use contract::v1::{ListMaintenance, MaintainMany, RecordMaintenance};
use contract::v1::{ListTokens, PutPassword, PutToken, RevokeToken, ShowPassword};
use contract::v1::{PutFourEyes, ShowFourEyes};
use contract::{approval::Touched, names, v1::Criticality};
use service::{Fault, View};

use crate::{Registry, choice::Choice, state};

service::requests! {
    /// A request to the registry, by verb.
    pub enum Request {
        "register" => Register(RegisterDevice),
        "register-many" => RegisterMany(RegisterDevices),
        "show" => Show(ShowDevice),
        "list" => List(ListDevices),
        "count" => Count(CountDevices),
        "history" => History(ShowHistory),
        "why" => Why(AskWhy),
        "retirement" => Retirement(ShowRetirement),
        "change" => Change(ChangeDevice),
        "move" => Move(MoveDevice),
        "suspend" => Suspend(RestrictDevice),
        "quarantine" => Quarantine(RestrictDevice),
        "release" => Release(RestrictDevice),
        "retire" => Retire(RetireDevice),
        "transfer" => Transfer(OfferTransfer),
        "accept-transfer" => AcceptTransfer(AcceptTransfer),
        "cancel-transfer" => CancelTransfer(CancelTransfer),
        "transfers" => Transfers(ListTransfers),
        "maintain" => Maintain(RecordMaintenance),
        "maintain-many" => MaintainMany(MaintainMany),
        "maintenance" => Maintenance(ListMaintenance),
        "replace" => Replace(ReplaceDevice),
        "readmit" => Readmit(ReadmitDevice),
        "attest" => Attest(Attest),
        "tested" => Tested(Tested),
        "annotate" => Annotate(Annotate),
        "report" => Report(Report),
        "standing" => Standing(GetStanding),
        "erased" => Erased(Erased),
        "put-type" => PutType(PutType),
        "deprecate-type" => DeprecateType(DeprecateType),
        "show-type" => ShowType(ShowType),
        "types" => Types(ListTypes),
        "put-supplier" => PutSupplier(PutSupplier),
        "suppliers" => Suppliers(ListSuppliers),
        "put-order" => PutOrder(PutOrder),
        "orders" => Orders(ListOrders),
        "expect" => Expect(ExpectDevices),
        "receive" => Receive(ReceiveDevices),
        "put-query" => PutQuery(PutQuery),
        "remove-query" => RemoveQuery(RemoveQuery),
        "queries" => Queries(ListQueries),
        "put-group" => PutGroup(PutGroup),
        "remove-group" => RemoveGroup(RemoveGroup),
        "join-group" => JoinGroup(ChangeMembers),
        "leave-group" => LeaveGroup(ChangeMembers),
        "groups" => Groups(ListGroups),
        "put-person" => PutPerson(PutPerson),
        "people" => People(ListPeople),
        "put-token" => PutToken(PutToken),
        "tokens" => Tokens(ListTokens),
        "revoke-token" => RevokeToken(RevokeToken),
        "put-password" => PutPassword(PutPassword),
        "password" => Password(ShowPassword),
        "put-four-eyes" => PutFourEyes(PutFourEyes),
        "four-eyes" => FourEyes(ShowFourEyes),
        "put-checkpoint" => PutCheckpoint(PutCheckpoint),
        "remove-checkpoint" => RemoveCheckpoint(RemoveCheckpoint),
        "checkpoints" => Checkpoints(ListCheckpoints),
        "config-show" => ConfigShow(ShowConfig),
        "config-set" => ConfigSet(SetConfig),
        "config-explain" => ConfigExplain(ExplainConfig),
        "config-list" => ConfigList(ListConfigs),
        "config-drift" => ConfigDrift(ListConfigDrift),
        "put-config-template" => PutConfigTemplate(PutConfigTemplate),
        "remove-config-template" => RemoveConfigTemplate(RemoveConfigTemplate),
        "config-templates" => ConfigTemplates(ListConfigTemplates),
        "config" => Config(GetConfig),
        "config-report" => ConfigReport(ReportConfig),
        "command-run" => CommandRun(RunCommand),
        "command-cancel" => CommandCancel(CancelCommand),
        "command-why" => CommandWhy(AskCommand),
        "command-show" => CommandShow(ShowCommand),
        "command-list" => CommandList(ListCommands),
        "command-read" => CommandRead(ReadCommandOutput),
        "job-run" => JobRun(RunJob),
        "job-cancel" => JobCancel(CancelJob),
        "job-show" => JobShow(ShowJob),
        "job-list" => JobList(ListJobs),
        "job-devices" => JobDevices(ListJobDevices),
        "command" => Command(GetCommand),
        "command-report" => CommandReport(ReportCommand),
        "command-output" => CommandOutput(PutCommandOutput),
    }
}

/// The devices that a request names, where it is about devices.
pub(crate) fn devices(request: &Request) -> Vec<&str> {
    match request {
        Request::Show(m) => vec![&m.device_id],
        Request::History(m) => vec![&m.device_id],
        Request::Why(m) => vec![&m.device_id],
        Request::Retirement(m) => vec![&m.device_id],
        Request::Transfer(m) => vec![&m.device_id],
        Request::Maintain(m) => vec![&m.device_id],
        Request::MaintainMany(m) => {
            let ids: BTreeSet<_> = m.records.iter().map(|record| record.device_id.as_str()).collect();
            ids.into_iter().collect()
        }
        Request::Maintenance(m) => vec![&m.device_id],
        Request::CancelTransfer(m) => vec![&m.device_id],
        Request::Change(m) => vec![&m.device_id],
        Request::Move(m) => vec![&m.device_id],
        Request::Suspend(m) | Request::Quarantine(m) | Request::Release(m) => vec![&m.device_id],
        Request::Retire(m) => vec![&m.device_id],
        Request::Replace(m) => vec![&m.device_id, &m.successor_id],
        Request::Attest(m) => vec![&m.device_id],
        Request::JoinGroup(m) | Request::LeaveGroup(m) => m.device_ids.iter().map(String::as_str).collect(),
        Request::ConfigShow(m) => vec![&m.device_id],
        Request::ConfigSet(m) => vec![&m.device_id],
        Request::ConfigExplain(m) => vec![&m.device_id],
        Request::CommandRun(m) => vec![&m.device_id],
        Request::CommandWhy(m) => vec![&m.device_id],
        Request::JobRun(m) => m.device_ids.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}

/// How many devices a request is about, how much they matter, and whether they would matter less after it.
pub(crate) fn touched(view: &View<'_>, request: &Request) -> Result<Touched, Fault> {
    let mut touched = service::touched::<Registry>(view, &devices(request))?;
    let of = |id: &str| -> Result<Criticality, Fault> {
        let device = state::device_or_twin(view, id)?;
        Ok(device.map(|device| device.criticality()).unwrap_or_default())
    };
    touched.lowers = match request {
        Request::Change(m) => {
            let said = m.set.get("criticality").map(|word| wanted(word));
            let wanted = said.or((m.criticality != 0).then(|| m.criticality()));
            wanted.is_some_and(|wanted| wanted < touched.criticality)
        }
        // The successor takes the place, and with it how much that matters.
        Request::Replace(m) => of(&m.device_id)? < of(&m.successor_id)?,
        _ => false,
    };
    Ok(touched)
}

/// Whether a request only asks what would come of it.
pub(crate) fn is_trial(request: &Request) -> bool {
    match request {
        Request::Change(m) => m.dry_run,
        Request::RegisterMany(m) => m.dry_run,
        Request::MaintainMany(m) => m.dry_run,
        _ => false,
    }
}

/// A word that is none is refused later; until then it counts as the least.
fn wanted(word: &str) -> Criticality {
    let named = |value: &&Criticality| names::said(value.name()) == word;
    Criticality::ALL.iter().find(named).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use contract::{id::ServiceName, verb::VERBS};

    use super::Request;

    #[test]
    fn every_verb_of_the_table_is_read() {
        let own = VERBS.iter().filter(|verb| verb.service == ServiceName::Registry);
        let names = own
            .map(|verb| verb.name)
            .filter(|name| !contract::verb::OF_EVERY_SERVICE.contains(name));
        assert_eq!(names.collect::<Vec<_>>(), Request::VERBS);
    }
}
