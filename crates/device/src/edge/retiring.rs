//! The end: the order is kept, the receipt sent, and only then the keys go.

use super::body::Body;
use crate::{command, configuration::Kept, error::Error, event::Event, files::Folder, platform::Platform};

/// There once the device has been ordered to retire.
const ORDERED: &str = "retire";
/// There once the server has acknowledged the receipt.
const DONE: &str = "retired";

/// There once the device is to wipe itself.
const WIPES: &str = "wipe";

/// The device is to wipe itself, also after a cut.
pub(crate) fn begin_wiping(folder: &Folder) -> Result<(), Error> {
    folder.write(WIPES, b"")
}

pub(crate) fn is_wiping(folder: &Folder) -> Result<bool, Error> {
    Ok(folder.read(WIPES)?.is_some())
}

/// Wipes keys and settings, but not which signatures were used: they count no second time. What says that there is
/// something to wipe goes last.
pub(crate) fn wipe<P: Platform>(body: &mut Body<P>) -> Result<(), Error> {
    let erased = body.keys.erase();
    let (settings, order) = (Kept::erase(&body.folder), command::Kept::erase(&body.folder));
    let tidied = body.slots.tidy(None);
    erased.and(settings).and(order).and(tidied)?;
    body.tell(Event::Wiped);
    body.folder.remove(WIPES)
}

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

/// Erases the keys. The mark comes first: a device that is cut off here goes on erasing when it starts again. A
/// full disk may have no room for it until the keys are gone; they go in any case.
pub(crate) fn finish<P: Platform>(body: &mut Body<P>) -> Result<(), Error> {
    let marked = body.folder.write(DONE, b"");
    let erased = body.keys.erase();
    let (settings, order) = (Kept::erase(&body.folder), command::Kept::erase(&body.folder));
    let tidied = body.slots.tidy(None).and(settings).and(order);
    marked.or_else(|_| body.folder.write(DONE, b""))?;
    erased.and(tidied)?;
    body.tell(Event::Retired);
    Ok(())
}
