//! What is done with an event: it is printed, or handed to a command.

use std::process::Stdio;

use anyhow::{Context, Result};
use contract::id::ServiceName;
use tokio::{io::AsyncWriteExt, process::Command};

use super::{super::print, event::CloudEvent};
use crate::exit::{Exit, Failure};

/// Where events go.
pub(super) enum Hand {
    /// As a line for people.
    Line,
    /// As JSON.
    Json,
    /// To the standard input of a shell's command, one after the other.
    Command(String),
}

impl Hand {
    /// An error means that the event has not been dealt with.
    pub(super) async fn over(&self, service: ServiceName, event: &CloudEvent, payload: &[u8]) -> Result<()> {
        match self {
            Hand::Line => print::line(event.line(service)),
            Hand::Json => print::line(String::from_utf8_lossy(payload)),
            Hand::Command(command) => run(command, payload)
                .await
                .with_context(|| format!("event {} of {service} is not dealt with", event.sequence)),
        }
    }
}

async fn run(command: &str, payload: &[u8]) -> Result<()> {
    let mut shell = Command::new("sh");
    let mut child = shell
        .args(["-c", command])
        .stdin(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("sh")?;
    if let Some(mut input) = child.stdin.take() {
        // Whoever does not read is asked by their exit code all the same.
        let _ = input.write_all(payload).await;
        let _ = input.write_all(b"\n").await;
    }
    let status = child.wait().await.context("sh")?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, format!("`{command}` ended with {status}")).into())
}
