//! `muster audit show`

use std::time::Duration;

use anyhow::Result;
use contract::{
    Verb,
    audit::CA,
    id::ServiceName,
    v1::{AuditEntry, ReadAudit},
    verb::{Audit, VERBS},
};

use super::{change, read, service, services};
use crate::cli::{Global, alike, print};

/// Shown when nothing is said: a person's glance.
const GLANCE: usize = 50;

#[derive(clap::Args)]
pub(in crate::cli) struct Show {
    /// Only of this service; may be given several times
    #[arg(long = "service", value_name = "SERVICE", value_parser = service())]
    services: Vec<ServiceName>,
    /// Only what this one asked: `operators/ada`, or `ada`
    #[arg(long, value_name = "WHO", default_value = "", hide_default_value = true)]
    who: String,
    /// Only this verb: `registry/retire`, or `retire`
    #[arg(long, value_name = "VERB", value_parser = verb)]
    verb: Option<String>,
    /// Only about this: `devices/pump-7`, or `pump-7`
    #[arg(long, value_name = "SUBJECT", default_value = "", hide_default_value = true)]
    subject: String,
    /// Only of the time since: `12h` ago, `2030-01-31`, or `2030-01-31T12:00:00Z`
    #[arg(long, value_name = "TIME", value_parser = past)]
    since: Option<i64>,
    /// Only of the time before, in the same forms
    #[arg(long, value_name = "TIME", value_parser = past)]
    until: Option<i64>,
    /// Show at most this many [default: 50]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Show them all
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Show what was changed, field by field
    #[arg(long)]
    changes: bool,
    /// Show every column whole, however wide that is [default: what there is room for]
    #[arg(long)]
    wide: bool,
}

impl Show {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let ask = ReadAudit {
            who: self.who,
            verb: self.verb.unwrap_or_default(),
            subject: self.subject,
            since_ms: self.since.unwrap_or_default(),
            until_ms: self.until.unwrap_or_default(),
            newest_first: true,
            ..ReadAudit::default()
        };
        let most = if self.all {
            usize::MAX
        } else {
            self.limit.unwrap_or(GLANCE)
        };
        let services = services(self.services);
        let mut entries = global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let mut entries = Vec::new();
            for service in services {
                let take = |page| {
                    entries.extend(page);
                    Ok(())
                };
                read::pages(&client, service, &ask, most, take).await?;
            }
            client.disconnect().await;
            Ok(entries)
        })?;
        // The newest of all services.
        entries.sort_by_key(|entry| {
            (
                std::cmp::Reverse(entry.time_ms),
                std::cmp::Reverse(entry.sequence),
            )
        });
        entries.truncate(most);
        if global.json {
            return entries.iter().try_for_each(print::json);
        }
        let headings = ["time", "who", "verb", "about", "outcome", "reason", "from"];
        let rows = entries.iter().map(|entry| row(entry, self.changes));
        print::list(self.wide, &headings, rows.collect())
    }
}

/// A verb that the log tells of, with its service or without.
fn verb(text: &str) -> Result<String, String> {
    if text == CA {
        return Ok(text.to_owned());
    }
    let is_meant = |verb: &&Verb| match text.split_once('/') {
        Some((service, name)) => verb.service.word() == service && verb.name == name,
        None => verb.name == text,
    };
    let known: Vec<_> = VERBS.iter().filter(is_meant).collect();
    if known.iter().any(|verb| verb.audit == Audit::Recorded) {
        return Ok(text.to_owned());
    }
    if !known.is_empty() {
        return Err("the log tells of what was to be changed, and this verb is not among it".into());
    }
    let name = text.rsplit('/').next().unwrap_or(text);
    let recorded = VERBS.iter().filter(|verb| verb.audit == Audit::Recorded);
    let hint = alike::hint(name, recorded.map(|verb| verb.name));
    Err(format!(
        "there is no such verb{hint}; `muster operator roles` names them"
    ))
}

fn row(entry: &AuditEntry, changes: bool) -> print::Row {
    let about = match entry.subjects.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [one, rest @ ..] => format!("{one} and {} more", rest.len()),
    };
    let outcome = match entry.count {
        0 | 1 => entry.outcome.clone(),
        n => format!("{}, {n} times", entry.outcome),
    };
    let cells = vec![
        print::time(entry.time_ms),
        entry.who.clone(),
        entry.verb.clone(),
        about,
        outcome,
        reason(entry),
        entry.address.clone(),
    ];
    let mut beneath = Vec::new();
    if changes {
        beneath.extend(entry.changes.iter().map(change::sentence));
        if entry.more_changes {
            beneath.push("and more".into());
        }
    }
    print::Row { cells, beneath }
}

/// Why it was refused, or what whoever asked gave as the reason.
fn reason(entry: &AuditEntry) -> String {
    let given = || {
        let is_reason = |field: &str| field == "reason" || field.ends_with("_reason");
        let mut changes = entry.changes.iter();
        let found = changes.find(|change| is_reason(&change.field) && !change.after.is_empty());
        found.map(|change| change.after.clone())
    };
    let refused = Some(entry.reason.clone()).filter(|reason| !reason.is_empty());
    refused.or_else(given).unwrap_or_default()
}

/// A time that is over: `12h` means so long ago.
/// So long ago, or a date.
pub(in crate::cli) fn past(text: &str) -> Result<i64, String> {
    let now = host::clock::wall_ms();
    let ago = |ago: Duration| {
        i64::try_from(ago.as_millis())
            .ok()
            .and_then(|ago| now.checked_sub(ago))
    };
    let bad =
        "give a time ago such as `12h` or `7d`, or a date such as `2030-01-31` or `2030-01-31T12:00:00Z`";
    match humantime::parse_duration(text) {
        Ok(duration) => ago(duration).ok_or_else(|| bad.to_owned()),
        Err(_) => text
            .parse::<crate::cli::cert::When>()
            .map(|when| when.ms())
            .map_err(|_| bad.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use contract::v1::AuditChange;

    use super::*;

    #[test]
    fn times_are_ago_or_dates() {
        let now = host::clock::wall_ms();
        assert!((past("1h").unwrap() - (now - 3_600_000)).abs() < 60_000);
        assert_eq!(past("1970-01-02").unwrap(), 86_400_000);
        assert!(past("soon").is_err());
    }

    #[test]
    fn what_muster_ca_changes_can_be_asked_for_though_it_is_no_verb() {
        assert_eq!(verb("provisioning/ca").as_deref(), Ok("provisioning/ca"));
        assert!(verb("provisioning/authorities").is_err() && verb("ca").is_err());
    }

    #[test]
    fn changes_are_told_beneath_their_entry() {
        let entry = AuditEntry {
            subjects: vec!["devices/a".into(), "devices/b".into()],
            outcome: "denied".into(),
            reason: "not yours".into(),
            count: 3,
            changes: vec![AuditChange {
                record: "devices/a".into(),
                field: "owner".into(),
                after: "x".into(),
                ..AuditChange::default()
            }],
            more_changes: true,
            ..AuditEntry::default()
        };
        let told = row(&entry, true);
        assert_eq!(
            told.cells[3..6],
            ["devices/a and 1 more", "denied, 3 times", "not yours"]
        );
        assert_eq!(told.beneath, ["devices/a owner = x", "and more"]);
        assert!(row(&entry, false).beneath.is_empty());
    }

    #[test]
    fn the_reason_is_the_refusal_s_or_what_was_given() {
        let mut entry = AuditEntry {
            changes: vec![AuditChange {
                field: "restriction_reason".into(),
                after: "a leak".into(),
                ..AuditChange::default()
            }],
            ..AuditEntry::default()
        };
        assert_eq!(reason(&entry), "a leak");
        entry.reason = "not yours".into();
        assert_eq!(reason(&entry), "not yours");
        assert_eq!(reason(&AuditEntry::default()), "");
    }
}
