//! `muster cert revoke`

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use contract::{
    Id,
    id::{Kind, ServiceName},
    v1::{self, ManyRevoked, Revoked},
};
use pki::Serial;

use super::{
    super::{
        Global,
        confirm::{Confirm, Consent},
        global::ask,
        print, progress,
    },
    revocations,
};

/// The words of RFC 5280, section 5.3.1, that make sense here.
const REASONS: [&str; 7] = [
    "unspecified",
    "keyCompromise",
    "cACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "privilegeWithdrawn",
];

#[derive(clap::Args)]
// One line of all that may be named is longer than a terminal is wide.
#[command(
    override_usage = "muster cert revoke [OPTIONS] <SERIAL|--device <ID>|--claim <BATCH>|--operator <ID>|\n                          \
                      --integrator <ID>|--key <SHA256>|--of-batch <BATCH>|--issuer <CA>>"
)]
pub(in crate::cli) struct Revoke {
    #[command(flatten)]
    whose: Whose,
    /// Why; part of the revocation list
    #[arg(long, default_value = "unspecified", value_parser = PossibleValuesParser::new(REASONS))]
    reason: String,
    #[command(flatten)]
    confirm: Confirm,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Whose {
    /// The certificate's serial number, 32 hex digits
    #[arg(value_parser = Serial::from_hex)]
    serial: Option<Serial>,
    /// All certificates of this device
    #[arg(long, value_name = "ID")]
    device: Option<Id>,
    /// The certificate of this batch: its devices can no longer ask for theirs
    #[arg(long, value_name = "BATCH")]
    claim: Option<Id>,
    /// All certificates of this operator
    #[arg(long, value_name = "ID")]
    operator: Option<Id>,
    /// All certificates of this integrator
    #[arg(long, value_name = "ID")]
    integrator: Option<Id>,
    /// All certificates for this public key: SHA-256 of its SubjectPublicKeyInfo, 64 hex digits
    #[arg(long, value_name = "SHA256")]
    key: Option<String>,
    /// All certificates of the devices that came in by this batch, and the batch's own
    #[arg(long, value_name = "BATCH")]
    of_batch: Option<Id>,
    /// All certificates of this issuing CA, which must not sign any more
    #[arg(long, value_name = "CA")]
    issuer: Option<String>,
}

impl Revoke {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let Consent::Given = self
            .confirm
            .ask(global, &format!("revoke {} for good", self.whose.words()))?
        else {
            return Ok(());
        };
        if let Some(many) = self.whose.many() {
            return revoke_many(
                global,
                v1::RevokeMany {
                    reason: self.reason,
                    ..many
                },
            );
        }
        let (kind, id) = self.whose.owner().unzip();
        let request = v1::Revoke {
            request_id: String::new(),
            serial: self.whose.serial.map(Serial::to_hex).unwrap_or_default(),
            kind: kind.map(Kind::word).unwrap_or_default().to_owned(),
            id: id.map(Id::to_string).unwrap_or_default(),
            reason: self.reason,
            key: self.whose.key.clone().unwrap_or_default(),
        };
        let revoked: Revoked = global.ask(ServiceName::Provisioning, "revoke", &request)?;
        if global.json {
            print::json(&revoked)
        } else {
            say(&revoked)
        }
    }
}

impl Whose {
    fn owner(&self) -> Option<(Kind, &Id)> {
        let owners = [
            (Kind::Device, &self.device),
            (Kind::Claim, &self.claim),
            (Kind::Operator, &self.operator),
            (Kind::Integrator, &self.integrator),
        ];
        owners
            .into_iter()
            .find_map(|(kind, id)| Some((kind, id.as_ref()?)))
    }

    /// Those that are more than one party's.
    fn many(&self) -> Option<v1::RevokeMany> {
        let batch = self.of_batch.as_ref().map(Id::to_string);
        (batch.is_some() || self.issuer.is_some()).then(|| v1::RevokeMany {
            batch: batch.unwrap_or_default(),
            issuer: self.issuer.clone().unwrap_or_default(),
            ..v1::RevokeMany::default()
        })
    }

    fn words(&self) -> String {
        if let Some(batch) = &self.of_batch {
            return format!("all certificates of all devices that came in by {batch}");
        }
        if let Some(issuer) = &self.issuer {
            return format!("all certificates of the issuing CA {issuer}");
        }
        if let Some(key) = &self.key {
            return format!("all certificates for the key {key}");
        }
        match (self.owner(), self.serial) {
            (Some((kind, id)), _) => format!("all certificates of {kind}/{id}"),
            (None, serial) => format!(
                "the certificate {}",
                serial.map(Serial::to_hex).unwrap_or_default()
            ),
        }
    }
}

fn revoke_many(global: &Global, request: v1::RevokeMany) -> Result<()> {
    let revoked: ManyRevoked = global.block_on(async {
        let (client, _inbox) = global.connect().await?;
        let bar = progress::bar(0, "revoked certificates have no session left");
        let done = {
            let done = ask(&client, ServiceName::Provisioning, "revoke-many", &request);
            tokio::select! {
                done = done => done,
                never = revocations::follow(&client, &bar, &request) => match never {},
            }
        };
        bar.finish_and_clear();
        client.disconnect().await;
        done
    })?;
    if global.json {
        return print::json(&revoked);
    }
    match revoked.revoked {
        1 => print::line("1 certificate is revoked")?,
        count => print::line(format!("{count} certificates are revoked"))?,
    }
    print::line(sessions(
        revoked.sessions_closed,
        revoked.closed_after_ms,
        revoked.receipt_missing,
    ))
}

fn say(revoked: &Revoked) -> Result<()> {
    for serial in &revoked.serials {
        print::line(format!("{} is revoked", print::clean(serial)))?;
    }
    print::line(sessions(
        revoked.sessions_closed,
        revoked.closed_after_ms,
        revoked.receipt_missing,
    ))
}

fn sessions(closed: u32, ms: u64, receipt_missing: bool) -> String {
    if receipt_missing {
        return "the front door has not confirmed that it closed the sessions; it closes them before it lets \
                anybody in again"
            .to_owned();
    }
    match closed {
        0 => "no session was open".to_owned(),
        1 => format!("1 session closed after {ms} ms"),
        count => format!("{count} sessions closed after {ms} ms"),
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches};

    use super::*;

    fn parse(args: &[&str]) -> Result<Whose, clap::Error> {
        let command = Revoke::augment_args(clap::Command::new("revoke").no_binary_name(true));
        Ok(Revoke::from_arg_matches(&command.try_get_matches_from(args)?)?.whose)
    }

    #[test]
    fn exactly_one_owner_or_serial_is_named() {
        let serial = "4f0c6d1e2b3a49588776655443322110";
        assert!(parse(&[serial]).unwrap().owner().is_none());
        let whose = parse(&["--integrator", "billing"]).unwrap();
        assert_eq!(whose.words(), "all certificates of integrators/billing");
        for bad in [
            &[][..],
            &["4f"],
            &[serial, "--device", "a"],
            &["--device", "a", "--operator", "b"],
            &["--of-batch", "a", "--issuer", "b"],
            &["--device", "a/b"],
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_missing_receipt_is_not_called_zero_sessions() {
        assert_eq!(sessions(0, 7, false), "no session was open");
        assert_eq!(sessions(1, 7, false), "1 session closed after 7 ms");
        assert_eq!(sessions(2, 7, false), "2 sessions closed after 7 ms");
        assert!(sessions(0, 0, true).contains("not confirmed"));
    }
}
