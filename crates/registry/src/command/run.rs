//! `command-run`: a device is to do something.

use contract::{
    Code, Refusal,
    document::{self, Form},
    v1::{Changed, CommandState, Device, DeviceCommand, RunCommand, Stage},
};
use service::{Fault, Outcome};

use super::{
    end, event,
    state::{self, Tray},
};
use crate::{decide::Situation, lifecycle, policy, state as records};

/// Most bytes of the arguments.
const ARGUMENTS_BYTES: usize = 4 * 1024;
/// Commands of one device that have not ended.
const OPEN_MAX: usize = 16;
/// The time that a command has where nobody says.
const WITHIN_MS: u64 = 3_600_000;
/// The longest time: 30 days.
const WITHIN_MAX_MS: u64 = 30 * 24 * 3_600_000;

pub(crate) fn decide(s: &Situation<'_>, m: RunCommand) -> Result<Outcome, Fault> {
    let mut command = read(s, m)?;
    let device = records::device(s.view, "device_id", &command.device_id)?;
    let mut outcome = Outcome::default();
    if let Some(present) = state::present(s.view, &command.command_id)? {
        same(&present, &command)?;
        command = present;
    } else {
        let mut tray = state::tray(s.view, &device.device_id)?;
        may(&device, &tray, &command.name)?;
        tray.last += 1;
        tray.open.push(tray.last);
        command.number = tray.last;
        state::put_tray(&mut outcome, &device.device_id, &tray);
        state::save(&mut outcome, &mut command);
        outcome.wake_at(end::wake_key(&command), command.deadline_ms);
        event::notice(&mut outcome, &device.device_id);
    }
    outcome.answer(Changed {
        id: command.command_id,
        version: command.version,
        ..Changed::default()
    });
    Ok(outcome)
}

/// The command that is asked for.
fn read(s: &Situation<'_>, m: RunCommand) -> Result<DeviceCommand, Refusal> {
    let id = match m.command_id.as_str() {
        "" => &m.request_id,
        id => id,
    };
    let command_id = policy::id("command_id", id)?.to_string();
    let name = policy::id("name", &m.name)?.to_string();
    let arguments = document::parse("arguments", &m.arguments, Form::Document, ARGUMENTS_BYTES)?;
    if m.within_ms > WITHIN_MAX_MS {
        let message = format!("a command has 30 days at most ({WITHIN_MAX_MS} ms)");
        return Err(Refusal::invalid("within_ms", message));
    }
    let within_ms = if m.within_ms == 0 { WITHIN_MS } else { m.within_ms };
    Ok(DeviceCommand {
        command_id,
        device_id: m.device_id,
        name,
        arguments: document::to_text(&arguments),
        state: CommandState::Queued.into(),
        created_at_ms: s.now_ms,
        created_by: s.actor.clone(),
        deadline_ms: s
            .now_ms
            .saturating_add(i64::try_from(within_ms).unwrap_or(i64::MAX)),
        ..DeviceCommand::default()
    })
}

/// The same once more changes nothing; another one needs another name.
fn same(present: &DeviceCommand, wanted: &DeviceCommand) -> Result<(), Refusal> {
    let what = |c: &DeviceCommand| {
        let within_ms = c.deadline_ms - c.created_at_ms;
        let texts = [&c.command_id, &c.device_id, &c.name, &c.arguments];
        (texts.map(String::clone), within_ms)
    };
    if what(present) == what(wanted) {
        return Ok(());
    }
    let message = format!("there is another command `{}` already", present.command_id);
    Err(Refusal::new(Code::Exists, message).at("command_id"))
}

fn may(device: &Device, tray: &Tray, name: &str) -> Result<(), Refusal> {
    if matches!(device.stage(), Stage::Planned | Stage::Retiring | Stage::Retired) {
        return Err(lifecycle::refusal(device, "it takes no commands"));
    }
    if !tray.can.is_empty() && !tray.can.iter().any(|can| can == name) {
        let message = format!("the device says that it cannot do `{name}`");
        let refusal = Refusal::new(Code::Precondition, message).at("name");
        return Err(refusal.allowing(tray.can.clone()));
    }
    if tray.open.len() >= OPEN_MAX {
        let message = format!("{OPEN_MAX} commands wait for this device; cancel some, or let it do them");
        return Err(Refusal::new(Code::Limit, message).at("device_id"));
    }
    Ok(())
}
