//! The records and their keys; ids in keys are folded.
//!
//! | key | record |
//! |---|---|
//! | `kd{device} NUL {number, 16 hex digits}` | [`DeviceCommand`] |
//! | `ki{command} NUL {device}` | [`Place`] |
//! | `ko{device} NUL {number, 16 hex digits}{offset, 8 hex digits}` | a piece of its output |
//! | `kt{device}` | [`Tray`] |

use contract::{
    Refusal,
    limits::{COMMAND_PIECE_BYTES, COMMAND_WHOLE_BYTES},
    v1::{CommandState, DeviceCommand},
};
use prost::Message;
use service::{Fault, Outcome, Sight, View, store::StoreError};

use super::{event, job};
use crate::{
    decide::Situation,
    policy,
    state::{fold, in_sight},
};

/// All commands.
pub(super) const ALL: &str = "kd";

/// Devices that have a command of one id, of which are looked at where none is named.
const NAMESAKES: usize = 100;

/// Where a command lies.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Place {
    #[prost(string, tag = "1")]
    pub(super) device_id: String,
    #[prost(uint64, tag = "2")]
    pub(super) number: u64,
}

/// A device's commands by number, and what it can do.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Tray {
    /// The newest.
    #[prost(uint64, tag = "1")]
    pub(super) last: u64,
    /// Those that have not ended, the oldest first.
    #[prost(uint64, repeated, tag = "2")]
    pub(super) open: Vec<u64>,
    /// Those that ended and are kept, in the order in which they did.
    #[prost(uint64, repeated, tag = "3")]
    pub(super) ended: Vec<u64>,
    /// What the device can do; empty: it has not said.
    #[prost(string, repeated, tag = "4")]
    pub(super) can: Vec<String>,
}

/// All commands of a device.
pub(super) fn of(device: &str) -> String {
    format!("{ALL}{}\0", fold(device))
}

fn command_key(device: &str, number: u64) -> String {
    format!("{}{number:016x}", of(device))
}

/// The devices that have a command of this id.
fn places(id: &str) -> String {
    format!("ki{}\0", fold(id))
}

fn place_key(id: &str, device: &str) -> String {
    format!("{}{}", places(id), fold(device))
}

fn tray_key(device: &str) -> String {
    format!("kt{}", fold(device))
}

pub(super) fn tray(view: &View<'_>, device: &str) -> Result<Tray, StoreError> {
    Ok(view.load(tray_key(device))?.unwrap_or_default())
}

pub(super) fn put_tray(outcome: &mut Outcome, device: &str, tray: &Tray) {
    outcome.put(tray_key(device), tray);
}

pub(super) fn at(view: &View<'_>, device: &str, number: u64) -> Result<Option<DeviceCommand>, StoreError> {
    view.load(command_key(device, number))
}

/// A device's command of this id or of its twin: ids are devices' own.
pub(super) fn present(view: &View<'_>, device: &str, id: &str) -> Result<Option<DeviceCommand>, StoreError> {
    match view.load::<Place>(place_key(id, device))? {
        Some(place) => at(view, &place.device_id, place.number),
        None => Ok(None),
    }
}

/// A device's command of exactly this id.
pub(super) fn find(view: &View<'_>, device: &str, id: &str) -> Result<DeviceCommand, Fault> {
    let id = policy::id("command_id", id)?;
    let found = present(view, device, id.as_str())?.filter(|found| found.command_id == id.as_str());
    Ok(found.ok_or_else(|| absent(id.as_str()))?)
}

/// The command of exactly this id: of the device that is named, or of the only one in sight that has it.
pub(super) fn seen(view: &View<'_>, sight: &Sight, device: &str, id: &str) -> Result<DeviceCommand, Fault> {
    if !device.is_empty() {
        let device = policy::id("device_id", device)?;
        if !in_sight(view, sight, device.as_str())? {
            return Err(absent(id).into());
        }
        return find(view, device.as_str(), id);
    }
    let id = policy::id("command_id", id)?;
    let mut found = Vec::new();
    for (_, place) in view.list::<Place>(places(id.as_str()), None, NAMESAKES)? {
        if in_sight(view, sight, &place.device_id)? {
            found.extend(at(view, &place.device_id, place.number)?);
        }
    }
    found.retain(|command| command.command_id == id.as_str());
    if found.len() > 1 {
        let message = format!("several devices have a command `{id}`; say which");
        let devices = found.iter().map(|command| command.device_id.clone());
        let refusal = Refusal::invalid("device_id", message).allowing(devices.take(10));
        return Err(refusal.into());
    }
    Ok(found.pop().ok_or_else(|| absent(id.as_str()))?)
}

fn absent(id: &str) -> Refusal {
    Refusal::not_found("command", id).at("command_id")
}

/// A piece of a command's output.
pub(super) fn piece_key(command: &DeviceCommand, offset: usize) -> String {
    let (device, number) = (fold(&command.device_id), command.number);
    format!("ko{device}\0{number:016x}{offset:08x}")
}

/// Where the pieces begin that have arrived.
pub(super) fn pieces(command: &DeviceCommand) -> impl Iterator<Item = usize> + use<> {
    let arrived = usize::try_from(command.whole_arrived).unwrap_or(COMMAND_WHOLE_BYTES);
    (0..arrived.min(COMMAND_WHOLE_BYTES)).step_by(COMMAND_PIECE_BYTES)
}

/// Writes a command of which nothing is to be told.
pub(super) fn put(outcome: &mut Outcome, command: &DeviceCommand) {
    outcome.put(command_key(&command.device_id, command.number), command);
}

/// Writes a command's next version, tells of it, and counts it where it is part of a job.
pub(super) fn save(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    command: &mut DeviceCommand,
) -> Result<(), Fault> {
    command.version = command.version.saturating_add(1);
    if command.version == 1 {
        let place = Place {
            device_id: command.device_id.clone(),
            number: command.number,
        };
        outcome.put(place_key(&command.command_id, &command.device_id), &place);
    }
    put(outcome, command);
    event::changed(outcome, command);
    job::follow(s, outcome, command)
}

pub(super) fn forget(outcome: &mut Outcome, command: &DeviceCommand) {
    for offset in pieces(command) {
        outcome.delete(piece_key(command, offset));
    }
    outcome.delete(place_key(&command.command_id, &command.device_id));
    outcome.delete(command_key(&command.device_id, command.number));
}

pub(super) fn is_final(state: CommandState) -> bool {
    use CommandState::*;
    match state {
        Unspecified | Waiting | Queued | Sent | Running => false,
        Succeeded | Failed | Rejected | TimedOut | Cancelled => true,
    }
}
