//! `command-cancel`: takes back what the device has not begun.

use contract::{
    Code, Refusal,
    v1::{CancelCommand, Changed, CommandState},
};
use service::{Fault, Outcome, Sight};

use super::{end, event, report::said, state};
use crate::decide::Situation;

pub(crate) fn decide(s: &Situation<'_>, sight: &Sight, m: CancelCommand) -> Result<Outcome, Fault> {
    let mut command = state::seen(s.view, sight, &m.device_id, &m.command_id)?;
    let mut outcome = Outcome::default();
    match command.state() {
        CommandState::Cancelled => {}
        CommandState::Queued | CommandState::Sent => {
            let mut tray = state::tray(s.view, &command.device_id)?;
            command.error = format!("taken back by {}", s.actor);
            end::end(s, &mut outcome, &mut tray, &mut command, CommandState::Cancelled)?;
            state::put_tray(&mut outcome, &command.device_id, &tray);
            event::notice(&mut outcome, &command.device_id);
        }
        other => {
            let message = format!(
                "the command is {}; only what the device has not begun can be cancelled",
                said(other)
            );
            let refusal = Refusal {
                present_version: command.version,
                ..Refusal::new(Code::NotAllowed, message)
            };
            return Err(refusal.at("command_id").into());
        }
    }
    outcome.answer(Changed {
        id: command.command_id,
        version: command.version,
        ..Changed::default()
    });
    Ok(outcome)
}
