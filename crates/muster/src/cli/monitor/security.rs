//! `muster monitor security`: what was tried that may not be, by whom and from where, from the events that are kept.

use std::{io, time::Duration};

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use client::{Client, Inbox};
use contract::{id::ServiceName, notice};
use host::clock::wall_ms;
use serde::Serialize;
use serde_json::{Map, Value};

use super::super::{
    Global, audit,
    device::guarded,
    print,
    replay::{self, Told},
};

/// How far back, when nothing is said.
const A_DAY: Duration = Duration::from_secs(24 * 3600);

/// Where it stands.
const SOURCES: [(ServiceName, &str); 4] = [
    (ServiceName::Monitoring, "devices/+/security"),
    (ServiceName::Monitoring, "clients/+/+"),
    (ServiceName::Provisioning, "certificates/+/refused"),
    (ServiceName::Registry, "transfers/+/refused"),
];

/// What it is called that services refuse, beside the front door's words.
const CERTIFICATE: &str = "certificate-refused";
const TRANSFER: &str = "transfer-refused";

const COLUMNS: [&str; 9] = [
    "time", "what", "who", "why", "from", "times", "by", "serial", "batch",
];

#[derive(clap::Args)]
pub(crate) struct Security {
    /// What happened since: `12h` ago, `2030-01-31`, or `2030-01-31T12:00:00Z` [default: a day ago]
    #[arg(long, value_name = "TIME", value_parser = audit::past)]
    since: Option<i64>,
    /// Only of this kind; may be given several times
    #[arg(long = "kind", value_name = "KIND", value_parser = kinds())]
    kinds: Vec<String>,
    /// Only by this one: `devices/pump-7`, or `pump-7`
    #[arg(long, value_name = "WHO")]
    who: Option<String>,
    /// Only from an address that begins so
    #[arg(long, value_name = "ADDRESS")]
    from: Option<String>,
    /// Show at most this many, the newest
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Print a table with commas
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Show every column whole, however wide that is [default: what there is room for]
    #[arg(long)]
    wide: bool,
}

/// One event of it.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Incident {
    #[serde(skip)]
    at_ms: i64,
    time: String,
    what: String,
    who: String,
    from: String,
    times: u64,
    why: String,
    by: String,
    serial: String,
    batch: String,
}

/// What may be asked for.
fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(notice::ALL.into_iter().chain([CERTIFICATE, TRANSFER]))
}

impl Security {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let day = i64::try_from(A_DAY.as_millis()).unwrap_or(i64::MAX);
        let since_ms = self.since.unwrap_or_else(|| wall_ms().saturating_sub(day));
        let told = global.block_on(async {
            let (client, mut inbox) = global.connect().await?;
            let told = all(&client, &mut inbox, since_ms).await;
            client.disconnect().await;
            told
        })?;
        let mut found: Vec<_> = told.iter().map(Incident::of).collect();
        found.retain(|incident| self.is_wanted(incident));
        found.sort_by_key(|incident| std::cmp::Reverse(incident.at_ms));
        found.truncate(self.limit.unwrap_or(usize::MAX));
        if global.json {
            return found.iter().try_for_each(print::json);
        }
        if self.csv {
            let mut table = csv::Writer::from_writer(io::stdout().lock());
            table.write_record(COLUMNS)?;
            for incident in &found {
                table.write_record(incident.cells().map(guarded))?;
            }
            return Ok(table.flush()?);
        }
        let rows = found.iter().map(|incident| {
            let mut cells = incident.cells();
            cells[0] = print::time(incident.at_ms);
            cells.to_vec().into()
        });
        print::list(self.wide, &COLUMNS, rows.collect())
    }

    fn is_wanted(&self, incident: &Incident) -> bool {
        let is_kind = self.kinds.is_empty() || self.kinds.contains(&incident.what);
        let is_who = |who: &String| {
            let id = incident.who.split_once('/').map(|(_, id)| id);
            incident.who == *who || id == Some(who)
        };
        let is_from = |from: &String| incident.from.starts_with(from.as_str());
        is_kind && self.who.as_ref().is_none_or(is_who) && self.from.as_ref().is_none_or(is_from)
    }
}

async fn all(client: &Client, inbox: &mut Inbox, since_ms: i64) -> Result<Vec<Told>> {
    let mut told = Vec::new();
    for source in SOURCES {
        told.extend(replay::since(client, inbox, source, since_ms).await?);
    }
    Ok(told)
}

impl Incident {
    fn of(event: &Told) -> Incident {
        let data = |name: &str| text(&event.data, name);
        let (of, id) = event.subject.split_once('/').unwrap_or_default();
        let what = match (of, event.name()) {
            ("certificates", _) => CERTIFICATE.to_owned(),
            ("transfers", _) => TRANSFER.to_owned(),
            (_, "security") => data("what"),
            (_, name) => name.to_owned(),
        };
        let who = match of {
            "devices" => event.subject.clone(),
            "transfers" => format!("devices/{id}"),
            _ => format!("{}/{}", data("kind"), data("id")),
        };
        // A service tells of what others did.
        let actor = Some(&event.actor).filter(|actor| !actor.starts_with("services/"));
        let actor = actor.cloned().unwrap_or_default();
        let why = ["detail", "why", "message", "reason"].map(data);
        Incident {
            at_ms: event.at_ms(),
            time: event.time.clone(),
            what,
            who,
            from: data("address"),
            times: data("count").parse().unwrap_or(1).max(1),
            why: why.into_iter().find(|why| !why.is_empty()).unwrap_or_default(),
            by: Some(data("by")).filter(|by| !by.is_empty()).unwrap_or(actor),
            serial: data("serial"),
            batch: data("batch"),
        }
    }

    /// In the order of [`COLUMNS`].
    fn cells(&self) -> [String; 9] {
        let text = |text: &String| print::clean(text);
        [
            self.time.clone(),
            text(&self.what),
            text(&self.who),
            text(&self.why),
            text(&self.from),
            self.times.to_string(),
            text(&self.by),
            text(&self.serial),
            text(&self.batch),
        ]
    }
}

/// A text, or a number as one; empty where there is none.
fn text(data: &Map<String, Value>, name: &str) -> String {
    match data.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use clap::{Arg, ArgAction, Args, Command, FromArgMatches};
    use serde_json::json;

    use super::*;

    fn told(kind: &str, subject: &str, data: Value) -> Incident {
        let event = json!({
            "type": format!("muster.{kind}.v1"),
            "subject": subject,
            "time": "2026-01-02T03:04:05.000Z",
            "data": data,
        });
        Incident::of(&serde_json::from_value(event).unwrap())
    }

    fn incidents() -> [Incident; 4] {
        [
            told(
                "monitoring.device.security",
                "devices/pump-7",
                json!({"what": "connect-denied", "detail": "it is revoked", "address": "192.0.2.7:5", "count": 3, "serial": "4f"}),
            ),
            told(
                "monitoring.client.login-failed",
                "clients/operators.ada",
                json!({"kind": "operators", "id": "ada", "why": "not their password", "address": "192.0.2.8:5", "count": 9}),
            ),
            told(
                "provisioning.certificate.refused",
                "certificates/pump-7",
                json!({"kind": "claims", "id": "pump-7", "batch": "spring", "code": "denied", "message": "a weak key", "count": 1}),
            ),
            told("registry.transfer.refused", "transfers/pump-8", json!({})),
        ]
    }

    #[test]
    fn each_source_says_what_by_whom_from_where_how_often_and_why() {
        let said = incidents().map(|one| {
            let Incident {
                what,
                who,
                from,
                times,
                why,
                serial,
                batch,
                ..
            } = one;
            format!("{what} {who} {from} {times} {why} {serial}{batch}")
        });
        assert_eq!(
            said,
            [
                "connect-denied devices/pump-7 192.0.2.7:5 3 it is revoked 4f",
                "login-failed operators/ada 192.0.2.8:5 9 not their password ",
                "certificate-refused claims/pump-7  1 a weak key spring",
                "transfer-refused devices/pump-8  1  ",
            ]
        );
    }

    #[test]
    fn all_that_is_asked_for_must_hold() {
        // Beside an option of every command.
        let json = Arg::new("json").long("json").action(ArgAction::SetTrue);
        let command = Command::new("security").no_binary_name(true).arg(json);
        let command = Security::augment_args(command);
        for (typed, expected) in [
            ("", 4),
            ("--kind login-failed", 1),
            ("--kind login-failed --kind transfer-refused", 2),
            ("--who pump-7", 2),
            ("--who devices/pump-7", 1),
            ("--who pump-7 --from 192.0.2.", 1),
            ("--from 192.0.2.", 2),
        ] {
            let matches = command.clone().get_matches_from(typed.split_whitespace());
            let wanted = Security::from_arg_matches(&matches).unwrap();
            let found = incidents().iter().filter(|one| wanted.is_wanted(one)).count();
            assert_eq!(found, expected, "{typed}");
        }
        assert!(command.try_get_matches_from(["--kind", "nonsense"]).is_err());
    }
}
