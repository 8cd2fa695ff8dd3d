//! The only place where events, facts and orders to devices are made. Data is in the form of the
//! contract's JSON: enums by name, 64-bit numbers as strings.

use std::collections::BTreeSet;

use contract::{
    id::{Kind, Principal},
    v1::{
        CheckResult, Device, DeviceFact, Group, Login, LoginFact, LoginToken, MaintenanceRecord, Person,
        PrincipalFact, Restriction, RetireOrder, Retirement, Stage,
    },
};
use prost::Message;
use serde_json::{Map, Value, json};
use service::{FactDraft, Outcome, View, store::StoreError};

use crate::{choice::Choice, lifecycle::Cause, tree};

/// Fields of an entity that changed.
pub(crate) type Fields = Map<String, Value>;

/// A device is known. Its data is the device.
pub(crate) fn registered(outcome: &mut Outcome, device: &Device) {
    outcome.event(
        subject(device),
        "registered",
        serde_json::to_value(device).unwrap_or_default(),
    );
}

/// An operator changed a device's record; `changed` holds `{field: {from, to}}`.
pub(crate) fn changed(outcome: &mut Outcome, device: &Device, changed: Fields) {
    let data = json!({
        "device_id": device.device_id,
        "version": device.version.to_string(),
        "changed": changed,
    });
    outcome.event(subject(device), "changed", data);
}

/// A device said something new of itself; `reported` holds only what is new, with null for what is gone.
pub(crate) fn reported(outcome: &mut Outcome, device: &Device, reported: Fields) {
    let data = json!({
        "device_id": device.device_id,
        "version": device.version.to_string(),
        "reported": reported,
    });
    outcome.event(subject(device), "reported", data);
}

/// A device entered another stage.
pub(crate) fn moved(outcome: &mut Outcome, device: &Device, from: Stage, cause: Cause, erased: &[String]) {
    let mut data = json!({
        "device_id": device.device_id,
        "version": device.version.to_string(),
        "from": from.name(),
        "to": device.stage().name(),
        "cause": cause.word(),
        "reason": device.change_reason,
    });
    if cause == Cause::Receipt {
        data["erased"] = json!(erased);
    }
    outcome.event(subject(device), "moved", data);
}

/// A device was restricted or released.
pub(crate) fn restricted(outcome: &mut Outcome, device: &Device, from: Restriction, reason: &str) {
    let data = json!({
        "device_id": device.device_id,
        "version": device.version.to_string(),
        "from": from.name(),
        "to": device.restriction().name(),
        "reason": reason,
    });
    outcome.event(subject(device), "restricted", data);
}

/// What others need to know of a device; what they know already is not told again.
pub(crate) fn device_fact(outcome: &mut Outcome, view: &View<'_>, device: &Device) -> Result<(), StoreError> {
    let (names, [stage, restriction, criticality], groups) = told(device);
    let [
        device_id,
        model,
        hardware_revision,
        firmware_version,
        site,
        key_fingerprint,
        serial_number,
        device_type,
    ] = names.map(str::to_owned);
    let fact = DeviceFact {
        device_id,
        stage,
        restriction,
        criticality,
        groups: tree::with_above(view, groups)?,
        model,
        hardware_revision,
        firmware_version,
        site,
        key_fingerprint,
        serial_number,
        device_type,
    };
    outcome.fact("device", device.device_id.as_str(), &fact);
    Ok(())
}

/// What others know of a device, but for the groups that its own lie within.
pub(crate) fn told(device: &Device) -> ([&str; 8], [i32; 3], &[String]) {
    let names = [
        &device.device_id,
        &device.model,
        &device.hardware_revision,
        &device.firmware_version,
        &device.site,
        &device.key_fingerprint,
        &device.serial_number,
        &device.device_type,
    ];
    let kinds = [device.stage, device.restriction, device.criticality];
    (names.map(String::as_str), kinds, &device.groups)
}

/// Somebody said of a device that it passed a check, or did not.
pub(crate) fn attested(outcome: &mut Outcome, device: &Device, check: &str, result: &CheckResult) {
    let data = json!({
        "device_id": device.device_id,
        "version": device.version.to_string(),
        "check": check,
        "passed": result.passed,
        "note": result.note,
    });
    outcome.event(subject(device), "attested", data);
}

/// A device gave its place to another, or took it.
pub(crate) fn replaced(outcome: &mut Outcome, device: &Device, reason: &str, changed: Fields) {
    let data = json!({
        "device_id": device.device_id,
        "version": device.version.to_string(),
        "replaces": device.replaces,
        "replaced_by": device.replaced_by,
        "reason": reason,
        "changed": changed,
    });
    outcome.event(subject(device), "replaced", data);
}

/// A record of the catalogue was made or changed. Its data is the record.
pub(crate) fn catalogued(outcome: &mut Outcome, subject: String, record: &impl serde::Serialize) {
    outcome.event(
        subject,
        "changed",
        serde_json::to_value(record).unwrap_or_default(),
    );
}

/// Orders a device to erase its keys.
pub(crate) fn retire_order(outcome: &mut Outcome, device: &Device) {
    if let Ok(id) = device.device_id.parse() {
        let order = RetireOrder {
            reason: device.change_reason.clone(),
            deadline_ms: device.retire_deadline_ms,
        };
        outcome.push(Principal::new(Kind::Device, id), "retire", order);
    }
}

/// Something was done to a device.
pub(crate) fn maintained(outcome: &mut Outcome, device: &Device, record: &MaintenanceRecord) {
    let data = json!({
        "device_id": device.device_id,
        "version": device.version.to_string(),
        "record": record,
        "maintenance_due": device.maintenance_due,
    });
    outcome.event(subject(device), "maintained", data);
}

/// The record of a device's end is signed.
pub(crate) fn retirement_signed(outcome: &mut Outcome, retirement: &Retirement) {
    let key_id = retirement.signed.as_ref().map(|signed| signed.key_id.as_str());
    let data = json!({
        "device_id": retirement.device_id,
        "version": retirement.version.to_string(),
        "key_id": key_id,
    });
    let subject = format!("retirements/{}", retirement.device_id);
    outcome.event(subject, "signed", data);
}

/// What became of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroupChange {
    Made,
    Described,
    Members,
    /// All devices have been held against its query.
    Settled,
    /// It was put within another group, or taken out.
    Moved,
    /// Everybody knows of its devices that it moved.
    Arrived,
    Removed,
}

/// A group was made, changed or removed, or its members did. `within` are the groups that it lies within, for those who
/// were granted one of them.
pub(crate) fn group_changed(
    outcome: &mut Outcome,
    group: &Group,
    change: GroupChange,
    within: &[String],
    (joined, left): (&[String], &[String]),
) {
    let change = match change {
        GroupChange::Made => "made",
        GroupChange::Described => "described",
        GroupChange::Members => "members",
        GroupChange::Settled => "settled",
        GroupChange::Moved => "moved",
        GroupChange::Arrived => "arrived",
        GroupChange::Removed => "removed",
    };
    let data = json!({
        "group_id": group.group_id,
        "version": group.version.to_string(),
        "change": change,
        "description": group.description,
        "query": group.query,
        "parent": group.parent,
        "commands": group.commands,
        "signed_commands": group.signed_commands,
        "commands_within_ms": group.commands_within_ms.to_string(),
        "commands_at_once": group.commands_at_once,
        "within": within.iter().collect::<BTreeSet<_>>(),
        "members": group.members.to_string(),
        "joined": joined,
        "left": left,
    });
    outcome.event(format!("groups/{}", group.group_id), "changed", data);
}

/// A person's grants changed: the event and the fact.
pub(crate) fn person_changed(outcome: &mut Outcome, person: &Person) {
    let data = serde_json::to_value(person).unwrap_or_default();
    outcome.event(format!("people/{}.{}", person.kind, person.id), "changed", data);
    let fact = PrincipalFact {
        id: person.id.clone(),
        kind: person.kind.clone(),
        role: person.role,
        event_filters: person.event_filters.clone(),
        disabled: person.disabled,
        data_devices: person.data_devices.clone(),
        grants: person.grants.clone(),
    };
    outcome.fact("principal", format!("{}.{}", person.kind, person.id), &fact);
}

/// Somebody may log in with a token.
pub(crate) fn token_made(outcome: &mut Outcome, login: &Login, token: &LoginToken) {
    let data = json!({
        "kind": login.kind,
        "id": login.id,
        "token_id": token.token_id,
        "expires_ms": token.expires_ms.to_string(),
        "note": token.note,
    });
    outcome.event(people(login), "token-made", data);
}

/// Tokens of somebody were taken back.
pub(crate) fn token_revoked(outcome: &mut Outcome, login: &Login, token_ids: &[String]) {
    let data = json!({ "kind": login.kind, "id": login.id, "token_ids": token_ids });
    outcome.event(people(login), "token-revoked", data);
}

/// Somebody has another password, or none any more.
pub(crate) fn password_changed(outcome: &mut Outcome, login: &Login) {
    let data = json!({ "kind": login.kind, "id": login.id, "has_password": login.password.is_some() });
    outcome.event(people(login), "password-changed", data);
}

/// What the front door must know of what somebody logs in with. What is kept of a password is not: it could be guessed
/// at by whoever reads it.
pub(crate) fn login_fact(outcome: &mut Outcome, login: &Login) {
    let bare = |token: &LoginToken| LoginToken {
        token_id: token.token_id.clone(),
        sha256: token.sha256.clone(),
        expires_ms: token.expires_ms,
        ..LoginToken::default()
    };
    let fact = LoginFact {
        id: login.id.clone(),
        kind: login.kind.clone(),
        tokens: login.tokens.iter().map(bare).collect(),
        password: login.password.as_ref().map_or(0, |password| password.number),
    };
    let is_some = !fact.tokens.is_empty() || fact.password != 0;
    outcome.facts.push(FactDraft {
        entity: "login",
        id: format!("{}.{}", login.kind, login.id),
        value: is_some.then(|| fact.encode_to_vec()),
    });
}

fn people(login: &Login) -> String {
    format!("people/{}.{}", login.kind, login.id)
}

fn subject(device: &Device) -> String {
    format!("devices/{}", device.device_id)
}
