//! `muster cert revoke`

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use contract::{
    Id,
    id::{Kind, ServiceName},
    v1::{self, Revoked},
};
use pki::Serial;

use super::super::{
    Global,
    confirm::{Confirm, Consent},
    print,
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
}

impl Revoke {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let Consent::Given = self
            .confirm
            .ask(global, &format!("revoke {} for good", self.whose.words()))?
        else {
            return Ok(());
        };
        let (kind, id) = self.whose.owner().unzip();
        let request = v1::Revoke {
            request_id: String::new(),
            serial: self.whose.serial.map(Serial::to_hex).unwrap_or_default(),
            kind: kind.map(Kind::word).unwrap_or_default().to_owned(),
            id: id.map(Id::to_string).unwrap_or_default(),
            reason: self.reason,
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

    fn words(&self) -> String {
        match (self.owner(), self.serial) {
            (Some((kind, id)), _) => format!("all certificates of {kind}/{id}"),
            (None, serial) => format!(
                "the certificate {}",
                serial.map(Serial::to_hex).unwrap_or_default()
            ),
        }
    }
}

fn say(revoked: &Revoked) -> Result<()> {
    for serial in &revoked.serials {
        print::line(format!("{} is revoked", print::clean(serial)))?;
    }
    print::line(sessions(revoked))
}

fn sessions(revoked: &Revoked) -> String {
    if revoked.receipt_missing {
        return "the front door has not confirmed that it closed the sessions; it closes them before it lets \
                anybody in again"
            .to_owned();
    }
    let ms = revoked.closed_after_ms;
    match revoked.sessions_closed {
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
            &["--device", "a/b"],
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_missing_receipt_is_not_called_zero_sessions() {
        let closed = |sessions_closed| Revoked {
            sessions_closed,
            closed_after_ms: 7,
            ..Revoked::default()
        };
        assert_eq!(sessions(&closed(0)), "no session was open");
        assert_eq!(sessions(&closed(1)), "1 session closed after 7 ms");
        assert_eq!(sessions(&closed(2)), "2 sessions closed after 7 ms");
        let missing = Revoked {
            receipt_missing: true,
            ..Revoked::default()
        };
        assert!(sessions(&missing).contains("not confirmed"));
    }
}
