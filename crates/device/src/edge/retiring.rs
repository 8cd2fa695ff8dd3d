//! The end: the order is kept, the receipt sent, and only then the keys go.
//!
//! What marks this is the mere name of a file. So a full disk does not stop it: a file that is there already can be
//! given another name where there is no room for a new one.

use super::body::{BOOTS, Body};
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

/// Keeps the order: it outlives a restart. On a full disk the count of starts gives its name for it.
pub(crate) fn order(folder: &Folder) -> Result<(), Error> {
    folder
        .write(ORDERED, b"")
        .or_else(|full| folder.move_file(BOOTS, ORDERED).map_err(|_| full))
}

/// The order was a mistake: the server does not know of it.
pub(crate) fn withdraw(folder: &Folder) -> Result<(), Error> {
    folder.remove(ORDERED)
}

pub(crate) fn is_ordered(folder: &Folder) -> Result<bool, Error> {
    Ok(folder.read(ORDERED)?.is_some())
}

/// Whether the device's life is over: it is marked; or its key is unreadable for a reason that is known. Such a key
/// lets nobody in, and is no damage that somebody could mend.
pub(crate) fn is_done<P: Platform>(body: &Body<P>) -> Result<bool, Error> {
    if is_marked(&body.folder)? {
        return Ok(true);
    }
    let is_unreadable = matches!(body.keys.current(), Err(Error::Damaged { .. }));
    let is_over = body.keys.is_half_erased()? || (is_unreadable && is_ordered(&body.folder)?);
    if is_over {
        body.problem("the key is unreadable; the device was ordered to retire, and erases what is left");
    }
    Ok(is_over)
}

fn is_marked(folder: &Folder) -> Result<bool, Error> {
    Ok(folder.read(DONE)?.is_some())
}

/// Erases the keys. The mark comes first: a device that is cut off here goes on erasing when it starts again. They
/// go in any case, also where nothing can be marked.
pub(crate) fn finish<P: Platform>(body: &mut Body<P>) -> Result<(), Error> {
    let marked = mark(body);
    let erased = body.keys.erase().and(body.folder.blank(DONE));
    let (settings, order) = (Kept::erase(&body.folder), command::Kept::erase(&body.folder));
    let tidied = body.slots.tidy(None).and(settings).and(order);
    marked.or_else(|_| body.folder.write(DONE, b""))?;
    erased.and(tidied)?;
    body.tell(Event::Retired);
    Ok(())
}

/// The mark needs no room: on a full disk the order becomes it, or else the key itself, which is blanked then.
fn mark<P: Platform>(body: &Body<P>) -> Result<(), Error> {
    let folder = &body.folder;
    if is_marked(folder)? {
        return Ok(());
    }
    folder
        .write(DONE, b"")
        .or_else(|full| folder.move_file(ORDERED, DONE).map_err(|_| full))
        .or_else(|full| body.keys.become_mark(DONE).map_err(|_| full))
}
