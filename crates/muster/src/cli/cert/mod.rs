//! `muster cert`

mod admission;
mod authorities;
mod claim;
mod crl;
mod expiring;
pub(in crate::cli) mod home;
mod issue;
mod list;
mod renew;
mod renew_all;
mod renew_server;
mod renewals;
mod revocations;
mod revoke;
mod secret;
#[cfg(test)]
mod tests;
mod verify;
mod ways_in;
mod when;

use anyhow::Result;

pub(in crate::cli) use self::secret::fresh as fresh_secret;
pub(in crate::cli) use self::ways_in::{Claims, Enrol};
pub(in crate::cli) use self::when::{DAY_MS, FORMS, When, day_ms};
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
  muster cert claim field --uses 50 --admission secret
  muster cert claim valves --uses 50 --type valve --ids 'valve-??-*'
  muster cert claim dock --uses 50 --admission hook --approver integrator/plant
  muster cert claim spring --uses 20 --expires 2030-06-30 --out /mnt/factory/spring")]
    Claim(claim::Claim),
    /// List claims
    #[command(after_help = "Examples:\n  muster cert claims\n  muster --json cert claims | jq -r .batch")]
    Claims(claim::Claims),
    /// Give a device a one-time secret, with which it asks for its first certificate
    ///
    /// For batches made with `--admission secret`. The secret is made here and shown once; the server keeps its
    /// digest. A new one takes the former one's place.
    #[command(after_help = "Examples:
  muster cert secret pump-7 --expires 30d
  muster cert secret pump-7 --qr
  muster --json cert secret pump-7 | jq -r .secret > pump-7.secret")]
    Secret(secret::Secret),
    /// List devices that wait for an operator's word
    #[command(
        after_help = "Examples:\n  muster cert admissions\n  muster --json cert admissions | jq -r .fingerprint"
    )]
    Admissions(admission::Admissions),
    /// Admit a waiting device's key: it gets its first certificate when it next asks
    ///
    /// Compare the fingerprint with what the device shows. Without --fingerprint the device's only waiting key is
    /// meant.
    #[command(after_help = "Examples:
  muster cert admit pump-7
  muster cert admit pump-7 --fingerprint $SHA256 --yes")]
    Admit(admission::Admit),
    /// Turn a waiting device's key away
    #[command(after_help = "Examples:\n  muster cert turn-away pump-7 --yes")]
    TurnAway(admission::TurnAway),
    /// List certificates; all given conditions must hold
    #[command(after_help = "Examples:
  muster cert list --kind device --expires-before 14d
  muster cert list --kind device --id pump-7
  muster --json cert list --status active --all | jq -r .serial")]
    List(list::List),
    /// How many certificates end in the weeks to come
    ///
    /// Those that count now, by the week (UTC, from Monday) in which they end.
    #[command(
        after_help = "Examples:\n  muster cert expiring\n  muster --json cert expiring --weeks 4 --kind device"
    )]
    Expiring(expiring::Expiring),
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
    /// Renew the server's own certificate before its time, or for other names
    ///
    /// The server does it by itself when two thirds of its certificate's life are over. It makes a new key, and takes
    /// the certificate while it runs: nobody is disconnected. --host replaces all names and addresses that it has.
    #[command(after_help = "Examples:
  muster cert renew-server
  muster cert renew-server --host muster.example --host 192.0.2.7")]
    RenewServer(renew_server::RenewServer),
    /// Have devices renew their certificates before their time
    ///
    /// Each makes another key, and is told again until it has renewed. One that is away is told when it comes back.
    #[command(after_help = "Examples:
  muster cert renew pump-7 --watch
  muster cert renew pump-7 pump-8 --reason 'a look at it' --yes")]
    Renew(renew::Renew),
    /// Have many devices renew their certificates, so many a minute
    ///
    /// After a change of the issuing CA, or when keys are in doubt. All given conditions must hold of the newest
    /// certificate that a device can use; without any, every device is meant. Devices that are away are told when they
    /// come back. The server goes on by itself, also after a restart: --watch only looks.
    #[command(after_help = "Examples:
  muster cert renew-all --ca 4c07e1d9 --rate 600/min --watch
  muster cert renew-all --batch line-7 --reason 'the line leaked keys' --yes
  muster cert renew-all --type pump --key-kind p256 --watch
  muster cert renew-all --where 'firmware_version < 2.4.0' --within 7d
  muster cert renew-all --device pump-7,pump-8 --yes --watch")]
    RenewAll(renew_all::RenewAll),
    /// Mass renewals: how far they are, which devices are left and why
    #[command(subcommand)]
    Renewals(renewals::Renewals),
    /// Revoke certificates and close their sessions
    #[command(after_help = "Examples:
  muster cert revoke 4f0c6d1e2b3a49588776655443322110 --reason keyCompromise
  muster cert revoke --device pump-7 --reason keyCompromise --yes
  muster cert revoke --of-batch line-7 --reason keyCompromise
  muster cert revoke --issuer 4c07e1d9 --reason cACompromise --timeout 10m")]
    Revoke(revoke::Revoke),
    /// Bulk revocations that are under way: how many certificates, and whose sessions are still open
    #[command(after_help = "Examples:\n  muster cert revocations")]
    Revocations(revocations::Revocations),
    /// Whether a certificate counts now: issued here, not revoked, not ended
    ///
    /// Ends with 5 if nobody gets in with it, and says why; with 3 if it is not known here.
    #[command(after_help = "Examples:\n  muster cert verify muster-data/people/admin/certificate.pem")]
    Verify(verify::Verify),
    /// The newest revocation lists, or others made now
    #[command(after_help = "Examples:
  muster cert crl --out crl.pem && openssl crl -in crl.pem -noout -text
  muster cert crl publish")]
    Crl(crl::Crl),
    /// The roots to trust, the issuing CAs, the newest revocation lists, and the server's keys to pin
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
            Cert::Secret(command) => command.run(global),
            Cert::Admissions(command) => command.run(global),
            Cert::Admit(command) => command.run(global),
            Cert::TurnAway(command) => command.run(global),
            Cert::List(command) => command.run(global),
            Cert::Expiring(command) => command.run(global),
            Cert::Show(command) => command.run(global),
            Cert::Issue(command) => command.run(global),
            Cert::RenewServer(command) => command.run(global),
            Cert::Renew(command) => command.run(global),
            Cert::RenewAll(command) => command.run(global),
            Cert::Renewals(command) => command.run(global),
            Cert::Revoke(command) => command.run(global),
            Cert::Revocations(command) => command.run(global),
            Cert::Verify(command) => command.run(global),
            Cert::Crl(command) => command.run(global),
            Cert::Authorities(command) => command.run(global),
        }
    }
}
