//! The verb table: every topic under `up/` and `down/` and every event that exists.
//!
//! Authorisation, routing, the command line's reference and `docs/topics.md` come from here. A
//! verb that is not in the table does not exist.

use crate::{filter::Filter, id::Kind, id::ServiceName, limits, role, v1::Role};

/// Who may use a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Any device.
    Device,
    /// A device that has no identity yet.
    Claim,
    /// An operator with one of these roles.
    Operator(&'static [Role]),
    /// Any integrator that is not disabled.
    Integrator,
    /// One service, or the front door.
    Service(ServiceName),
    /// Any service, and the front door.
    AnyService,
}

/// How a service works on a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Reads only: answered on the read threads.
    Query,
    /// Changes state: decided, committed, then answered.
    Command,
    /// Writes to the file store only (firmware blocks): repeating it is harmless.
    Transfer,
}

/// What an acknowledgement means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// On disk, or finally rejected.
    Durable,
    /// Received; the newest is kept within a bound.
    Receipt,
    /// Handed to the sessions that are granted it; nothing is kept for whoever has none.
    Delivery,
}

/// Whether the same request may come twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Harmless: no request id is needed and no answer is kept.
    Harmless,
    /// A request id is demanded, and a repeat gets the first answer again.
    Answered,
}

/// Whether what is asked gets an entry in the service's audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audit {
    /// When it changes something, or is refused for want of a right.
    Recorded,
    /// Never: it reads, or is what devices and services say all the time.
    Unrecorded,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verb {
    /// The service that answers.
    pub service: ServiceName,
    /// The word in the topic.
    pub name: &'static str,
    /// Who may.
    pub who: &'static [Who],
    /// How it is worked on.
    pub class: Class,
    /// What its PUBACK means.
    pub promise: Promise,
    /// Whether it may come twice.
    pub repeat: Repeat,
    /// The request message in `muster.v1`, or [`ANYTHING`].
    pub request: &'static str,
    /// The reply message in `muster.v1`, or [`NOTHING`].
    pub reply: &'static str,
    /// Largest payload, bytes.
    pub max_bytes: usize,
    /// Open to a quarantined device.
    pub repair: bool,
    /// Whether the audit log tells of it.
    pub audit: Audit,
    /// What it does.
    pub summary: &'static str,
}

/// A message that a service sends without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Push {
    /// Who sends it.
    pub service: ServiceName,
    /// The word in the topic.
    pub name: &'static str,
    /// To whom.
    pub to: Kind,
    /// The message in `muster.v1`.
    pub message: &'static str,
    /// The newest is kept for whoever subscribes, until its service sends one without a payload.
    pub retained: bool,
    /// What it says.
    pub summary: &'static str,
}

/// An event that a service publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventKind {
    /// Who publishes it.
    pub service: ServiceName,
    /// What sort of thing it is about.
    pub subject: &'static str,
    /// The word in the topic and in the CloudEvent's type.
    pub name: &'static str,
    /// When.
    pub summary: &'static str,
}

/// The request of a verb whose payload Muster does not read.
pub const ANYTHING: &str = "any bytes";
/// The reply of a verb that has none but its acknowledgement.
pub const NOTHING: &str = "nothing";
/// The front door's verb for a device's own stream.
pub const DATA: &str = "data";

const VIEWER: Who = Who::Operator(role::ANYBODY);
const OPERATOR: Who = Who::Operator(role::DEVICES);
const SAFETY: Who = Who::Operator(role::SAFETY);
const RELEASE: Who = Who::Operator(role::FIRMWARE);
const SECURITY: Who = Who::Operator(role::SECURITY);
const ADMIN: Who = Who::Operator(role::PEOPLE);
const FRONT_DOOR: Who = Who::Service(ServiceName::FrontDoor);
const REGISTRY: Who = Who::Service(ServiceName::Registry);
const ROLLOUT: Who = Who::Service(ServiceName::Rollout);
const MONITOR: Who = Who::Service(ServiceName::Monitoring);

const SMALL: usize = 8 * 1024;
const MEDIUM: usize = 64 * 1024;
const LARGE: usize = limits::PAYLOAD_BYTES;

struct Row(
    &'static str,
    &'static [Who],
    &'static str,
    &'static str,
    usize,
    &'static str,
);

const fn verb(service: ServiceName, class: Class, repeat: Repeat, row: Row) -> Verb {
    let Row(name, who, request, reply, max_bytes, summary) = row;
    let promise = Promise::Durable;
    Verb {
        service,
        name,
        who,
        class,
        promise,
        repeat,
        request,
        reply,
        max_bytes,
        repair: false,
        audit: Audit::Unrecorded,
        summary,
    }
}

const fn command(service: ServiceName, row: Row) -> Verb {
    recorded(verb(service, Class::Command, Repeat::Answered, row))
}

const fn recorded(verb: Verb) -> Verb {
    Verb {
        audit: Audit::Recorded,
        ..verb
    }
}

const fn unrecorded(verb: Verb) -> Verb {
    Verb {
        audit: Audit::Unrecorded,
        ..verb
    }
}

const fn harmless(service: ServiceName, row: Row) -> Verb {
    verb(service, Class::Command, Repeat::Harmless, row)
}

const fn query(service: ServiceName, row: Row) -> Verb {
    verb(service, Class::Query, Repeat::Harmless, row)
}

const fn repair(verb: Verb) -> Verb {
    Verb { repair: true, ..verb }
}

const fn receipt(verb: Verb) -> Verb {
    Verb {
        promise: Promise::Receipt,
        ..verb
    }
}

const fn delivery(verb: Verb) -> Verb {
    Verb {
        promise: Promise::Delivery,
        ..verb
    }
}

const fn transfer(verb: Verb) -> Verb {
    Verb {
        class: Class::Transfer,
        ..verb
    }
}

const fn replay(service: ServiceName) -> Verb {
    query(
        service,
        Row(
            "replay",
            &[VIEWER, Who::Integrator, Who::AnyService],
            "Replay",
            "ReplayMarker",
            SMALL,
            "Sends the events after a number again, as far as the caller may see them.",
        ),
    )
}

const fn facts(service: ServiceName) -> Verb {
    query(
        service,
        Row(
            "facts",
            &[Who::AnyService],
            "FactsAfter",
            "FactsPage",
            SMALL,
            "Pages of facts after a number.",
        ),
    )
}

const fn audit(service: ServiceName) -> Verb {
    query(
        service,
        Row(
            "audit",
            &[SECURITY],
            "ReadAudit",
            "AuditRead",
            SMALL,
            "Who asked this service for which changes, in pages.",
        ),
    )
}

const fn approvals(service: ServiceName) -> Verb {
    query(
        service,
        Row(
            "approvals",
            &[VIEWER],
            "ListApprovals",
            "ApprovalsListed",
            SMALL,
            "Requests that wait for another person: one's own, and those that one could approve.",
        ),
    )
}

const fn approve(service: ServiceName) -> Verb {
    command(
        service,
        Row(
            "approve",
            &[VIEWER],
            "DecideApproval",
            "ApprovalDecided",
            SMALL,
            "Has a waiting request decided, for whoever may use its verb and did not ask for it.",
        ),
    )
}

const fn disapprove(service: ServiceName) -> Verb {
    command(
        service,
        Row(
            "disapprove",
            &[VIEWER],
            "DecideApproval",
            "ApprovalDecided",
            SMALL,
            "Refuses a waiting request, or takes one's own back.",
        ),
    )
}

/// The verbs that every service answers in the same way.
pub const OF_EVERY_SERVICE: [&str; 6] = ["replay", "facts", "audit", "approvals", "approve", "disapprove"];

use ServiceName::{FrontDoor, Monitoring, Provisioning, Registry, Rollout};

/// Every verb, by service and in the order of the documentation.
#[rustfmt::skip]
pub const VERBS: &[Verb] = &[
    // registry
    command(Registry, Row("register", &[OPERATOR], "RegisterDevice", "Changed", MEDIUM, "Registers one device.")),
    command(Registry, Row("register-many", &[OPERATOR], "RegisterDevices", "RegisteredDevices", LARGE, "Registers up to 500 devices, or says what would come of it; answers for each.")),
    query(Registry, Row("show", &[VIEWER], "ShowDevice", "DeviceShown", SMALL, "One device.")),
    query(Registry, Row("list", &[VIEWER], "ListDevices", "DevicesListed", SMALL, "Devices by a query, or by stage, group, model and more, in pages.")),
    query(Registry, Row("count", &[VIEWER], "CountDevices", "DevicesCounted", SMALL, "How many devices fit a query, by a field's value, and what their numbers come to.")),
    query(Registry, Row("history", &[VIEWER], "ShowHistory", "HistoryShown", SMALL, "What happened to a device, and on what grounds.")),
    query(Registry, Row("why", &[VIEWER], "AskWhy", "Why", SMALL, "The way to a stage, and what stands in it.")),
    query(Registry, Row("retirement", &[VIEWER], "ShowRetirement", "RetirementShown", SMALL, "The signed record of a device's end, or what it waits for.")),
    command(Registry, Row("change", &[OPERATOR], "ChangeDevice", "Changed", MEDIUM, "Changes what operators write down about a device.")),
    command(Registry, Row("move", &[OPERATOR], "MoveDevice", "Changed", SMALL, "Moves a device to another stage of its life.")),
    command(Registry, Row("suspend", &[SAFETY, MONITOR], "RestrictDevice", "Changed", SMALL, "Shuts a device out until it is released.")),
    command(Registry, Row("quarantine", &[SAFETY, MONITOR], "RestrictDevice", "Changed", SMALL, "Leaves a device only the verbs that repair it.")),
    command(Registry, Row("release", &[SAFETY], "RestrictDevice", "Changed", SMALL, "Lifts a suspension or a quarantine.")),
    command(Registry, Row("retire", &[OPERATOR], "RetireDevice", "Changed", SMALL, "Orders a device to erase its keys, and ends its life.")),
    command(Registry, Row("transfer", &[OPERATOR], "OfferTransfer", "Changed", SMALL, "Offers a device to another owner, who accepts it with a secret.")),
    command(Registry, Row("accept-transfer", &[OPERATOR], "AcceptTransfer", "Changed", SMALL, "Makes an offered device its next owner's, for whoever has the secret.")),
    command(Registry, Row("cancel-transfer", &[OPERATOR], "CancelTransfer", "Changed", SMALL, "Takes the offer of a device back.")),
    query(Registry, Row("transfers", &[VIEWER], "ListTransfers", "TransfersListed", SMALL, "The last offer of each device to another owner, and what became of it.")),
    command(Registry, Row("maintain", &[OPERATOR], "RecordMaintenance", "Changed", SMALL, "Writes down what was done to a device, and when it is due again.")),
    command(Registry, Row("maintain-many", &[OPERATOR], "MaintainMany", "ManyMaintained", LARGE, "Writes down up to 500 records that come from elsewhere, or says what would come of it; answers for each.")),
    query(Registry, Row("maintenance", &[VIEWER], "ListMaintenance", "MaintenanceListed", SMALL, "What was done to a device, in pages.")),
    command(Registry, Row("replace", &[OPERATOR], "ReplaceDevice", "Changed", SMALL, "Gives a device's place to its successor.")),
    command(Registry, Row("readmit", &[ADMIN], "ReadmitDevice", "Changed", SMALL, "Takes a retired device back, as registered.")),
    command(Registry, Row("attest", &[OPERATOR, Who::AnyService], "Attest", "Changed", SMALL, "Says that a device passed an acceptance check, or did not.")),
    command(Registry, Row("tested", &[ROLLOUT], "Tested", "Changed", SMALL, "What a rollout came to on a device that waits to be accepted.")),
    unrecorded(command(Registry, Row("annotate", &[Who::AnyService], "Annotate", "Changed", MEDIUM, "Writes a service's own attributes of a device."))),
    repair(harmless(Registry, Row("report", &[Who::Device], "Report", "Changed", MEDIUM, "A device says what it is: model, firmware, hardware, components, location."))),
    repair(query(Registry, Row("standing", &[Who::Device], "GetStanding", "Standing", SMALL, "A device asks for its stage, its restriction, and whether it is to retire."))),
    recorded(repair(harmless(Registry, Row("erased", &[Who::Device], "Erased", "Done", SMALL, "A retiring device's receipt, sent before its key goes.")))),
    command(Registry, Row("put-type", &[OPERATOR], "PutType", "Changed", MEDIUM, "Makes or changes a type of device.")),
    command(Registry, Row("deprecate-type", &[OPERATOR], "DeprecateType", "Changed", SMALL, "Lets no further device be of a type, or lets them again.")),
    query(Registry, Row("show-type", &[VIEWER], "ShowType", "TypeShown", SMALL, "One type of device.")),
    query(Registry, Row("types", &[VIEWER], "ListTypes", "TypesListed", SMALL, "All types of devices.")),
    command(Registry, Row("put-supplier", &[OPERATOR], "PutSupplier", "Changed", SMALL, "Makes or changes a supplier, or vets one.")),
    query(Registry, Row("suppliers", &[VIEWER], "ListSuppliers", "SuppliersListed", SMALL, "All suppliers.")),
    command(Registry, Row("put-order", &[OPERATOR], "PutOrder", "Changed", SMALL, "Makes, changes or closes an order.")),
    query(Registry, Row("orders", &[VIEWER], "ListOrders", "OrdersListed", SMALL, "All orders.")),
    command(Registry, Row("expect", &[OPERATOR], "ExpectDevices", "RegisteredDevices", LARGE, "Names up to 500 devices that an order will bring; they are planned.")),
    command(Registry, Row("receive", &[OPERATOR], "ReceiveDevices", "DevicesReceived", MEDIUM, "Up to 500 devices of an order have arrived; answers for each.")),
    command(Registry, Row("put-query", &[OPERATOR], "PutQuery", "Changed", SMALL, "Gives a query a name.")),
    command(Registry, Row("remove-query", &[OPERATOR], "RemoveQuery", "Done", SMALL, "Takes a query's name away.")),
    query(Registry, Row("queries", &[VIEWER], "ListQueries", "QueriesListed", SMALL, "All queries that have a name.")),
    command(Registry, Row("put-group", &[OPERATOR], "PutGroup", "Changed", MEDIUM, "Makes a group or changes its description, its query, its place or what its devices may be told to do.")),
    command(Registry, Row("remove-group", &[OPERATOR], "RemoveGroup", "Done", SMALL, "Removes a group; its members stay.")),
    command(Registry, Row("join-group", &[OPERATOR], "ChangeMembers", "MembersChanged", MEDIUM, "Adds devices to a group.")),
    command(Registry, Row("leave-group", &[OPERATOR], "ChangeMembers", "MembersChanged", MEDIUM, "Takes devices out of a group.")),
    query(Registry, Row("groups", &[VIEWER], "ListGroups", "GroupsListed", SMALL, "All groups.")),
    command(Registry, Row("put-person", &[ADMIN], "PutPerson", "Changed", SMALL, "Makes or changes an operator or an integrator and their grants.")),
    query(Registry, Row("people", &[VIEWER], "ListPeople", "PeopleListed", SMALL, "Operators and integrators.")),
    command(Registry, Row("put-token", &[ADMIN], "PutToken", "TokenMade", SMALL, "Lets an operator or an integrator log in with a token, for a time.")),
    query(Registry, Row("tokens", &[VIEWER], "ListTokens", "TokensListed", SMALL, "The tokens of one person, without what opens.")),
    command(Registry, Row("revoke-token", &[SECURITY], "RevokeToken", "TokensRevoked", SMALL, "Takes tokens of one person back, and ends the sessions over them.")),
    command(Registry, Row("put-password", &[ADMIN], "PutPassword", "Changed", SMALL, "Gives an operator or an integrator another password to log in with, or none.")),
    query(Registry, Row("password", &[FRONT_DOOR], "ShowPassword", "PasswordShown", SMALL, "What a password is compared with at a login.")),
    command(Registry, Row("put-four-eyes", &[SECURITY], "PutFourEyes", "Changed", SMALL, "Says which requests another person must approve.")),
    query(Registry, Row("four-eyes", &[VIEWER], "ShowFourEyes", "FourEyesShown", SMALL, "Which requests another person must approve.")),
    harmless(Registry, Row("put-checkpoint", &[VIEWER, Who::Integrator], "PutCheckpoint", "Changed", SMALL, "Says how far the caller has dealt with services' events, under a name of its own.")),
    command(Registry, Row("remove-checkpoint", &[VIEWER, Who::Integrator], "RemoveCheckpoint", "Done", SMALL, "Forgets how far a consumer of events was.")),
    query(Registry, Row("checkpoints", &[VIEWER, Who::Integrator], "ListCheckpoints", "CheckpointsListed", SMALL, "How far the caller's consumers of events are.")),
    query(Registry, Row("config-show", &[VIEWER], "ShowConfig", "ConfigShown", SMALL, "What a device is to have as its configuration, and what it says it has.")),
    command(Registry, Row("config-set", &[OPERATOR], "SetConfig", "Changed", MEDIUM, "Changes what is set for one device.")),
    query(Registry, Row("config-explain", &[VIEWER], "ExplainConfig", "ConfigExplained", SMALL, "Where each setting of a device comes from.")),
    query(Registry, Row("config-list", &[VIEWER], "ListConfigs", "ConfigsListed", SMALL, "Devices for which something is set alone, and what.")),
    query(Registry, Row("config-drift", &[VIEWER], "ListConfigDrift", "ConfigDriftListed", SMALL, "Devices that do not have the configuration that they are to have.")),
    command(Registry, Row("put-config-template", &[OPERATOR], "PutConfigTemplate", "Changed", MEDIUM, "Makes or changes the settings of a type or a group.")),
    command(Registry, Row("remove-config-template", &[OPERATOR], "RemoveConfigTemplate", "Done", SMALL, "Takes the settings of a type or a group away.")),
    query(Registry, Row("config-templates", &[VIEWER], "ListConfigTemplates", "ConfigTemplatesListed", SMALL, "The settings of types and groups.")),
    repair(query(Registry, Row("config", &[Who::Device], "GetConfig", "ConfigState", SMALL, "A device asks for its configuration."))),
    repair(harmless(Registry, Row("config-report", &[Who::Device], "ReportConfig", "Done", MEDIUM, "A device says which configuration it has applied, or why not."))),
    command(Registry, Row("command-run", &[OPERATOR], "RunCommand", "Changed", MEDIUM, "A device is to do something, once at most.")),
    command(Registry, Row("command-cancel", &[OPERATOR], "CancelCommand", "Changed", SMALL, "Takes a command back that its device has not begun.")),
    query(Registry, Row("command-why", &[VIEWER], "AskCommand", "CommandWhy", SMALL, "What operators may order a device to do, and which rule says so.")),
    query(Registry, Row("command-show", &[VIEWER], "ShowCommand", "CommandShown", SMALL, "One command, and what came of it.")),
    query(Registry, Row("command-list", &[VIEWER], "ListCommands", "CommandsListed", SMALL, "Commands by device and state, in pages.")),
    query(Registry, Row("command-read", &[VIEWER], "ReadCommandOutput", "CommandOutputRead", SMALL, "A piece of a command's long output.")),
    command(Registry, Row("job-run", &[OPERATOR], "RunJob", "Changed", MEDIUM, "The members of a group, or up to 500 devices, are to do something, each once at most and so many at once.")),
    command(Registry, Row("job-cancel", &[OPERATOR], "CancelJob", "Changed", SMALL, "Lets no further device of a job begin.")),
    query(Registry, Row("job-show", &[VIEWER], "ShowJob", "JobShown", SMALL, "One job, its devices counted by state.")),
    query(Registry, Row("job-list", &[VIEWER], "ListJobs", "JobsListed", SMALL, "Jobs by state, in pages.")),
    query(Registry, Row("job-devices", &[VIEWER], "ListJobDevices", "JobDevicesListed", SMALL, "What became of a job on each device, in pages.")),
    repair(harmless(Registry, Row("command", &[Who::Device], "GetCommand", "CommandOrder", SMALL, "A device says what it can do, and asks what it is to do next."))),
    repair(harmless(Registry, Row("command-report", &[Who::Device], "ReportCommand", "Done", MEDIUM, "A device says how far a command is."))),
    repair(harmless(Registry, Row("command-output", &[Who::Device], "PutCommandOutput", "CommandOutputTaken", MEDIUM, "A device sends a piece of a command's long output."))),
    replay(Registry),
    facts(Registry),
    audit(Registry),
    approvals(Registry),
    approve(Registry),
    disapprove(Registry),
    // provisioning
    command(Provisioning, Row("sign", &[Who::Claim], "Sign", "Signed", MEDIUM, "A claim asks for a device's first certificate.")),
    repair(command(Provisioning, Row("renew", &[Who::Device], "Sign", "Signed", MEDIUM, "A device asks for its next certificate."))),
    command(Provisioning, Row("record", &[], "RecordCertificate", "Done", MEDIUM, "Nobody on the bus: the installation's set-up tells of the certificates that it issued.")),
    command(Provisioning, Row("take-revocations", &[], "TakeRevocations", "Done", MEDIUM, "Nobody on the bus: a state brought back from a backup is told what was revoked since.")),
    command(Provisioning, Row("put-claim", &[SECURITY], "PutClaim", "ClaimMade", MEDIUM, "Makes a claim certificate for a batch of devices.")),
    query(Provisioning, Row("claims", &[VIEWER], "ListClaims", "ClaimsListed", SMALL, "All batches.")),
    command(Provisioning, Row("put-secret", &[SAFETY], "PutSecret", "Done", SMALL, "Gives a device a one-time secret for its first certificate.")),
    query(Provisioning, Row("admissions", &[VIEWER], "ListAdmissions", "AdmissionsListed", SMALL, "Devices that wait for an operator's word.")),
    command(Provisioning, Row("admit", &[SAFETY], "DecideAdmission", "Done", SMALL, "Lets a waiting device's key have its first certificate.")),
    command(Provisioning, Row("turn-away", &[SAFETY], "DecideAdmission", "Done", SMALL, "Gives a waiting device's key none.")),
    command(Provisioning, Row("answer-admission", &[SAFETY, Who::Integrator], "AnswerAdmission", "Done", SMALL, "The word of whoever a batch names about a device's key; the first one counts.")),
    query(Provisioning, Row("admission-questions", &[SAFETY, Who::Integrator], "ListAdmissions", "AdmissionsListed", SMALL, "What waits for the caller's own word.")),
    command(Provisioning, Row("put-manufacturer", &[SECURITY], "PutManufacturer", "Changed", MEDIUM, "Lets devices in by the certificates that their manufacturer gave them.")),
    query(Provisioning, Row("manufacturers", &[VIEWER], "ListManufacturers", "ManufacturersListed", SMALL, "All manufacturers whose certificates let devices in.")),
    command(Provisioning, Row("remove-manufacturer", &[SECURITY], "RemoveManufacturer", "Done", SMALL, "Lets nobody in any more by a manufacturer's certificates.")),
    command(Provisioning, Row("refuse-factory", &[SECURITY], "RefuseFactory", "FactoryRefused", SMALL, "Lets a device in no more by its factory certificate, or again.")),
    command(Provisioning, Row("issue", &[ADMIN], "Issue", "Signed", MEDIUM, "Issues a certificate for an operator or an integrator.")),
    command(Provisioning, Row("renew-server", &[SECURITY], "RenewServer", "ServerRenewed", MEDIUM, "Gives the server its next certificate before its time, or for other names.")),
    command(Provisioning, Row("revoke", &[SECURITY], "Revoke", "Revoked", SMALL, "Revokes certificates and closes their sessions; answers when they are closed.")),
    command(Provisioning, Row("revoke-many", &[SECURITY], "RevokeMany", "ManyRevoked", SMALL, "Revokes all certificates of a batch's devices or of an issuing CA; answers when their sessions are closed.")),
    command(Provisioning, Row("publish-lists", &[SECURITY], "PublishLists", "ListsPublished", SMALL, "Has the revocation lists made anew now; answers when they are published.")),
    query(Provisioning, Row("revocations", &[VIEWER], "ListRevocations", "RevocationsListed", SMALL, "Bulk revocations that are under way, and how far they are.")),
    command(Provisioning, Row("renew-many", &[SECURITY], "RenewMany", "Changed", LARGE, "Has many devices renew their certificates, so many a minute.")),
    command(Provisioning, Row("abort-renewal", &[SECURITY], "AbortRenewal", "Changed", SMALL, "Ends a mass renewal and takes back what its devices were told.")),
    query(Provisioning, Row("renewals", &[VIEWER], "ListRenewals", "RenewalsListed", SMALL, "Mass renewals, and how far they are.")),
    query(Provisioning, Row("renewing", &[VIEWER], "ListRenewing", "RenewingListed", SMALL, "What has become of a mass renewal on each device.")),
    query(Provisioning, Row("show", &[VIEWER], "ShowCertificate", "CertificateShown", SMALL, "One certificate.")),
    query(Provisioning, Row("list", &[VIEWER, REGISTRY], "ListCertificates", "CertificatesListed", SMALL, "Certificates by owner, status and expiry, in pages.")),
    repair(query(Provisioning, Row("authorities", &[VIEWER, Who::Device, Who::Claim, Who::Integrator], "GetAuthorities", "Authorities", SMALL, "The roots to trust and the newest revocation list."))),
    harmless(Provisioning, Row("used", &[FRONT_DOOR], "CertificateUsed", "Done", SMALL, "A certificate was used for the first time.")),
    harmless(Provisioning, Row("kicked", &[FRONT_DOOR], "Kicked", "Done", SMALL, "The front door's receipt for sessions it closed.")),
    replay(Provisioning),
    facts(Provisioning),
    audit(Provisioning),
    approvals(Provisioning),
    approve(Provisioning),
    disapprove(Provisioning),
    // rollout
    command(Rollout, Row("open-artifact", &[RELEASE], "OpenArtifact", "ArtifactOpened", MEDIUM, "Begins to add firmware: its signed manifest.")),
    transfer(query(Rollout, Row("put-block", &[RELEASE], "PutBlock", "Done", MEDIUM, "A block of an image that is being added."))),
    command(Rollout, Row("seal-artifact", &[RELEASE], "SealArtifact", "ArtifactSealed", SMALL, "Checks an added image against its manifest and makes it available.")),
    query(Rollout, Row("artifacts", &[VIEWER], "ListArtifacts", "ArtifactsListed", SMALL, "Firmware there is.")),
    command(Rollout, Row("recall", &[RELEASE], "RecallArtifact", "Changed", SMALL, "Aborts the rollouts of a release and lets nobody make another, or lifts that again.")),
    command(Rollout, Row("create", &[RELEASE], "CreateRollout", "Changed", MEDIUM, "Rolls firmware out to a group or to devices, in waves.")),
    query(Rollout, Row("show", &[VIEWER], "ShowRollout", "RolloutShown", SMALL, "One rollout and its waves.")),
    query(Rollout, Row("list", &[VIEWER], "ListRollouts", "RolloutsListed", SMALL, "All rollouts.")),
    query(Rollout, Row("updates", &[VIEWER], "ListUpdates", "UpdatesListed", SMALL, "What has become of a rollout on each device.")),
    command(Rollout, Row("pause", &[RELEASE], "SteerRollout", "Changed", SMALL, "Starts no further device.")),
    command(Rollout, Row("resume", &[RELEASE], "SteerRollout", "Changed", SMALL, "Goes on with a paused rollout.")),
    command(Rollout, Row("abort", &[RELEASE], "SteerRollout", "Changed", SMALL, "Ends a rollout and calls off what has not begun.")),
    repair(query(Rollout, Row("assignment", &[Who::Device], "GetAssignment", "Assignment", SMALL, "A device asks what it is to install."))),
    repair(query(Rollout, Row("block", &[Who::Device], "GetBlock", "Block", SMALL, "A device asks for a piece of its image."))),
    repair(harmless(Rollout, Row("report", &[Who::Device], "UpdateReport", "Done", SMALL, "A device says how far its update is."))),
    replay(Rollout),
    facts(Rollout),
    audit(Rollout),
    approvals(Rollout),
    approve(Rollout),
    disapprove(Rollout),
    // monitoring
    repair(receipt(harmless(Monitoring, Row("heartbeat", &[Who::Device], "Heartbeat", "Done", SMALL, "A device says that it is alive, with its metrics.")))),
    query(Monitoring, Row("show", &[VIEWER], "ShowStatus", "StatusShown", SMALL, "One device's connectivity, newest metrics and alerts.")),
    query(Monitoring, Row("list", &[VIEWER], "ListStatus", "StatusListed", SMALL, "Devices by connectivity.")),
    query(Monitoring, Row("summary", &[VIEWER], "Summarize", "Summary", SMALL, "The fleet in numbers.")),
    command(Monitoring, Row("put-rule", &[OPERATOR], "PutRule", "Changed", SMALL, "Makes or changes a rule.")),
    command(Monitoring, Row("remove-rule", &[OPERATOR], "RemoveRule", "Done", SMALL, "Removes a rule and clears its alerts.")),
    query(Monitoring, Row("rules", &[VIEWER], "ListRules", "RulesListed", SMALL, "All rules.")),
    query(Monitoring, Row("alerts", &[VIEWER], "ListAlerts", "AlertsListed", SMALL, "Open alerts, or all.")),
    query(Monitoring, Row("refused", &[VIEWER], "ShowRefused", "RefusedShown", SMALL, "The last time since they were let in that somebody was not, and why.")),
    harmless(Monitoring, Row("presence", &[FRONT_DOOR], "Presence", "Done", SMALL, "A session began or ended.")),
    harmless(Monitoring, Row("presence-snapshot", &[FRONT_DOOR], "PresenceSnapshot", "Done", LARGE, "Everybody who is connected.")),
    harmless(Monitoring, Row("security", &[FRONT_DOOR], "SecurityNotice", "Done", SMALL, "Somebody tried what they may not.")),
    replay(Monitoring),
    facts(Monitoring),
    audit(Monitoring),
    approvals(Monitoring),
    approve(Monitoring),
    disapprove(Monitoring),
    // the front door, which answers by itself
    query(FrontDoor, Row("clients", &[VIEWER], "ListClients", "ClientsListed", SMALL, "Who is connected, and whose sessions are kept without a connection, in pages.")),
    query(FrontDoor, Row("client", &[VIEWER], "ShowClient", "ClientShown", SMALL, "One principal's sessions, with what they have subscribed to.")),
    recorded(harmless(FrontDoor, Row("kick", &[SAFETY], "KickClient", "ClientKicked", SMALL, "Closes a principal's connections. Whoever may connect can come again at once."))),
    query(FrontDoor, Row("limits", &[VIEWER], "ListLimits", "LimitsListed", SMALL, "Each limit of the front door, and how often it was met since the start.")),
    delivery(harmless(FrontDoor, Row(DATA, &[Who::Device], ANYTHING, NOTHING, LARGE, "A device's own stream: to whoever subscribes to this topic and is granted it."))),
    query(FrontDoor, Row("listeners", &[VIEWER], "ListListeners", "ListenersListed", SMALL, "Where principals connect.")),
];

/// Everything that arrives under `down/` without being asked for.
#[rustfmt::skip]
pub const PUSHES: &[Push] = &[
    Push { service: Registry, name: "retire", to: Kind::Device, message: "RetireOrder", retained: false, summary: "Erase your keys, then send `erased`." },
    Push { service: Registry, name: "config", to: Kind::Device, message: "ConfigChange", retained: false, summary: "Your configuration has changed." },
    Push { service: Registry, name: "command", to: Kind::Device, message: "CommandNotice", retained: false, summary: "There is something to do, or no longer: ask with `command`." },
    Push { service: Provisioning, name: "renew", to: Kind::Device, message: "RenewOrder", retained: true, summary: "Renew your certificate before its time." },
    Push { service: Rollout, name: "assignment", to: Kind::Device, message: "Assignment", retained: true, summary: "There is something to install, or it was called off." },
    Push { service: Provisioning, name: "admission", to: Kind::Integrator, message: "WaitingDevice", retained: false, summary: "May this key of a device have its first certificate? Answer with `answer-admission`." },
    Push { service: Provisioning, name: "admission", to: Kind::Operator, message: "WaitingDevice", retained: false, summary: "The same, where a batch names an operator." },
    Push { service: ServiceName::FrontDoor, name: "publish/rejected", to: Kind::Device, message: "PublishRejected", retained: false, summary: "MQTT 3.1.1 only: a publish that may not be, and why. Any kind of principal." },
];

const fn event(
    service: ServiceName,
    subject: &'static str,
    name: &'static str,
    summary: &'static str,
) -> EventKind {
    EventKind {
        service,
        subject,
        name,
        summary,
    }
}

/// Every event.
#[rustfmt::skip]
pub const EVENTS: &[EventKind] = &[
    event(Registry, "devices", "registered", "A device is known."),
    event(Registry, "devices", "changed", "An operator changed a device's record."),
    event(Registry, "devices", "reported", "A device said something new of itself."),
    event(Registry, "devices", "moved", "A device entered another stage of its life."),
    event(Registry, "devices", "restricted", "A device was suspended, quarantined or released."),
    event(Registry, "devices", "attested", "Somebody said of a device that it passed an acceptance check, or did not."),
    event(Registry, "devices", "maintained", "Something was done to a device, and has been written down."),
    event(Registry, "devices", "replaced", "A device gave its place to its successor, or took one."),
    event(Registry, "devices", "configured", "A device is to have another configuration."),
    event(Registry, "devices", "config-reported", "A device applied its configuration, or said why not."),
    event(Registry, "devices", "commanded", "A device was given a command, or a command went a step on."),
    event(Registry, "retirements", "signed", "The record of a device's end is signed; `+` is the device."),
    event(Registry, "transfers", "offered", "A device was offered to another owner; `+` is the device."),
    event(Registry, "transfers", "accepted", "It is the other owner's."),
    event(Registry, "transfers", "refused", "Somebody tried to accept it with a wrong secret."),
    event(Registry, "transfers", "locked", "The same, once too often: the offer has ended."),
    event(Registry, "transfers", "cancelled", "The offer was taken back."),
    event(Registry, "transfers", "expired", "Nobody accepted it in time."),
    event(Registry, "jobs", "created", "Many devices are to do something."),
    event(Registry, "jobs", "progressed", "Devices of a job went a step on; told once a second at most."),
    event(Registry, "jobs", "ended", "Every device of a job has come to an end."),
    event(Registry, "templates", "changed", "The settings of a type or a group were made, changed, removed, or have reached every device's record."),
    event(Registry, "types", "changed", "A type of device was made, changed or deprecated."),
    event(Registry, "suppliers", "changed", "A supplier was made, changed or vetted."),
    event(Registry, "orders", "changed", "An order was made, changed or closed, or devices of it are expected or arrived."),
    event(Registry, "queries", "changed", "A query was given a name, changed or removed."),
    event(Registry, "groups", "changed", "A group was made, changed or removed, or its members did."),
    event(Registry, "people", "changed", "An operator's or integrator's grants changed."),
    event(Registry, "people", "token-made", "An operator or an integrator may log in with a token, for a time."),
    event(Registry, "people", "token-revoked", "Tokens of an operator or an integrator were taken back."),
    event(Registry, "people", "password-changed", "An operator or an integrator has another password, or none any more."),
    event(Registry, "settings", "changed", "What must be approved by another person was changed."),
    event(Registry, "approvals", "asked", "A request waits for another person."),
    event(Registry, "approvals", "approved", "Another person approved a request."),
    event(Registry, "approvals", "refused", "A request was refused, or taken back."),
    event(Registry, "approvals", "expired", "Nobody approved a request in time."),
    event(Registry, "audit", "head", "How far the audit log has come: the newest entry and its hash."),
    event(Provisioning, "certificates", "issued", "A certificate was issued."),
    event(Provisioning, "certificates", "activated", "A certificate was used for the first time."),
    event(Provisioning, "certificates", "announced", "The server's next key is known, for whoever pins it; `+` is `front-door`."),
    event(Provisioning, "certificates", "installed", "The server has its next certificate; those before are retired."),
    event(Provisioning, "certificates", "retired", "A certificate was superseded by the next one, or was never used."),
    event(Provisioning, "certificates", "renewed-late", "A device asked for its next certificate after its last one had ended."),
    event(Provisioning, "certificates", "revoked", "A certificate was revoked."),
    event(Provisioning, "certificates", "closed", "The sessions of a revoked certificate are closed."),
    event(Provisioning, "certificates", "forgotten", "A certificate that ended long ago was taken out of the records."),
    event(Provisioning, "certificates", "refused", "A certificate request was refused."),
    event(Provisioning, "renewals", "begun", "Many devices are to renew their certificates."),
    event(Provisioning, "renewals", "device-failed", "A device of a mass renewal gets no next certificate."),
    event(Provisioning, "renewals", "ended", "Every device of a mass renewal has come to an end, or it was aborted."),
    event(Provisioning, "authorities", "changed", "An issuing CA signs, is trusted, or is removed; or a root is trusted, is linked to from another, or is removed."),
    event(Provisioning, "claims", "made", "A batch may ask for certificates."),
    event(Provisioning, "claims", "used-up", "A batch was used as often as it may be."),
    event(Provisioning, "claims", "closed", "A batch was revoked: it opens nothing any more."),
    event(Provisioning, "secrets", "made", "A device was given a one-time secret."),
    event(Provisioning, "secrets", "used", "A device's one-time secret was the right one, and is used up."),
    event(Provisioning, "secrets", "locked", "Too many wrong ones: no secret opens the device for a quarter of an hour."),
    event(Provisioning, "lists", "published", "The revocation lists were made anew; `+` is `crl`."),
    event(Provisioning, "admissions", "asked", "A device waits for an operator's word."),
    event(Provisioning, "admissions", "admitted", "An operator let a device's key in."),
    event(Provisioning, "admissions", "turned-away", "An operator turned a device's key away."),
    event(Provisioning, "admissions", "expired", "Whoever was asked about a device's key did not answer in time."),
    event(Provisioning, "manufacturers", "changed", "A manufacturer's certificates let devices in, or do so differently."),
    event(Provisioning, "manufacturers", "removed", "A manufacturer's certificates let nobody in any more."),
    event(Provisioning, "manufacturers", "refused", "A device's factory certificate was refused by an operator, or is accepted again."),
    event(Provisioning, "manufacturers", "used", "A device asked for its first certificate with its factory certificate."),
    event(Provisioning, "approvals", "asked", "A request waits for another person."),
    event(Provisioning, "approvals", "approved", "Another person approved a request."),
    event(Provisioning, "approvals", "refused", "A request was refused, or taken back."),
    event(Provisioning, "approvals", "expired", "Nobody approved a request in time."),
    event(Provisioning, "audit", "head", "How far the audit log has come: the newest entry and its hash."),
    event(Rollout, "artifacts", "sealed", "Firmware is available."),
    event(Rollout, "artifacts", "recalled", "A release was recalled: no rollout of it begins or goes on."),
    event(Rollout, "artifacts", "reinstated", "A recall was lifted: the release may be rolled out again."),
    event(Rollout, "rollouts", "started", "A rollout began."),
    event(Rollout, "rollouts", "wave-started", "A wave of a rollout began."),
    event(Rollout, "rollouts", "paused", "A rollout was paused."),
    event(Rollout, "rollouts", "resumed", "A rollout goes on."),
    event(Rollout, "rollouts", "ended", "A rollout succeeded, failed or was aborted."),
    event(Rollout, "devices", "updating", "A device's update went a step on."),
    event(Rollout, "devices", "updated", "A device's update came to its end, good or bad."),
    event(Rollout, "approvals", "asked", "A request waits for another person."),
    event(Rollout, "approvals", "approved", "Another person approved a request."),
    event(Rollout, "approvals", "refused", "A request was refused, or taken back."),
    event(Rollout, "approvals", "expired", "Nobody approved a request in time."),
    event(Rollout, "audit", "head", "How far the audit log has come: the newest entry and its hash."),
    event(Monitoring, "devices", "online", "A device is there."),
    event(Monitoring, "devices", "offline", "A device has been away for longer than `monitoring.grace` lets it: it is no short break."),
    event(Monitoring, "devices", "taken-over", "A device's session was taken over from another address or with another certificate; the device is there."),
    event(Monitoring, "devices", "security", "A device tried what it may not, or was not let in."),
    event(Monitoring, "clients", "kicked", "An operator closed a principal's connections; `+` is `devices.pump-7`."),
    event(Monitoring, "clients", "security", "Somebody else than a known device tried what they may not, or was not let in; `+` is `operators.ada` or `claims.pump-9`."),
    event(Monitoring, "clients", "login-failed", "Somebody tried to log in as an operator or an integrator; `+` is `operators.ada`."),
    event(Monitoring, "alerts", "raised", "A rule's threshold was crossed."),
    event(Monitoring, "alerts", "cleared", "An alert is over."),
    event(Monitoring, "rules", "changed", "A rule was made, changed or removed."),
    event(Monitoring, "approvals", "asked", "A request waits for another person."),
    event(Monitoring, "approvals", "approved", "Another person approved a request."),
    event(Monitoring, "approvals", "refused", "A request was refused, or taken back."),
    event(Monitoring, "approvals", "expired", "Nobody approved a request in time."),
    event(Monitoring, "audit", "head", "How far the audit log has come: the newest entry and its hash."),
];

impl Verb {
    /// The row for a service and a word.
    pub fn find(service: ServiceName, name: &str) -> Option<&'static Verb> {
        VERBS
            .iter()
            .find(|verb| verb.service == service && verb.name == name)
    }

    /// Whether a principal of this kind could use the verb at all, whatever its role.
    pub fn open_to(&self, kind: Kind) -> bool {
        self.who.iter().any(|who| who.kind() == kind)
    }

    /// The roles of which an operator needs one; none when operators may not.
    pub fn roles(&self) -> &'static [Role] {
        let roles = self.who.iter().find_map(|who| match who {
            Who::Operator(roles) => Some(*roles),
            _ => None,
        });
        roles.unwrap_or_default()
    }

    /// Whether an operator with this role may use the verb.
    pub fn allows(&self, role: Role) -> bool {
        self.roles().contains(&role)
    }
}

impl Who {
    /// The kind of principal this speaks of.
    pub const fn kind(self) -> Kind {
        match self {
            Who::Device => Kind::Device,
            Who::Claim => Kind::Claim,
            Who::Operator(_) => Kind::Operator,
            Who::Integrator => Kind::Integrator,
            Who::Service(_) | Who::AnyService => Kind::Service,
        }
    }
}

impl Push {
    /// The row for a service, a kind of principal and a word.
    pub fn find(service: ServiceName, to: Kind, name: &str) -> Option<&'static Push> {
        PUSHES
            .iter()
            .find(|push| push.service == service && push.to == to && push.name == name)
    }
}

impl EventKind {
    /// The row for an event; a service may publish no other.
    pub fn find(service: ServiceName, subject: &str, name: &str) -> Option<&'static EventKind> {
        EVENTS
            .iter()
            .find(|e| e.service == service && e.subject == subject && e.name == name)
    }

    /// Whether any event is for a filter below `events/`: whoever follows one that none is for hears nothing for ever.
    pub fn any(filter: &Filter) -> bool {
        let topic = |e: &EventKind| format!("{}/{}/+/{}", e.service, e.subject, e.name);
        let mut topics = EVENTS
            .iter()
            .filter_map(|event| topic(event).parse::<Filter>().ok());
        topics.any(|topic| topic.meets(filter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_verb_stands_once() {
        let names: BTreeSet<_> = VERBS.iter().map(|v| (v.service, v.name)).collect();
        assert_eq!(names.len(), VERBS.len());
    }

    #[test]
    fn no_verb_is_larger_than_a_packet() {
        assert!(VERBS.iter().all(|v| v.max_bytes <= limits::PAYLOAD_BYTES));
    }

    /// The verbs of a role that are not reads open to every role.
    fn beyond_reading(role: Role) -> BTreeSet<String> {
        let verbs = VERBS.iter().filter(|v| v.allows(role) && !v.allows(Role::Viewer));
        verbs.map(|v| format!("{}/{}", v.service, v.name)).collect()
    }

    #[test]
    fn each_role_has_its_set_of_verbs() {
        assert!(beyond_reading(Role::Viewer).is_empty());
        let operator = beyond_reading(Role::Operator);
        let release = beyond_reading(Role::ReleaseManager);
        let firmware: Vec<_> = release.difference(&operator).map(String::as_str).collect();
        assert!(operator.is_subset(&release));
        assert_eq!(
            firmware,
            [
                "rollout/abort",
                "rollout/create",
                "rollout/open-artifact",
                "rollout/pause",
                "rollout/put-block",
                "rollout/recall",
                "rollout/resume",
                "rollout/seal-artifact"
            ]
        );
        let security: Vec<_> = beyond_reading(Role::SecurityOfficer).into_iter().collect();
        assert_eq!(
            security,
            [
                "front-door/kick",
                "monitoring/audit",
                "provisioning/abort-renewal",
                "provisioning/admission-questions",
                "provisioning/admit",
                "provisioning/answer-admission",
                "provisioning/audit",
                "provisioning/publish-lists",
                "provisioning/put-claim",
                "provisioning/put-manufacturer",
                "provisioning/put-secret",
                "provisioning/refuse-factory",
                "provisioning/remove-manufacturer",
                "provisioning/renew-many",
                "provisioning/renew-server",
                "provisioning/revoke",
                "provisioning/revoke-many",
                "provisioning/turn-away",
                "registry/audit",
                "registry/put-four-eyes",
                "registry/quarantine",
                "registry/release",
                "registry/revoke-token",
                "registry/suspend",
                "rollout/audit"
            ]
        );
    }

    #[test]
    fn an_admin_may_all_that_any_operator_may_and_only_he_makes_people() {
        for verb in VERBS.iter().filter(|v| v.open_to(Kind::Operator)) {
            assert!(verb.allows(Role::Admin), "{}/{}", verb.service, verb.name);
            assert!(!verb.allows(Role::Unspecified));
        }
        // Whoever issues what a person shows can be that person.
        let people = ["put-person", "put-token", "put-password"].map(|name| (Registry, name));
        for (service, name) in people.into_iter().chain([(Provisioning, "issue")]) {
            assert_eq!(Verb::find(service, name).unwrap().roles(), [Role::Admin]);
        }
    }

    #[test]
    fn claims_reach_provisioning_only() {
        let open: Vec<_> = VERBS
            .iter()
            .filter(|v| v.open_to(Kind::Claim))
            .map(|v| v.service)
            .collect();
        assert!(!open.is_empty() && open.iter().all(|s| *s == ServiceName::Provisioning));
    }
}
