//! `muster monitor status`

use anyhow::Result;
use contract::{
    id::ServiceName,
    v1::{Summarize, Summary},
};

use super::super::{Global, print};

#[derive(clap::Args)]
pub(crate) struct Status {}

impl Status {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let summary: Summary = global.ask(ServiceName::Monitoring, "summary", &Summarize::default())?;
        if global.json {
            return print::json(&summary);
        }
        let devices = summary.online + summary.grace + summary.offline + summary.never;
        print::fields(&[
            ("devices", devices.to_string()),
            ("online", summary.online.to_string()),
            ("just gone", summary.grace.to_string()),
            ("offline", summary.offline.to_string()),
            ("never seen", summary.never.to_string()),
            ("open alerts", summary.open_alerts.to_string()),
        ])
    }
}
