//! Signing commands with an operator's own key.

use std::path::{Path, PathBuf};

use anyhow::Result;
use artifact::{COMMAND_TYPE, SigningKey};
use client::Client;
use contract::{
    id::ServiceName,
    v1::{
        CommandStatement, CommandWarrant, DevicesListed, JobWarrant, ListDevices, ManifestSignature,
        RunCommand, RunJob,
    },
};
use host::clock::wall_ms;
use prost::Message;

use super::super::{firmware, list::Limit};
use crate::exit::Failure;

/// How far a device's clock may be behind ours.
const SLOW_CLOCK_MS: i64 = 5 * 60 * 1_000;
/// The time that a command has where nobody says.
const WITHIN_MS: u64 = 60 * 60 * 1_000;
/// Devices that a signed job names at most.
const DEVICES_MAX: usize = 500;

/// With which key, if with one.
#[derive(clap::Args)]
pub(super) struct Signing {
    /// Sign with this key of yours, so that devices need not take the server's word for it
    #[arg(long = "sign-with", value_name = "FILE")]
    key: Option<PathBuf>,
}

impl Signing {
    /// Signs a command, if it is to be.
    pub(super) fn sign(&self, request: &mut RunCommand) -> Result<()> {
        let Some(path) = &self.key else { return Ok(()) };
        let statement = CommandStatement {
            order_id: request.command_id.clone(),
            device_id: request.device_id.clone(),
            name: request.name.clone(),
            arguments: request.arguments.clone(),
            ..from_now_on(within_ms(request.within_ms))
        };
        request.warrant = Some(warrant(&read(path)?, &statement));
        Ok(())
    }

    /// Signs a job for each of its devices, if it is to be. A group's members are asked for: what is signed names
    /// them, and whoever joins later is not among them.
    pub(super) async fn sign_all(&self, client: &Client, request: &mut RunJob) -> Result<()> {
        let Some(path) = &self.key else { return Ok(()) };
        let key = read(path)?;
        if !request.group.is_empty() {
            request.device_ids = members(client, &request.group).await?;
            request.group.clear();
        }
        let bare = CommandStatement {
            order_id: request.job_id.clone(),
            name: request.name.clone(),
            arguments: request.arguments.clone(),
            ..from_now_on(request.within_ms)
        };
        let signed = request.device_ids.iter().map(|device_id| {
            let statement = CommandStatement {
                device_id: device_id.clone(),
                ..bare.clone()
            };
            JobWarrant {
                device_id: device_id.clone(),
                warrant: Some(warrant(&key, &statement)),
            }
        });
        request.warrants = signed.collect();
        Ok(())
    }
}

async fn members(client: &Client, group: &str) -> Result<Vec<String>> {
    let listed = Limit::all()
        .read(
            client,
            (ServiceName::Registry, "list"),
            |page| ListDevices {
                group: group.to_owned(),
                page_size: page.size,
                page: page.token,
                ..ListDevices::default()
            },
            |reply: DevicesListed| (reply.devices, reply.next_page),
        )
        .await?;
    match listed.items.len() {
        0 => Err(Failure::usage(format!("`{group}` has no members")).into()),
        n if n > DEVICES_MAX => {
            let message = format!("`{group}` has {n} members; a signed job names {DEVICES_MAX} at most");
            Err(Failure::usage(message).into())
        }
        _ => Ok(listed.items.into_iter().map(|device| device.device_id).collect()),
    }
}

/// What the server takes where nobody says: an hour. A rule may let less, and then the deadline ends it.
fn within_ms(said_ms: u64) -> u64 {
    match said_ms {
        0 => WITHIN_MS,
        said_ms => said_ms,
    }
}

/// A statement's times.
fn from_now_on(within_ms: u64) -> CommandStatement {
    let now_ms = wall_ms();
    CommandStatement {
        not_before_ms: now_ms - SLOW_CLOCK_MS,
        expires_ms: now_ms.saturating_add_unsigned(within_ms),
        ..CommandStatement::default()
    }
}

fn warrant(key: &SigningKey, statement: &CommandStatement) -> CommandWarrant {
    let signature = artifact::sign(COMMAND_TYPE, &statement.encode_to_vec(), key);
    CommandWarrant {
        not_before_ms: statement.not_before_ms,
        expires_ms: statement.expires_ms,
        signatures: vec![ManifestSignature {
            key_id: signature.keyid,
            signature: signature.sig,
        }],
    }
}

fn read(path: &Path) -> Result<SigningKey> {
    firmware::read_key(path)
}
