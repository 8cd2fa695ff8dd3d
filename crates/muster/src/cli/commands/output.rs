//! `muster command output`

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use client::Client;
use contract::{
    Id,
    id::ServiceName,
    limits::{COMMAND_PIECE_BYTES, COMMAND_WHOLE_BYTES},
    v1::{CommandOutputRead, CommandShown, DeviceCommand, ReadCommandOutput, ShowCommand},
};
use sha2::{Digest, Sha256};

use super::{
    super::{Global, global, print},
    show::Of,
};
use crate::exit::{Exit, Failure};

#[derive(clap::Args)]
pub(crate) struct Output {
    /// The command
    id: Id,
    #[command(flatten)]
    of: Of,
    /// Where it is written; FILE.part holds what has come so far
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Output {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let bytes = global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let read = self.read(&client).await;
            client.disconnect().await;
            read
        })?;
        if global.json {
            let document = serde_json::json!({ "file": self.out, "bytes": bytes });
            return print::json(&document);
        }
        print::line(format!("{bytes} bytes in {}", self.out.display()))
    }

    /// Fetches it, and takes nothing for it that does not have its checksum.
    async fn read(&self, client: &Client) -> Result<usize> {
        let command = self.shown(client).await?;
        if command.whole_size == 0 {
            fs::write(&self.out, &command.output).with_context(|| self.out.display().to_string())?;
            return Ok(command.output.len());
        }
        if command.whole_arrived < command.whole_size {
            let (arrived, size) = (command.whole_arrived, command.whole_size);
            let message = format!("the device has sent {arrived} of {size} bytes; try again later");
            return Err(Failure::new(Exit::Unavailable, message).into());
        }
        let part = self.out.with_added_extension("part");
        let mut bytes = begun(&part)?;
        while bytes.len() as u64 != command.whole_size {
            let piece = self.piece(client, bytes.len()).await?;
            if piece.is_empty() || bytes.len() + piece.len() > COMMAND_WHOLE_BYTES {
                return Err(spoilt(&part, "the pieces do not fit together"));
            }
            let mut file = OpenOptions::new().append(true).create(true).open(&part)?;
            file.write_all(&piece)?;
            bytes.extend(piece);
        }
        if hex::encode(Sha256::digest(&bytes)) != command.whole_sha256 {
            return Err(spoilt(
                &part,
                "it does not have the checksum that the device told",
            ));
        }
        fs::rename(&part, &self.out).with_context(|| self.out.display().to_string())?;
        Ok(bytes.len())
    }

    async fn shown(&self, client: &Client) -> Result<DeviceCommand> {
        let request = ShowCommand {
            command_id: self.id.to_string(),
            device_id: self.of.text(),
            ..ShowCommand::default()
        };
        let shown: CommandShown =
            global::ask(client, ServiceName::Registry, "command-show", &request).await?;
        shown.command.context("the answer holds no command")
    }

    async fn piece(&self, client: &Client, offset: usize) -> Result<Vec<u8>> {
        let request = ReadCommandOutput {
            command_id: self.id.to_string(),
            device_id: self.of.text(),
            offset: offset as u64,
            ..ReadCommandOutput::default()
        };
        let read: CommandOutputRead =
            global::ask(client, ServiceName::Registry, "command-read", &request).await?;
        Ok(read.data)
    }
}

/// What has come before: whole pieces only.
fn begun(part: &Path) -> Result<Vec<u8>> {
    let mut bytes = match fs::read(part) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| part.display().to_string()),
    };
    bytes.truncate(bytes.len() - bytes.len() % COMMAND_PIECE_BYTES);
    fs::write(part, &bytes).with_context(|| part.display().to_string())?;
    Ok(bytes)
}

/// What has come is of no use; the next time begins anew.
fn spoilt(part: &Path, why: &str) -> anyhow::Error {
    let _ = fs::remove_file(part);
    Failure::new(Exit::Failed, format!("{why}; try again")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_goes_on_with_a_whole_piece() {
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join("x.part");
        assert!(begun(&part).unwrap().is_empty());
        fs::write(&part, vec![7; COMMAND_PIECE_BYTES + 5]).unwrap();
        assert_eq!(begun(&part).unwrap().len(), COMMAND_PIECE_BYTES);
        assert_eq!(fs::read(&part).unwrap().len(), COMMAND_PIECE_BYTES);
    }
}
