//! A secret that is asked for on the terminal.
//!
//! Ctrl-C ends the line instead of the process, which then puts the terminal right before it lets itself be ended: else the
//! terminal would show nothing that is typed afterwards.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::Path,
};

use anyhow::Result;
use rustix::{
    process::{Signal, getpid, kill_process},
    termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr},
};
use zeroize::Zeroizing;

use crate::exit::Failure;

/// Longer lines are not typed; the terminal itself holds no more.
const LINE_BYTES: usize = 4 * 1024;
const CTRL_C: u8 = 0x03;
const CTRL_BACKSLASH: u8 = 0x1c;

/// The terminal, which is put right when this goes.
struct Silent<'a> {
    terminal: &'a File,
    former: Termios,
}

/// Asks, and reads a line that is not shown.
pub(crate) fn secret(question: &str) -> Result<Zeroizing<String>> {
    let mut terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .open(Path::new("/dev/tty"))?;
    let silent = Silent::begun(&terminal)?;
    (&terminal).write_all(question.as_bytes())?;
    let line = line(&terminal)?;
    drop(silent);
    if let Some(CTRL_C | CTRL_BACKSLASH) = line.last().copied() {
        terminal.write_all(b"\n")?;
        kill_process(getpid(), Signal::INT)?;
        // Somebody else waits for the signal.
        return Err(Failure::usage("interrupted").into());
    }
    if line.is_empty() {
        return Err(Failure::usage("nothing was typed").into());
    }
    let text = std::str::from_utf8(&line).map_err(|_| Failure::usage("what was typed is no text"))?;
    let mut typed = Zeroizing::new(String::with_capacity(text.len()));
    typed.extend(text.chars().filter(|c| !c.is_control()));
    Ok(typed)
}

/// As it was typed, with what ended it.
fn line(mut terminal: &File) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(vec![0; LINE_BYTES]);
    let length = terminal.read(&mut line)?;
    line.truncate(length);
    Ok(line)
}

impl Silent<'_> {
    fn begun(terminal: &File) -> io::Result<Silent<'_>> {
        let former = tcgetattr(terminal)?;
        let mut silent = former.clone();
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        silent.local_modes.insert(LocalModes::ICANON | LocalModes::ECHONL);
        silent.special_codes[SpecialCodeIndex::VEOL] = CTRL_C;
        silent.special_codes[SpecialCodeIndex::VEOL2] = CTRL_BACKSLASH;
        tcsetattr(terminal, OptionalActions::Now, &silent)?;
        Ok(Silent { terminal, former })
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        // There is nobody to tell: a terminal that takes nothing any more is gone.
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.former);
    }
}
