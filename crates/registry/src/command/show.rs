//! The queries.

use contract::v1::{CommandShown, CommandState, CommandsListed, DeviceCommand, ListCommands, ShowCommand};
use service::{Fault, Sight, View, page};

use super::state;
use crate::{choice, state as records};

pub(crate) fn show(view: &View<'_>, sight: &Sight, m: &ShowCommand) -> Result<CommandShown, Fault> {
    // A signature that its device has not used would be good for somebody who cannot sign.
    let command = DeviceCommand {
        warrant: None,
        ..state::seen(view, sight, &m.device_id, &m.command_id)?
    };
    Ok(CommandShown {
        command: Some(command),
        ..CommandShown::default()
    })
}

/// By device, each device's in the order in which they were given.
pub(crate) fn list(view: &View<'_>, sight: &Sight, m: &ListCommands) -> Result<CommandsListed, Fault> {
    let wanted: Option<CommandState> = choice::optional("state", m.state)?;
    let prefix = match m.device_id.as_str() {
        "" => state::ALL.to_owned(),
        id => state::of(&records::device(view, "device_id", id)?.device_id),
    };
    let fits = |command: &DeviceCommand| wanted.is_none_or(|state| state == command.state());
    let page = page::list_where(view, &prefix, &m.page, m.page_size, |command| {
        Ok(fits(command) && records::in_sight(view, sight, &command.device_id)?)
    })?;
    let short = |command| DeviceCommand {
        arguments: String::new(),
        output: String::new(),
        warrant: None,
        ..command
    };
    Ok(CommandsListed {
        commands: page.rows.into_iter().map(short).collect(),
        next_page: page.next,
        ..CommandsListed::default()
    })
}
