//! `muster device transfer`, `accept`, `cancel-transfer` and `transfers`

use std::{
    io::{self, Read},
    path::PathBuf,
};

use anyhow::Result;
use contract::{
    Id,
    id::ServiceName,
    login::token_digest,
    v1::{
        AcceptTransfer, CancelTransfer, Changed, ListTransfers, OfferTransfer, Transfer as Offered,
        TransferState, TransfersListed,
    },
};
use zeroize::Zeroizing;

use super::super::{
    Global,
    cert::{FORMS, When, fresh_secret},
    confirm::{Confirm, Consent},
    list::Limit,
    print,
    words::{self, say},
};
use crate::{exit::Failure, folder::read_secret};

/// Longer than any secret.
const SECRET_MAX: u64 = 512;

#[derive(clap::Args)]
pub(crate) struct Transfer {
    /// The device
    id: Id,
    /// The owner to be
    #[arg(long, value_name = "OWNER")]
    to: String,
    /// How long it can be accepted, 90 days at most
    #[arg(long = "for", default_value = "7d", value_name = FORMS)]
    expires: When,
    /// A group that it is in afterwards, in the place of those that it is in; may be given several times
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<Id>,
    /// On what grounds; part of the record
    #[arg(long, default_value = "", hide_default_value = true)]
    note: String,
    /// Only if the device has this version
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "VERSION")]
    expected_version: u64,
}

#[derive(clap::Args)]
pub(crate) struct Accept {
    /// The device
    id: Id,
    /// A file with the secret; `-` reads it from the standard input
    #[arg(long, value_name = "FILE")]
    secret: PathBuf,
}

#[derive(clap::Args)]
pub(crate) struct Cancel {
    /// The device
    id: Id,
    /// Why; part of the record
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    #[command(flatten)]
    confirm: Confirm,
}

#[derive(clap::Args)]
pub(crate) struct List {
    /// Only the last one of this device
    #[arg(long, value_name = "DEVICE")]
    device: Option<Id>,
    /// Only those in this state
    #[arg(long, value_parser = words::parser::<TransferState>())]
    state: Option<TransferState>,
    #[command(flatten)]
    limit: Limit,
}

impl Transfer {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let secret = fresh_secret()?;
        let digest = token_digest(secret.as_bytes());
        let request = OfferTransfer {
            device_id: self.id.to_string(),
            to: self.to,
            sha256: hex::encode(digest),
            expires_ms: self.expires.ms(),
            note: self.note,
            groups: self.groups.iter().map(Id::to_string).collect(),
            expected_version: self.expected_version,
            ..OfferTransfer::default()
        };
        let _: Changed = global.ask(ServiceName::Registry, "transfer", &request)?;
        if global.json {
            return print::json(&serde_json::json!({
                "device_id": request.device_id,
                "to": request.to,
                "secret": secret.as_str(),
                "expires_ms": request.expires_ms.to_string(),
            }));
        }
        print::fields(&[
            ("device", request.device_id),
            ("to", request.to),
            ("secret", secret.to_string()),
            ("expires", print::time(request.expires_ms)),
        ])?;
        print::note(
            "this is the only time that the secret is shown; whoever has it can take the device over",
        );
        Ok(())
    }
}

impl Accept {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let request = AcceptTransfer {
            device_id: self.id.to_string(),
            secret: self.read()?.trim().to_owned(),
            ..AcceptTransfer::default()
        };
        let changed: Changed = global.ask(ServiceName::Registry, "accept-transfer", &request)?;
        super::changed(global, &changed)
    }

    fn read(&self) -> Result<Zeroizing<String>> {
        let bytes = if self.secret.as_os_str() == "-" {
            let mut bytes = Zeroizing::new(Vec::new());
            io::stdin().lock().take(SECRET_MAX).read_to_end(&mut bytes)?;
            bytes
        } else {
            Zeroizing::new(read_secret(&self.secret)?)
        };
        let text = std::str::from_utf8(&bytes).map_err(|_| Failure::usage("the secret is no text"))?;
        Ok(Zeroizing::new(text.to_owned()))
    }
}

impl Cancel {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let what = format!("take the offer of {} back", self.id);
        let Consent::Given = self.confirm.ask(global, &what)? else {
            return Ok(());
        };
        let request = CancelTransfer {
            device_id: self.id.to_string(),
            reason: self.reason,
            ..CancelTransfer::default()
        };
        let changed: Changed = global.ask(ServiceName::Registry, "cancel-transfer", &request)?;
        super::changed(global, &changed)
    }
}

impl List {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let listed = self.limit.collect(
            global,
            (ServiceName::Registry, "transfers"),
            |page| ListTransfers {
                device_id: self.device.as_ref().map(Id::to_string).unwrap_or_default(),
                state: self.state.unwrap_or_default().into(),
                page_size: page.size,
                page: page.token,
                ..ListTransfers::default()
            },
            |reply: TransfersListed| (reply.transfers, reply.next_page),
        )?;
        let headings = [
            "device", "state", "from", "to", "offered", "by", "expires", "ended", "by whom", "wrong", "note",
        ];
        listed.print(global, &headings, row)
    }
}

fn row(transfer: &Offered) -> Vec<String> {
    let wrong = match transfer.wrong {
        0 => String::new(),
        wrong => wrong.to_string(),
    };
    vec![
        transfer.device_id.clone(),
        say(transfer.state()),
        transfer.from.clone(),
        transfer.to.clone(),
        print::time(transfer.offered_at_ms),
        transfer.offered_by.clone(),
        print::time(transfer.expires_ms),
        print::time(transfer.ended_at_ms),
        transfer.ended_by.clone(),
        wrong,
        transfer.note.clone(),
    ]
}
