//! `muster cert`

mod authorities;
mod claim;
pub(in crate::cli) mod home;
mod issue;
mod list;
mod revoke;
#[cfg(test)]
mod tests;
mod when;

use anyhow::Result;

pub(in crate::cli) use self::when::{FORMS, When};
use super::Global;

/// Claims, certificates and revocation.
#[derive(clap::Subcommand)]
pub(super) enum Cert {
    /// Make a claim: the certificate with which a batch of devices asks for their own
    ///
    /// The key is made here and never leaves. Devices of the batch carry the folder's certificate.pem, key.pem and
    /// roots.pem, and may ask as often as --uses says, until --expires.
    #[command(after_help = "Examples:
  muster cert claim line-7 --uses 500 --expires 90d --prefix pump-
  muster cert claim spring --uses 20 --expires 2030-06-30 --out /mnt/factory/spring")]
    Claim(claim::Claim),
    /// List claims
    #[command(after_help = "Examples:\n  muster cert claims\n  muster --json cert claims | jq -r .batch")]
    Claims(claim::Claims),
    /// List certificates; all given conditions must hold
    #[command(after_help = "Examples:
  muster cert list --kind device --expires-before 14d
  muster cert list --kind device --id pump-7
  muster --json cert list --status active --all | jq -r .serial")]
    List(list::List),
    /// Show one certificate
    #[command(after_help = "Examples:
  muster cert show 4f0c6d1e2b3a49588776655443322110
  muster cert show 4f0c6d1e2b3a49588776655443322110 --pem > certificate.pem")]
    Show(list::Show),
    /// Issue a certificate for an operator or an integrator
    ///
    /// The key is made here. The person must be known: `muster person put` comes first.
    #[command(after_help = "Examples:
  muster person put operator ada --role operator && muster cert issue operator ada
  muster cert issue integrator billing --lifetime 90d --out ./billing")]
    Issue(issue::Issue),
    /// Revoke certificates and close their sessions
    #[command(after_help = "Examples:
  muster cert revoke 4f0c6d1e2b3a49588776655443322110 --reason keyCompromise
  muster cert revoke --device pump-7 --reason keyCompromise --yes")]
    Revoke(revoke::Revoke),
    /// The roots to trust, the issuing CA and the newest revocation list
    #[command(after_help = "Examples:
  muster cert authorities
  muster cert authorities --out ./trust && openssl crl -in trust/crl.pem -noout -text")]
    Authorities(authorities::Authorities),
}

impl Cert {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Cert::Claim(command) => command.run(global),
            Cert::Claims(command) => command.run(global),
            Cert::List(command) => command.run(global),
            Cert::Show(command) => command.run(global),
            Cert::Issue(command) => command.run(global),
            Cert::Revoke(command) => command.run(global),
            Cert::Authorities(command) => command.run(global),
        }
    }
}
