//! `muster monitor alerts`

use anyhow::Result;
use contract::{
    Id,
    id::ServiceName,
    v1::{Alert, AlertsListed, ListAlerts, Severity},
};

use super::super::{
    Global,
    list::Limit,
    print,
    words::{self, say},
};

#[derive(clap::Args)]
pub(crate) struct Alerts {
    /// Also those that are over
    #[arg(long)]
    cleared: bool,
    /// Of this device
    #[arg(long)]
    device: Option<Id>,
    /// Of this rule; `offline` is built in
    #[arg(long, value_name = "ID")]
    rule: Option<Id>,
    /// At least this severe
    #[arg(long, value_parser = words::parser::<Severity>())]
    severity: Option<Severity>,
    #[command(flatten)]
    limit: Limit,
}

impl Alerts {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let wanted = ListAlerts {
            include_cleared: self.cleared,
            device_id: self.device.as_ref().map(Id::to_string).unwrap_or_default(),
            ..ListAlerts::default()
        };
        let listed = self.limit.collect(
            global,
            (ServiceName::Monitoring, "alerts"),
            |page| ListAlerts {
                page_size: page.size,
                page: page.token,
                ..wanted.clone()
            },
            |mut reply: AlertsListed| {
                reply.alerts.retain(|alert| self.is_wanted(alert));
                (reply.alerts, reply.next_page)
            },
        )?;
        let headings = [
            "device", "rule", "severity", "value", "raised", "cleared", "detail", "id",
        ];
        listed.print(global, &headings, row)
    }

    /// What the service does not look for itself.
    fn is_wanted(&self, alert: &Alert) -> bool {
        self.rule
            .as_ref()
            .is_none_or(|rule| rule.as_str() == alert.rule_id)
            && self.severity.is_none_or(|least| alert.severity() >= least)
    }
}

fn row(alert: &Alert) -> Vec<String> {
    vec![
        alert.device_id.clone(),
        alert.rule_id.clone(),
        say(alert.severity()),
        alert.value.to_string(),
        print::time(alert.raised_at_ms),
        print::time(alert.cleared_at_ms),
        alert.detail.clone(),
        alert.alert_id.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;

    #[test]
    fn rule_and_least_severity_must_both_hold() {
        let command = Alerts::augment_args(Command::new("alerts"));
        let matches = command.get_matches_from(["alerts", "--rule", "hot", "--severity", "high"]);
        let wanted = Alerts::from_arg_matches(&matches).unwrap();
        for (rule, severity, expected) in [
            ("hot", Severity::Critical, true),
            ("hot", Severity::High, true),
            ("hot", Severity::Medium, false),
            ("cold", Severity::Critical, false),
        ] {
            let alert = Alert {
                rule_id: rule.into(),
                severity: severity.into(),
                ..Alert::default()
            };
            assert_eq!(wanted.is_wanted(&alert), expected, "{rule} {severity:?}");
        }
    }
}
