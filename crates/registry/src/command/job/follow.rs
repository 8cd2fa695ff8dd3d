//! A device's command went a step on: so does the job that it is part of.

use contract::v1::{CommandState, DeviceCommand};
use service::{Fault, Outcome};

use super::{state, tally};
use crate::decide::Situation;

/// Counts a command's state, if it is part of a job. What waits in the job is told by its turn, not from here.
pub(in crate::command) fn follow(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    command: &DeviceCommand,
) -> Result<(), Fault> {
    if command.job_id.is_empty() || command.version == 1 {
        return Ok(());
    }
    let view = s.view.over(&outcome.changes);
    let name = state::name(&command.created_by, &command.job_id);
    let row = state::row(&view, &name, command.job_number)?;
    let fits = |row: &contract::v1::JobDevice| {
        state::belongs(command, row)
            && row.state() != command.state()
            && row.state() != CommandState::Waiting
            && !super::super::state::is_final(row.state())
    };
    let Some(mut row) = row.filter(fits) else {
        return Ok(());
    };
    let Some(mut kept) = state::present(&view, &name)? else {
        return Ok(());
    };
    kept.turn(s.now_ms, outcome, &mut row, command.state(), &command.error);
    tally::write(s, outcome, kept)
}
