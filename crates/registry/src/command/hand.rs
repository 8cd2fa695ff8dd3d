//! `command`: a device says what it can do, and is given what it is to do next.

use contract::{
    id::Principal,
    v1::{CommandOrder, CommandState, DeviceCommand, GetCommand},
};
use service::{Fault, Outcome};

use super::state::{self, Tray};
use crate::{decide::Situation, lifecycle, policy, state as records};

/// Commands that a device can do.
const CAN_MAX: usize = 64;

pub(crate) fn decide(s: &Situation<'_>, caller: &Principal, m: GetCommand) -> Result<Outcome, Fault> {
    policy::list("can", m.can.len(), CAN_MAX)?;
    let mut can = m.can;
    can.sort();
    can.dedup();
    for name in &can {
        policy::id("can", name)?;
    }
    let device = records::device(s.view, "", caller.id.as_str())?;
    if !lifecycle::may_report(device.stage()) {
        return Err(lifecycle::refusal(&device, "it has nothing to do").into());
    }
    let mut tray = state::tray(s.view, &device.device_id)?;
    let mut outcome = Outcome::default();
    if !can.is_empty() && can != tray.can {
        tray.can = can;
        state::put_tray(&mut outcome, &device.device_id, &tray);
    }
    let next = next(s, &device.device_id, &tray)?;
    let order = next.map(|command| give(s, &mut outcome, command)).transpose()?;
    outcome.answer(order.unwrap_or_default());
    Ok(outcome)
}

/// What the device has begun, else the oldest.
fn next(s: &Situation<'_>, device: &str, tray: &Tray) -> Result<Option<DeviceCommand>, Fault> {
    let mut oldest = None;
    for number in &tray.open {
        let Some(command) = state::at(s.view, device, *number)? else {
            continue;
        };
        if command.state() == CommandState::Running {
            return Ok(Some(command));
        }
        oldest.get_or_insert(command);
    }
    Ok(oldest)
}

fn give(s: &Situation<'_>, outcome: &mut Outcome, mut command: DeviceCommand) -> Result<CommandOrder, Fault> {
    if command.state() == CommandState::Queued {
        command.set_state(CommandState::Sent);
        command.sent_at_ms = s.now_ms;
        state::save(s, outcome, &mut command)?;
    }
    let remaining_ms = command.deadline_ms.saturating_sub(s.now_ms);
    Ok(CommandOrder {
        command_id: command.command_id,
        name: command.name,
        arguments: command.arguments,
        state: command.state,
        remaining_ms: u64::try_from(remaining_ms).unwrap_or_default(),
        order_id: command.job_id,
        warrant: command.warrant,
        ..CommandOrder::default()
    })
}
