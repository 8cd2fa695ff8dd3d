//! `command-report`: a device says how far a command is.

use contract::{
    Code, Refusal,
    id::Principal,
    limits::COMMAND_OUTPUT_BYTES,
    names,
    v1::{CommandState, DeviceCommand, ReportCommand},
};
use service::{Fault, Outcome};

use super::{end, state};
use crate::{
    choice::{self, Choice},
    decide::Situation,
    policy,
};

pub(crate) fn decide(s: &Situation<'_>, caller: &Principal, m: ReportCommand) -> Result<Outcome, Fault> {
    let told = read(&m)?;
    let command = state::find(s.view, caller.id.as_str(), &m.command_id)?;
    if state::is_final(command.state()) {
        return after_the_end(s, command, told);
    }
    let mut outcome = Outcome::default();
    let mut next = command.clone();
    next.percent = m.percent;
    next.note = m.note;
    if next.started_at_ms == 0 && told != CommandState::Rejected {
        next.started_at_ms = s.now_ms;
    }
    if state::is_final(told) {
        next.error = m.error;
        next.output_cut = m.output_cut || m.output.len() > COMMAND_OUTPUT_BYTES;
        next.output = cut(m.output);
        let mut tray = state::tray(s.view, &next.device_id)?;
        end::end(s, &mut outcome, &mut tray, &mut next, told)?;
        state::put_tray(&mut outcome, &next.device_id, &tray);
    } else {
        next.set_state(told);
        if next != command {
            state::save(s, &mut outcome, &mut next)?;
        }
    }
    Ok(outcome)
}

fn read(m: &ReportCommand) -> Result<CommandState, Refusal> {
    policy::texts(&[("note", &m.note), ("error", &m.error)])?;
    if m.percent > 100 {
        return Err(Refusal::invalid("percent", "a percentage is 0 to 100"));
    }
    let told: CommandState = choice::required("state", m.state)?;
    use CommandState::{Failed, Rejected, Running, Succeeded};
    let allowed = [Running, Succeeded, Failed, Rejected];
    if !allowed.contains(&told) {
        let message = format!("a device does not say that a command is {}", said(told));
        return Err(Refusal::invalid("state", message).allowing(allowed.map(Choice::name)));
    }
    Ok(told)
}

/// A device that begins now must not; one that has ended is heard, and nothing is changed by it.
fn after_the_end(s: &Situation<'_>, command: DeviceCommand, told: CommandState) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    if told == CommandState::Running {
        let message = format!("the command is {}; do not run it", said(command.state()));
        let refusal = Refusal {
            present_version: command.version,
            ..Refusal::new(Code::NotAllowed, message)
        };
        return Err(refusal.at("command_id").into());
    }
    let over = matches!(command.state(), CommandState::TimedOut | CommandState::Cancelled);
    if over && command.late() == CommandState::Unspecified {
        let mut next = command;
        next.set_late(told);
        next.note = format!(
            "the device told its end at {}",
            contract::event::rfc3339(s.now_ms)
        );
        state::save(s, &mut outcome, &mut next)?;
    }
    Ok(outcome)
}

/// As much as there is room for, in whole characters.
fn cut(mut output: String) -> String {
    output.truncate(output.floor_char_boundary(COMMAND_OUTPUT_BYTES));
    output
}

/// A state in a sentence.
pub(super) fn said(state: CommandState) -> String {
    names::said(state.name())
}
