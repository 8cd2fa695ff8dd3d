//! `muster config show`, `list`, `drift`

use anyhow::{Context, Result};
use contract::{
    Id,
    id::ServiceName,
    v1::{
        ConfigDrift, ConfigDriftListed, ConfigShown, ConfigsListed, DeviceConfig, ListConfigDrift,
        ListConfigs, ShowConfig,
    },
};

use super::super::{Global, list::Limit, matching::Matching, print};

#[derive(clap::Args)]
pub(crate) struct Show {
    /// The device
    id: Id,
}

#[derive(clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    matching: Matching,
    #[command(flatten)]
    limit: Limit,
}

#[derive(clap::Args)]
pub(crate) struct Drift {
    #[command(flatten)]
    limit: Limit,
}

impl Show {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let request = ShowConfig {
            device_id: self.id.to_string(),
            ..ShowConfig::default()
        };
        let shown: ConfigShown = global.ask(ServiceName::Registry, "config-show", &request)?;
        if global.json {
            return print::json(&shown);
        }
        let config = shown.config.context("the answer holds no configuration")?;
        if config.version == 0 {
            return print::line(format!("nothing is set for {}", self.id));
        }
        print::fields(&fields(&config))
    }
}

fn fields(config: &DeviceConfig) -> Vec<(&'static str, String)> {
    let reported = match config.reported_version {
        0 => String::new(),
        version => format!("version {version}, {}", print::time(config.reported_at_ms)),
    };
    vec![
        ("version", config.version.to_string()),
        ("changed", print::time(config.changed_at_ms)),
        ("by", config.changed_by.clone()),
        ("own", config.own.clone()),
        ("desired", config.desired.clone()),
        ("reported", config.reported.clone()),
        ("told", reported),
        ("error", config.error.clone()),
        ("held back", config.held_back.clone()),
        ("drift", print::yes(config.drift)),
    ]
}

impl List {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let listed = self.limit.collect(
            global,
            (ServiceName::Registry, "config-list"),
            |page| ListConfigs {
                r#where: self.matching.query.clone(),
                page_size: page.size,
                page: page.token,
                ..ListConfigs::default()
            },
            |reply: ConfigsListed| (reply.configs, reply.next_page),
        )?;
        listed.print(global, &["id", "version", "changed", "by", "settings"], |own| {
            vec![
                own.device_id.clone(),
                own.version.to_string(),
                print::time(own.changed_at_ms),
                own.changed_by.clone(),
                own.document.clone(),
            ]
        })
    }
}

impl Drift {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let listed = self.limit.collect(
            global,
            (ServiceName::Registry, "config-drift"),
            |page| ListConfigDrift {
                page_size: page.size,
                page: page.token,
                ..ListConfigDrift::default()
            },
            |reply: ConfigDriftListed| (reply.devices, reply.next_page),
        )?;
        listed.print(global, &["id", "version", "told", "since", "why"], row)
    }
}

fn row(drift: &ConfigDrift) -> Vec<String> {
    let why = match drift {
        _ if !drift.held_back.is_empty() => drift.held_back.clone(),
        _ if !drift.error.is_empty() => drift.error.clone(),
        _ if drift.reported_version == drift.version => "it says that it has something else".to_owned(),
        _ => "it has not said that it has it".to_owned(),
    };
    vec![
        drift.device_id.clone(),
        drift.version.to_string(),
        drift.reported_version.to_string(),
        print::time(drift.changed_at_ms),
        why,
    ]
}
