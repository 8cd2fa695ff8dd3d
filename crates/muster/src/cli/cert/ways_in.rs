//! `muster claim` and `muster enrol`: what opens the door to new devices, under the words that people look for.

use anyhow::Result;

use super::{admission, claim, secret};
use crate::cli::Global;

/// With what a batch of devices asks for its certificates; the same as `muster cert claim` and `claims`.
#[derive(clap::Subcommand)]
pub(in crate::cli) enum Claims {
    /// Make a claim: the certificate with which a batch of devices asks for their own
    #[command(after_help = "Examples:
  muster claim make line-7 --uses 500 --expires 90d --prefix pump-
  muster claim make yard --uses 50 --admission manual")]
    Make(claim::Claim),
    /// List claims
    #[command(after_help = "Examples:\n  muster claim list\n  muster --json claim list | jq -r .batch")]
    List(claim::Claims),
    /// Show one claim, and how often it was used
    #[command(after_help = "Examples:\n  muster claim show line-7")]
    Show(claim::Show),
}

/// Devices that wait for an operator's word, and one-time secrets; the same as in `muster cert`.
#[derive(clap::Subcommand)]
pub(in crate::cli) enum Enrol {
    /// List devices that wait for an operator's word
    #[command(after_help = "Examples:\n  muster enrol list\n  muster --json enrol list | jq -r .fingerprint")]
    List(admission::Admissions),
    /// Show one device's keys that wait or were decided on
    #[command(after_help = "Examples:\n  muster enrol show pump-7")]
    Show(admission::Show),
    /// Admit a waiting device's key: it gets its certificate when it next asks
    #[command(after_help = "Examples:\n  muster enrol admit pump-7")]
    Admit(admission::Admit),
    /// Turn a waiting device's key away
    #[command(after_help = "Examples:\n  muster enrol turn-away pump-7 --yes")]
    TurnAway(admission::TurnAway),
    /// Give a device a one-time secret, with which it asks for its first certificate
    #[command(after_help = "Examples:\n  muster enrol secret pump-7 --expires 30d")]
    Secret(secret::Secret),
}

impl Claims {
    pub(in crate::cli) fn run(self, global: &Global) -> Result<()> {
        match self {
            Claims::Make(command) => command.run(global),
            Claims::List(command) => command.run(global),
            Claims::Show(command) => command.run(global),
        }
    }
}

impl Enrol {
    pub(in crate::cli) fn run(self, global: &Global) -> Result<()> {
        match self {
            Enrol::List(command) => command.run(global),
            Enrol::Show(command) => command.run(global),
            Enrol::Admit(command) => command.run(global),
            Enrol::TurnAway(command) => command.run(global),
            Enrol::Secret(command) => command.run(global),
        }
    }
}
