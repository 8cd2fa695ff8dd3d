//! The end: the order is kept, the receipt sent, and only then the keys go.

use super::body::Body;
use crate::{error::Error, event::Event, files::Folder, platform::Platform};

/// There once the device has been ordered to retire.
const ORDERED: &str = "retire";
/// There once the server has acknowledged the receipt.
const DONE: &str = "retired";

/// Keeps the order: it outlives a restart.
pub(crate) fn order(folder: &Folder) -> Result<(), Error> {
    folder.write(ORDERED, b"")
}

/// The order was a mistake: the server does not know of it.
pub(crate) fn withdraw(folder: &Folder) -> Result<(), Error> {
    folder.remove(ORDERED)
}

pub(crate) fn is_ordered(folder: &Folder) -> Result<bool, Error> {
    Ok(folder.read(ORDERED)?.is_some())
}

pub(crate) fn is_done(folder: &Folder) -> Result<bool, Error> {
    Ok(folder.read(DONE)?.is_some())
}

/// Erases the keys. The mark comes first: a device that is cut off here goes on erasing when it starts again.
pub(crate) fn finish<P: Platform>(body: &mut Body<P>) -> Result<(), Error> {
    body.folder.write(DONE, b"")?;
    body.keys.erase()?;
    body.slots.tidy(None)?;
    body.tell(Event::Retired);
    Ok(())
}
