//! The ends of commands.

use contract::v1::{CommandState, Device, DeviceCommand, Stage};
use service::{Fault, Outcome};

use super::{
    event,
    state::{self, Tray},
};
use crate::decide::Situation;

/// Begins the name of the wake-ups.
pub(crate) const WAKE: &str = "command/";
/// How many of a device's commands are kept when they have ended.
const KEPT: usize = 50;

/// The wake-up at a command's deadline.
pub(super) fn wake_key(command: &DeviceCommand) -> String {
    format!("{WAKE}{}/{}", command.device_id, command.number)
}

/// Ends a command; the caller writes the tray.
pub(super) fn end(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    tray: &mut Tray,
    command: &mut DeviceCommand,
    how: CommandState,
) -> Result<(), Fault> {
    command.set_state(how);
    command.ended_at_ms = s.now_ms;
    outcome.no_wake(wake_key(command));
    state::save(s, outcome, command)?;
    tray.open.retain(|number| *number != command.number);
    tray.ended.push(command.number);
    if tray.ended.len() > KEPT {
        let oldest = tray.ended.remove(0);
        if let Some(oldest) = state::at(s.view, &command.device_id, oldest)? {
            state::forget(outcome, &oldest);
        }
    }
    Ok(())
}

/// A deadline. What waits behind the command is next.
pub(crate) fn wake(s: &Situation<'_>, key: &str) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let place = key
        .split_once('/')
        .and_then(|(device, number)| Some((device, number.parse().ok()?)));
    let Some((device, number)) = place else {
        return Ok(outcome);
    };
    let Some(mut command) = state::at(s.view, device, number)? else {
        return Ok(outcome);
    };
    if state::is_final(command.state()) {
        return Ok(outcome);
    }
    if command.deadline_ms > s.now_ms {
        outcome.wake_at(wake_key(&command), command.deadline_ms);
        return Ok(outcome);
    }
    command.error = match command.state() {
        CommandState::Running => "the device did not come to an end in time",
        CommandState::Sent => "the device was given it and did not begin in time",
        _ => "the device did not ask for it in time",
    }
    .to_owned();
    let mut tray = state::tray(s.view, device)?;
    end(s, &mut outcome, &mut tray, &mut command, CommandState::TimedOut)?;
    state::put_tray(&mut outcome, device, &tray);
    if !tray.open.is_empty() {
        event::notice(&mut outcome, device);
    }
    Ok(outcome)
}

/// A device's record is written: a retired one does nothing any more.
pub(crate) fn note(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    before: Option<&Device>,
    device: &Device,
) -> Result<(), Fault> {
    let was_retired = before.is_none_or(|before| before.stage() == Stage::Retired);
    if device.stage() != Stage::Retired || was_retired {
        return Ok(());
    }
    let mut tray = state::tray(s.view, &device.device_id)?;
    if tray.open.is_empty() {
        return Ok(());
    }
    for number in tray.open.clone() {
        if let Some(mut command) = state::at(s.view, &device.device_id, number)? {
            command.error = "the device is retired".to_owned();
            end(s, outcome, &mut tray, &mut command, CommandState::Cancelled)?;
        }
    }
    state::put_tray(outcome, &device.device_id, &tray);
    Ok(())
}
