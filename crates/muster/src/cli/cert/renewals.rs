//! `muster cert renewals`

use std::time::Duration;

use anyhow::{Context, Result};
use client::{AskError, Client};
use contract::{
    Id,
    id::ServiceName,
    v1::{
        AbortRenewal, Changed, ListRenewals, ListRenewing, MassRenewal, MassRenewalState, RenewalsListed,
        RenewingDevice, RenewingListed, RenewingState,
    },
};
use host::clock::wall_ms;
use indicatif::ProgressBar;

use super::super::{
    Global,
    confirm::{Confirm, Consent},
    global,
    list::Limit,
    print, progress, words,
};
use crate::exit::{Exit, Failure};

/// Between two looks at one that is watched.
const LOOK: Duration = Duration::from_millis(500);

/// Mass renewals.
#[derive(clap::Subcommand)]
pub(in crate::cli) enum Renewals {
    /// List mass renewals
    #[command(after_help = "Examples:\n  muster cert renewals list")]
    List(List),
    /// One mass renewal, its devices counted
    #[command(after_help = "Examples:
  muster cert renewals show renewal-4c07e1d9
  muster cert renewals show renewal-4c07e1d9 --watch")]
    Show(Show),
    /// What has become of each device
    #[command(after_help = "Examples:
  muster cert renewals devices renewal-4c07e1d9 --state failed
  muster --json cert renewals devices renewal-4c07e1d9 --state told | jq -r .device_id")]
    Devices(Devices),
    /// Tell no further device, and take back what others were told
    #[command(after_help = "Examples:\n  muster cert renewals abort renewal-4c07e1d9")]
    Abort(Abort),
}

#[derive(clap::Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    limit: Limit,
}

#[derive(clap::Args)]
pub(in crate::cli) struct Show {
    /// The mass renewal
    id: Id,
    /// Wait until it is over, and say how far it is
    #[arg(long)]
    watch: bool,
}

#[derive(clap::Args)]
pub(in crate::cli) struct Devices {
    /// The mass renewal
    id: Id,
    /// Those in this state only
    #[arg(long, value_parser = words::parser::<RenewingState>())]
    state: Option<RenewingState>,
    #[command(flatten)]
    limit: Limit,
}

#[derive(clap::Args)]
pub(in crate::cli) struct Abort {
    /// The mass renewal
    id: Id,
    #[command(flatten)]
    confirm: Confirm,
}

impl Renewals {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Renewals::List(command) => command.run(global),
            Renewals::Show(command) => command.run(global),
            Renewals::Devices(command) => command.run(global),
            Renewals::Abort(command) => command.run(global),
        }
    }
}

impl List {
    fn run(self, global: &Global) -> Result<()> {
        let listed = self.limit.collect(
            global,
            (ServiceName::Provisioning, "renewals"),
            |page| ListRenewals {
                page_size: page.size,
                page: page.token,
                ..ListRenewals::default()
            },
            |reply: RenewalsListed| (reply.renewals, reply.next_page),
        )?;
        let headings = [
            "id", "state", "of", "devices", "counts", "begun", "by", "ended", "reason",
        ];
        listed.print(global, &headings, |renewal| {
            vec![
                renewal.renewal_id.clone(),
                words::say(renewal.state()),
                conditions(renewal),
                renewal.devices.to_string(),
                counted(renewal),
                print::time(renewal.begun_at_ms),
                renewal.begun_by.clone(),
                print::time(renewal.ended_at_ms),
                renewal.reason.clone(),
            ]
        })
    }
}

impl Show {
    fn run(self, global: &Global) -> Result<()> {
        if self.watch {
            return watch(global, self.id.as_str());
        }
        let listed: RenewalsListed =
            global.ask(ServiceName::Provisioning, "renewals", &one(self.id.as_str()))?;
        let renewal = listed
            .renewals
            .into_iter()
            .next()
            .context("the answer holds no mass renewal")?;
        if global.json {
            return print::json(&renewal);
        }
        print::fields(&[
            ("state", words::say(renewal.state())),
            ("of", conditions(&renewal)),
            ("devices", renewal.devices.to_string()),
            ("counts", counted(&renewal)),
            ("a minute", renewal.per_minute.to_string()),
            ("by", renewal.begun_by.clone()),
            ("begun", print::time(renewal.begun_at_ms)),
            ("ended", print::time(renewal.ended_at_ms)),
            ("deadline", print::time(renewal.deadline_ms)),
            ("reason", renewal.reason.clone()),
        ])
    }
}

impl Devices {
    fn run(self, global: &Global) -> Result<()> {
        let listed = self.limit.collect(
            global,
            (ServiceName::Provisioning, "renewing"),
            |page| ListRenewing {
                request_id: String::new(),
                renewal_id: self.id.to_string(),
                state: self.state.map(Into::into).unwrap_or_default(),
                page_size: page.size,
                page: page.token,
            },
            |reply: RenewingListed| (reply.devices, reply.next_page),
        )?;
        let row = |device: &RenewingDevice| {
            vec![
                device.device_id.clone(),
                words::say(device.state()),
                print::time(device.since_ms),
                device.serial.clone(),
                device.next.clone(),
                device.why.clone(),
            ]
        };
        let headings = ["device", "state", "since", "serial", "next", "why"];
        listed.print(global, &headings, row)
    }
}

impl Abort {
    fn run(self, global: &Global) -> Result<()> {
        let what = format!(
            "abort {}: devices that were not told yet keep their certificates",
            self.id
        );
        let Consent::Given = self.confirm.ask(global, &what)? else {
            return Ok(());
        };
        let request = AbortRenewal {
            request_id: String::new(),
            renewal_id: self.id.to_string(),
        };
        let changed: Changed = global.ask(ServiceName::Provisioning, "abort-renewal", &request)?;
        if global.json {
            return print::json(&changed);
        }
        print::line(format!("{}: no further device is told", changed.id))
    }
}

fn one(id: &str) -> ListRenewals {
    ListRenewals {
        renewal_id: id.to_owned(),
        ..ListRenewals::default()
    }
}

/// What it is about, in a few words.
fn conditions(renewal: &MassRenewal) -> String {
    let named = if renewal.named { "devices by name" } else { "" };
    let parts = [
        ("CA ", &renewal.issuer),
        ("batch ", &renewal.batch),
        ("key ", &renewal.key_kind),
        ("group ", &renewal.group),
        ("type ", &renewal.device_type),
        ("devices of ", &renewal.within.join(" and ")),
        ("", &named.to_owned()),
    ];
    let parts = parts.into_iter().filter(|(_, value)| !value.is_empty());
    let words: Vec<_> = parts.map(|(word, value)| format!("{word}{value}")).collect();
    match words.is_empty() {
        true => "all devices".into(),
        false => words.join(", "),
    }
}

/// How many devices are where, in a sentence.
fn counted(renewal: &MassRenewal) -> String {
    let counts = [
        (renewal.renewed, RenewingState::Renewed),
        (renewal.told, RenewingState::Told),
        (renewal.waiting, RenewingState::Waiting),
        (renewal.failed, RenewingState::Failed),
        (renewal.canceled, RenewingState::Canceled),
    ];
    let said = counts.into_iter().filter(|(count, _)| *count > 0);
    let said: Vec<_> = said
        .map(|(count, state)| format!("{count} {}", words::say(state)))
        .collect();
    said.join(", ")
}

/// Says each change of a mass renewal, until there can be no other.
pub(super) fn watch(global: &Global, id: &str) -> Result<()> {
    let renewal = global.block_on(async {
        let (client, _inbox) = global.connect().await?;
        let renewal = until_it_ends(global, &client, id).await;
        client.disconnect().await;
        renewal
    })?;
    verdict(&renewal)
}

async fn until_it_ends(global: &Global, client: &Client, id: &str) -> Result<MassRenewal> {
    let bar = progress::bar(0, "devices");
    let mut seen = MassRenewal::default();
    loop {
        if let Some(renewal) = look(client, &bar, id).await? {
            if renewal != seen {
                show(global, &bar, &renewal)?;
            }
            seen = renewal;
            if seen.ended_at_ms != 0 {
                bar.finish_and_clear();
                return Ok(seen);
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// `None`: nobody answers just now. Watching outlives a restart of the service.
async fn look(client: &Client, bar: &ProgressBar, id: &str) -> Result<Option<MassRenewal>> {
    let request = one(id);
    let asked = client.ask::<RenewalsListed>(ServiceName::Provisioning, "renewals", &request);
    match asked.await {
        Ok(listed) => {
            let renewal = listed.renewals.into_iter().next();
            Ok(Some(renewal.context("the answer holds no mass renewal")?))
        }
        Err(error @ AskError::Silence { .. }) => {
            bar.suspend(|| print::note(format!("{error}; trying again")));
            Ok(None)
        }
        Err(error) => Err(global::explain(error)),
    }
}

fn show(global: &Global, bar: &ProgressBar, renewal: &MassRenewal) -> Result<()> {
    let open = renewal.waiting + renewal.told;
    bar.set_length(renewal.devices.into());
    bar.set_position(renewal.devices.saturating_sub(open).into());
    bar.suspend(|| {
        if global.json {
            return print::json(renewal);
        }
        let state = words::say(renewal.state());
        let text = format!("{} {} {state}", print::time(wall_ms()), renewal.renewal_id);
        print::line(match renewal.devices {
            0 => text,
            devices => format!("{text}: of {devices} devices {}", counted(renewal)),
        })
    })
}

/// Only success is success; no device at all is none.
fn verdict(renewal: &MassRenewal) -> Result<()> {
    let id = &renewal.renewal_id;
    if renewal.devices == 0 {
        return Err(Failure::new(Exit::NotFound, format!("{id}: no device fits")).into());
    }
    let exit = match renewal.state() {
        MassRenewalState::Succeeded => return Ok(()),
        MassRenewalState::TimedOut => Exit::Unavailable,
        _ => Exit::Failed,
    };
    let message = format!(
        "{id} {}: {}; see `muster cert renewals devices {id} --state failed`",
        words::say(renewal.state()),
        counted(renewal)
    );
    Err(Failure::new(exit, message).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renewal(state: MassRenewalState) -> MassRenewal {
        MassRenewal {
            renewal_id: "renewal-1".into(),
            state: state as i32,
            devices: 3,
            renewed: 2,
            failed: 1,
            issuer: "4c07e1d9".into(),
            key_kind: "p256".into(),
            device_type: "pump".into(),
            within: vec!["berlin".into(), "rome".into()],
            ..MassRenewal::default()
        }
    }

    #[test]
    fn only_success_ends_well() {
        let end = |state| verdict(&renewal(state)).err().map(|e| crate::exit::code_of(&e));
        assert_eq!(end(MassRenewalState::Succeeded), None);
        assert_eq!(end(MassRenewalState::Failed), Some(1));
        assert_eq!(end(MassRenewalState::Aborted), Some(1));
        assert_eq!(end(MassRenewalState::TimedOut), Some(6));
        let none = MassRenewal {
            devices: 0,
            ..renewal(MassRenewalState::Succeeded)
        };
        assert_eq!(verdict(&none).err().map(|e| crate::exit::code_of(&e)), Some(3));
    }

    #[test]
    fn it_is_told_in_few_words() {
        let it = renewal(MassRenewalState::Telling);
        assert_eq!(counted(&it), "2 renewed, 1 failed");
        assert_eq!(
            conditions(&it),
            "CA 4c07e1d9, key p256, type pump, devices of berlin and rome"
        );
        assert_eq!(conditions(&MassRenewal::default()), "all devices");
    }
}
