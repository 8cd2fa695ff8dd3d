//! `muster monitor devices` and `show`

use std::time::Duration;

use anyhow::Result;
use contract::{
    Id,
    id::ServiceName,
    v1::{Connectivity, DeviceStatus, ListStatus, ShowStatus, StatusListed, StatusShown},
};

use super::super::{
    Global,
    list::Limit,
    print,
    words::{self, say},
};

#[derive(clap::Args)]
pub(crate) struct Devices {
    /// Only those that are this; `grace`: gone, and not yet for as long as `monitoring.grace` says
    #[arg(long, value_parser = words::parser::<Connectivity>())]
    connectivity: Option<Connectivity>,
    #[command(flatten)]
    limit: Limit,
}

#[derive(clap::Args)]
pub(crate) struct Show {
    /// The device
    id: Id,
}

impl Devices {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let connectivity = self.connectivity.unwrap_or_default().into();
        let listed = self.limit.collect(
            global,
            (ServiceName::Monitoring, "list"),
            |page| ListStatus {
                connectivity,
                page_size: page.size,
                page: page.token,
                ..ListStatus::default()
            },
            |reply: StatusListed| (reply.devices, reply.next_page),
        )?;
        let headings = [
            "id",
            "connectivity",
            "since",
            "address",
            "cause",
            "heartbeat",
            "alerts",
            "violations",
        ];
        listed.print(global, &headings, row)
    }
}

impl Show {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let request = ShowStatus {
            device_id: self.id.to_string(),
            ..ShowStatus::default()
        };
        let shown: StatusShown = global.ask(ServiceName::Monitoring, "show", &request)?;
        let status = shown.status.unwrap_or_default();
        if global.json {
            print::json(&status)
        } else {
            print_status(&status)
        }
    }
}

fn row(status: &DeviceStatus) -> Vec<String> {
    vec![
        status.device_id.clone(),
        say(status.connectivity()),
        print::time(status.since_ms),
        status.address.clone(),
        status.cause.clone(),
        print::time(status.heartbeat_ms),
        status.open_alerts.to_string(),
        status.violations.to_string(),
    ]
}

fn print_status(status: &DeviceStatus) -> Result<()> {
    print::fields(&[
        ("id", status.device_id.clone()),
        ("connectivity", since(status)),
        ("address", status.address.clone()),
        ("over", over(status)),
        ("client id", status.client_id.clone()),
        ("certificate", status.serial.clone()),
        ("session", session(status)),
        ("cause", status.cause.clone()),
        ("reason", status.reason.clone()),
        (
            "not let in",
            status.refused.as_ref().map(words::refused).unwrap_or_default(),
        ),
        ("heartbeat", print::time(status.heartbeat_ms)),
        ("uptime", uptime(status.uptime_ms)),
        ("boots", count(status.boot_count)),
        ("open alerts", status.open_alerts.to_string()),
        ("violations", status.violations.to_string()),
    ])?;
    if status.metrics.is_empty() {
        return Ok(());
    }
    let rows = status
        .metrics
        .iter()
        .map(|(name, value)| vec![name.clone(), number(*value)]);
    print::table(&["metric", "value"], rows.collect())
}

/// To three places, which is more than sensors know.
fn number(value: f64) -> String {
    ((value * 1_000.0).round() / 1_000.0).to_string()
}

fn since(status: &DeviceStatus) -> String {
    let connectivity = match status.connectivity() {
        Connectivity::Grace => "just gone (offline once `monitoring.grace` is over),".to_owned(),
        other => say(other),
    };
    match print::time(status.since_ms) {
        since if since.is_empty() => connectivity,
        since => format!("{connectivity} since {since}"),
    }
}

/// What its newest session speaks: `MQTT 5, TLS 1.3, keep-alive 60 s`.
fn over(status: &DeviceStatus) -> String {
    let Some(version) = status.protocol.strip_prefix("mqtt-") else {
        return String::new();
    };
    let tls = match status.tls.as_str() {
        "" => "without TLS".to_owned(),
        version => format!("TLS {version}"),
    };
    let keep_alive = match status.keep_alive_s {
        0 => "without keep-alive".to_owned(),
        seconds => format!("keep-alive {seconds} s"),
    };
    format!("MQTT {version}, {tls}, {keep_alive}")
}

/// A number that only grows, of two.
fn session(status: &DeviceStatus) -> String {
    match status.session {
        0 => String::new(),
        number => format!("{number} of the server's start {}", status.boot),
    }
}

fn uptime(ms: u64) -> String {
    if ms == 0 {
        String::new()
    } else {
        print::duration(Duration::from_secs(ms / 1_000))
    }
}

fn count(number: u64) -> String {
    if number == 0 {
        String::new()
    } else {
        number.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_said() {
        let mut status = DeviceStatus::default();
        status.set_connectivity(Connectivity::Never);
        assert_eq!(since(&status), "never");
        status.since_ms = 86_400_000;
        assert_eq!(since(&status), "never since 1970-01-02 00:00:00Z");
        status.set_connectivity(Connectivity::Grace);
        assert!(since(&status).starts_with("just gone"), "{}", since(&status));
        assert_eq!(
            (uptime(0), uptime(93_784_500)),
            (String::new(), "1 day 2 h 3 m 4 s".to_owned())
        );
    }
}
