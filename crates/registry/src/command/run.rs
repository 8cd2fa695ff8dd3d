//! `command-run`: a device is to do something.

use contract::{
    Code, Refusal,
    document::{self, Form},
    v1::{Changed, CommandState, Device, DeviceCommand, RunCommand, Stage},
};
use service::{Fault, Outcome, View};

use super::{
    allow::{self, Order},
    bound::Bounds,
    end, event,
    state::{self, Tray},
    warrant,
};
use crate::{decide::Situation, lifecycle, policy, state as records};

/// Most bytes of the arguments.
const ARGUMENTS_BYTES: usize = 4 * 1024;
/// Commands of one device that have not ended.
const OPEN_MAX: usize = 16;
/// The time that a command has where nobody says.
pub(super) const WITHIN_MS: u64 = 3_600_000;
/// The longest time: 30 days.
pub(super) const WITHIN_MAX_MS: u64 = 30 * 24 * 3_600_000;

pub(crate) fn decide(s: &Situation<'_>, m: RunCommand) -> Result<Outcome, Fault> {
    let said_ms = within("within_ms", m.within_ms)?;
    let mut command = read(s, m)?;
    let device = records::device(s.view, "device_id", &command.device_id)?;
    let mut outcome = Outcome::default();
    if let Some(present) = state::present(s.view, &device.device_id, &command.command_id)? {
        same(&present, &command, said_ms)?;
        command = present;
    } else {
        let mut tray = state::tray(s.view, &device.device_id)?;
        let order = Order {
            name: &command.name,
            is_signed: command.warrant.is_some(),
            who: &s.actor,
            verb: "command-run",
        };
        let bounds = may(s.view, &device, &tray, order)?;
        let within_ms = bounds.within("within_ms", said_ms)?;
        command.deadline_ms = s.now_ms.saturating_add_unsigned(within_ms);
        queue(s, &mut outcome, &mut tray, &mut command)?;
    }
    outcome.answer(Changed {
        id: command.command_id,
        version: command.version,
        ..Changed::default()
    });
    Ok(outcome)
}

/// The command that is asked for, without its deadline.
fn read(s: &Situation<'_>, m: RunCommand) -> Result<DeviceCommand, Refusal> {
    let id = match m.command_id.as_str() {
        "" => &m.request_id,
        id => id,
    };
    let command_id = policy::id("command_id", id)?.to_string();
    if let Some(signed) = &m.warrant {
        warrant::check("warrant", s.now_ms, signed)?;
    }
    Ok(DeviceCommand {
        command_id,
        device_id: m.device_id,
        name: policy::id("name", &m.name)?.to_string(),
        arguments: arguments(&m.arguments)?,
        state: CommandState::Queued.into(),
        created_at_ms: s.now_ms,
        created_by: s.actor.clone(),
        warrant: m.warrant,
        ..DeviceCommand::default()
    })
}

/// Arguments in their one form.
pub(super) fn arguments(text: &str) -> Result<String, Refusal> {
    let arguments = document::parse("arguments", text, Form::Document, ARGUMENTS_BYTES)?;
    Ok(document::to_text(&arguments))
}

/// A time that something is to have; `None`: nobody says.
pub(super) fn within(field: &str, asked_ms: u64) -> Result<Option<u64>, Refusal> {
    match asked_ms {
        0 => Ok(None),
        ms if ms <= WITHIN_MAX_MS => Ok(Some(ms)),
        _ => {
            let message = format!("30 days at most ({WITHIN_MAX_MS} ms)");
            Err(Refusal::invalid(field, message))
        }
    }
}

/// Puts a command behind those that its device has, and calls the device.
pub(super) fn queue(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    tray: &mut Tray,
    command: &mut DeviceCommand,
) -> Result<(), Fault> {
    tray.last += 1;
    tray.open.push(tray.last);
    command.number = tray.last;
    state::put_tray(outcome, &command.device_id, tray);
    state::save(s, outcome, command)?;
    outcome.wake_at(end::wake_key(command), command.deadline_ms);
    event::notice(outcome, &command.device_id);
    Ok(())
}

/// The same once more changes nothing; another one needs another name. Where no time is said, the rules may have let
/// another then than they do now.
fn same(present: &DeviceCommand, wanted: &DeviceCommand, said_ms: Option<u64>) -> Result<(), Refusal> {
    let what = |c: &DeviceCommand| {
        let texts = [&c.command_id, &c.device_id, &c.name, &c.arguments];
        (texts.map(String::clone), c.warrant.clone())
    };
    let within_ms = present.deadline_ms.abs_diff(present.created_at_ms);
    let in_time = said_ms.map_or(within_ms <= WITHIN_MS, |said_ms| said_ms == within_ms);
    if in_time && what(present) == what(wanted) {
        return Ok(());
    }
    let message = format!("the device has another command `{}` already", present.command_id);
    Err(Refusal::new(Code::Exists, message).at("command_id"))
}

/// Whether a device can be told this now, and within which bounds.
pub(super) fn may(view: &View<'_>, device: &Device, tray: &Tray, order: Order<'_>) -> Result<Bounds, Fault> {
    let name = order.name;
    if matches!(device.stage(), Stage::Planned | Stage::Retiring | Stage::Retired) {
        return Err(lifecycle::refusal(device, "it takes no commands").into());
    }
    let bounds = allow::check(view, device, order)?;
    if !tray.can.is_empty() && !tray.can.iter().any(|can| can == name) {
        let message = format!("the device says that it cannot do `{name}`");
        let refusal = Refusal::new(Code::Precondition, message).at("name");
        return Err(refusal.allowing(tray.can.clone()).into());
    }
    if tray.open.len() >= OPEN_MAX {
        let message = format!("{OPEN_MAX} commands wait for this device; cancel some, or let it do them");
        return Err(Refusal::new(Code::Limit, message).at("device_id").into());
    }
    Ok(bounds)
}
