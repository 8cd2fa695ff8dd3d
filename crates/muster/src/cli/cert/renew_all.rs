//! `muster cert renew-all`

use std::time::Duration;

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use contract::{
    Id,
    id::ServiceName,
    v1::{Changed, DevicesListed, ListDevices, RenewMany},
};
use pki::KeyKind;

use super::{
    super::{
        Global,
        confirm::{Confirm, Consent},
        list::Page,
        print, whole,
    },
    renewals,
};
use crate::exit::{Exit, Failure};

/// Devices that one request may name.
const NAMED_MAX: usize = 3_000;

#[derive(clap::Args)]
pub(in crate::cli) struct RenewAll {
    /// Certificates of this issuing CA
    #[arg(long, value_name = "CA")]
    ca: Option<String>,
    /// Devices that came in by this batch
    #[arg(long, value_name = "BATCH")]
    batch: Option<Id>,
    /// Certificates for keys of this kind
    #[arg(long, value_name = "KIND", value_parser = PossibleValuesParser::new(KeyKind::ALL.map(KeyKind::word)))]
    key_kind: Option<String>,
    /// Members of this group
    #[arg(long, value_name = "ID")]
    group: Option<Id>,
    /// Devices of this type
    #[arg(long = "type", value_name = "TYPE")]
    device_type: Option<Id>,
    /// Devices that fit this query now, 3000 at most, see docs/registry.md
    #[arg(long = "where", value_name = "QUERY", conflicts_with = "devices")]
    query: Option<String>,
    /// These devices
    #[arg(long = "device", value_name = "ID,ID", value_delimiter = ',')]
    devices: Vec<Id>,
    /// How many devices are told, for example 600/min or 20/s
    #[arg(long, value_name = "N/min", default_value = "600/min", value_parser = per_minute)]
    rate: u32,
    /// How long devices have for it
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = humantime::parse_duration)]
    within: Duration,
    #[command(flatten)]
    order: Order,
}

/// How devices are told to renew, whichever they are.
#[derive(clap::Args)]
pub(super) struct Order {
    /// Why; the events and the audit log tell it
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) reason: String,
    /// Wait until all have renewed, and say how far it is
    #[arg(long)]
    pub(super) watch: bool,
    #[command(flatten)]
    pub(super) confirm: Confirm,
}

impl RenewAll {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let what = format!("have {} renew, {} a minute", self.words(), self.rate);
        let Consent::Given = self.order.confirm.ask(global, &what)? else {
            return Ok(());
        };
        let device_ids = match &self.query {
            Some(query) => fitting(global, query)?,
            None => self.devices.iter().map(Id::to_string).collect(),
        };
        let text = |id: &Option<Id>| id.as_ref().map(Id::to_string).unwrap_or_default();
        let request = RenewMany {
            request_id: String::new(),
            issuer: self.ca.clone().unwrap_or_default(),
            batch: text(&self.batch),
            key_kind: self.key_kind.clone().unwrap_or_default(),
            group: text(&self.group),
            device_type: text(&self.device_type),
            device_ids,
            per_minute: self.rate,
            within_ms: u64::try_from(self.within.as_millis()).unwrap_or(u64::MAX),
            reason: self.order.reason.clone(),
        };
        begin(global, &request, self.order.watch)
    }

    fn words(&self) -> String {
        let id = |id: &Option<Id>| id.as_ref().map(Id::to_string);
        let conditions = [
            ("whose certificate is of the CA", self.ca.clone()),
            ("of the batch", id(&self.batch)),
            ("whose key is", self.key_kind.clone()),
            ("in the group", id(&self.group)),
            ("of the type", id(&self.device_type)),
            ("that fit", self.query.clone()),
        ];
        let mut text = match self.devices.len() {
            0 => "all devices".to_owned(),
            1 => "1 device".to_owned(),
            count => format!("{count} devices"),
        };
        for (words, value) in conditions {
            if let Some(value) = value {
                text = format!("{text} {words} {}", print::clean(&value));
            }
        }
        text
    }
}

/// Begins a mass renewal, and waits for its end if that is wanted.
pub(super) fn begin(global: &Global, request: &RenewMany, watch: bool) -> Result<()> {
    let begun: Changed = global.ask(ServiceName::Provisioning, "renew-many", request)?;
    if watch {
        return renewals::watch(global, &begun.id);
    }
    if global.json {
        return print::json(&begun);
    }
    print::line(format!(
        "{0} has begun; see `muster cert renewals show {0} --watch`",
        begun.id
    ))
}

/// The ids of the devices that fit a query.
fn fitting(global: &Global, query: &str) -> Result<Vec<String>> {
    let request = |Page { size, token }| ListDevices {
        r#where: query.to_owned(),
        page_size: size,
        page: token,
        ..ListDevices::default()
    };
    let take = |page: DevicesListed| {
        let ids = page.devices.into_iter().map(|device| device.device_id);
        (ids.collect(), page.next_page)
    };
    let ids: Vec<String> = global.block_on(async {
        let (client, _inbox) = global.connect().await?;
        let ids = whole::all(&client, (ServiceName::Registry, "list"), request, take).await;
        client.disconnect().await;
        ids
    })?;
    match ids.len() {
        0 => Err(Failure::new(Exit::NotFound, "no device fits this query").into()),
        1..=NAMED_MAX => Ok(ids),
        count => {
            let message = format!(
                "{count} devices fit this query, and {NAMED_MAX} may be named at once: make a group of it (`muster \
                 group put ID --where QUERY`) and give --group"
            );
            Err(Failure::usage(message).into())
        }
    }
}

/// Reads `600/min`, `20/s`, `5/h`, or a number for a minute.
fn per_minute(text: &str) -> Result<u32, String> {
    let (number, unit) = text.split_once('/').unwrap_or((text, "min"));
    let number: u32 = number
        .parse()
        .map_err(|_| "a rate is a number of devices for a time: 600/min".to_owned())?;
    let per_minute = match unit {
        "s" => number.checked_mul(60),
        "min" => Some(number),
        "h" => Some(number.div_ceil(60)),
        _ => return Err("the time is `s`, `min` or `h`".into()),
    };
    match per_minute {
        Some(per_minute @ 1..=60_000) => Ok(per_minute),
        _ => Err("1 to 60000 devices a minute".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_people_write_them() {
        for (text, expected) in [("600/min", 600), ("20/s", 1_200), ("90/h", 2), ("7", 7)] {
            assert_eq!(per_minute(text), Ok(expected), "{text}");
        }
        for bad in [
            "",
            "0",
            "x/min",
            "1/day",
            "1001/s",
            "60001",
            "-1/min",
            "4294967295/s",
        ] {
            assert!(per_minute(bad).is_err(), "{bad}");
        }
    }
}
