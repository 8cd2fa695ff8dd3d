//! `muster config explain`

use anyhow::Result;
use contract::{
    Id,
    id::ServiceName,
    v1::{ConfigExplained, ConfigSetting, ExplainConfig},
};

use super::super::{Global, print};

#[derive(clap::Args)]
pub(crate) struct Explain {
    /// The device
    id: Id,
}

impl Explain {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let request = ExplainConfig {
            device_id: self.id.to_string(),
            ..ExplainConfig::default()
        };
        let explained: ConfigExplained = global.ask(ServiceName::Registry, "config-explain", &request)?;
        if global.json {
            return print::json(&explained);
        }
        let rows = explained.settings.iter().map(row).collect();
        print::table(
            &["setting", "value", "from", "instead of", "the device has"],
            rows,
        )
    }
}

fn row(setting: &ConfigSetting) -> Vec<String> {
    vec![
        setting.path.clone(),
        setting.value.clone(),
        setting.source.clone(),
        setting.over.join(", "),
        setting.reported.clone(),
    ]
}
