//! `muster broker limits` and `listeners`

use anyhow::Result;
use contract::{
    id::ServiceName,
    v1::{FrontDoorLimit, LimitsListed, ListLimits, ListListeners, ListenersListed},
};

use super::super::{Global, print};

#[derive(clap::Args)]
pub(crate) struct Limits {
    /// Only those that were met
    #[arg(long)]
    met: bool,
}

#[derive(clap::Args)]
pub(crate) struct Listeners {}

impl Limits {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let listed: LimitsListed = global.ask(ServiceName::FrontDoor, "limits", &ListLimits::default())?;
        let mut limits = listed.limits;
        limits.retain(|limit| limit.met > 0 || !self.met);
        if global.json {
            return limits.iter().try_for_each(print::json);
        }
        print::table(
            &["limit", "value", "unit", "met", "what happens then"],
            limits.iter().map(row).collect(),
        )?;
        print::line(format!("counted since {}", print::time(listed.since_ms)))
    }
}

fn row(limit: &FrontDoorLimit) -> Vec<String> {
    vec![
        limit.name.clone(),
        limit.value.to_string(),
        limit.unit.clone(),
        limit.met.to_string(),
        limit.beyond.clone(),
    ]
}

impl Listeners {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let asked = ListListeners::default();
        let listed: ListenersListed = global.ask(ServiceName::FrontDoor, "listeners", &asked)?;
        if global.json {
            return listed.listeners.iter().try_for_each(print::json);
        }
        let row = |listener: &contract::v1::Listener| {
            vec![
                listener.name.clone(),
                listener.address.clone(),
                if listener.tls { "yes" } else { "no" }.into(),
                listener.sessions.to_string(),
            ]
        };
        print::table(
            &["listener", "address", "tls", "sessions"],
            listed.listeners.iter().map(row).collect(),
        )
    }
}
