//! `command-output`: a long output arrives in pieces, and `command-read` gives them out. What they are as a whole is
//! for whoever reads them to check, against the checksum that the device told.

use contract::{
    Code, Refusal,
    id::Principal,
    limits::{COMMAND_PIECE_BYTES, COMMAND_WHOLE_BYTES},
    v1::{CommandOutputRead, CommandOutputTaken, DeviceCommand, PutCommandOutput, ReadCommandOutput},
};
use service::{Fault, Outcome, Sight, View};

use super::{report::said, state};
use crate::decide::Situation;

pub(crate) fn decide(s: &Situation<'_>, caller: &Principal, m: PutCommandOutput) -> Result<Outcome, Fault> {
    let size = size(&m)?;
    let mut command = state::find(s.view, caller.id.as_str(), &m.command_id)?;
    if state::is_final(command.state()) {
        let message = format!(
            "the command is {}; its output is not wanted any more",
            said(command.state())
        );
        return Err(Refusal::new(Code::NotAllowed, message).at("command_id").into());
    }
    let mut outcome = Outcome::default();
    if command.whole_sha256 != m.sha256 || command.whole_size != m.size {
        begin(&mut outcome, &mut command, &m);
    }
    if m.offset == command.whole_arrived && m.offset < m.size {
        let offset = usize::try_from(m.offset).unwrap_or(size);
        if m.data.len() != COMMAND_PIECE_BYTES.min(size - offset) {
            let message = format!("a piece has {COMMAND_PIECE_BYTES} bytes, the last one what is left");
            return Err(Refusal::invalid("data", message).into());
        }
        command.whole_arrived += m.data.len() as u64;
        let key = state::piece_key(&command, offset);
        outcome.changes.put(key, m.data);
        state::put(&mut outcome, &command);
    }
    outcome.answer(CommandOutputTaken {
        next_offset: command.whole_arrived,
        ..CommandOutputTaken::default()
    });
    Ok(outcome)
}

fn size(m: &PutCommandOutput) -> Result<usize, Refusal> {
    let size = usize::try_from(m.size).unwrap_or(usize::MAX);
    if size == 0 || size > COMMAND_WHOLE_BYTES {
        let message = format!("an output has 1 to {COMMAND_WHOLE_BYTES} bytes");
        return Err(Refusal::new(Code::TooLarge, message).at("size"));
    }
    let is_digest = m.sha256.len() == 64 && m.sha256.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_digest {
        return Err(Refusal::invalid("sha256", "a SHA-256 has 64 hex digits"));
    }
    Ok(size)
}

/// Another output than before: it begins anew.
fn begin(outcome: &mut Outcome, command: &mut DeviceCommand, m: &PutCommandOutput) {
    for offset in state::pieces(command) {
        outcome.delete(state::piece_key(command, offset));
    }
    command.whole_size = m.size;
    command.whole_sha256.clone_from(&m.sha256);
    command.whole_arrived = 0;
    state::put(outcome, command);
}

pub(crate) fn read(
    view: &View<'_>,
    sight: &Sight,
    m: &ReadCommandOutput,
) -> Result<CommandOutputRead, Fault> {
    let command = state::seen(view, sight, &m.device_id, &m.command_id)?;
    let offset = usize::try_from(m.offset).unwrap_or(usize::MAX);
    if !offset.is_multiple_of(COMMAND_PIECE_BYTES) {
        let message = format!("an offset is a multiple of {COMMAND_PIECE_BYTES}");
        return Err(Refusal::invalid("offset", message).into());
    }
    let data = view.get(state::piece_key(&command, offset).as_bytes())?;
    Ok(CommandOutputRead {
        data: data.unwrap_or_default(),
        size: command.whole_size,
        sha256: command.whole_sha256,
        ..CommandOutputRead::default()
    })
}
