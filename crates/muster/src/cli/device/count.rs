//! `muster device count`

use std::collections::BTreeMap;

use anyhow::Result;
use contract::{
    id::ServiceName,
    v1::{CountDevices, DeviceCount, DevicesCounted},
};

use super::super::{Global, global, matching::Matching, print};

#[derive(clap::Args)]
pub(crate) struct Count {
    #[command(flatten)]
    matching: Matching,
    /// By the values of this field
    #[arg(long, value_name = "FIELD", default_value = "", hide_default_value = true)]
    by: String,
    /// Only the most frequent values
    #[arg(long, value_name = "N", requires = "by")]
    top: Option<usize>,
}

impl Count {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let mut counted = global.block_on(self.ask(global))?;
        if let Some(top) = self.top.filter(|top| *top < counted.counts.len()) {
            let rest = counted.counts.split_off(top);
            counted.others += rest.iter().map(|count| count.count).sum::<u64>();
        }
        if global.json {
            return print::json(&counted);
        }
        if self.by.is_empty() {
            return print::line(counted.total.to_string());
        }
        let said = |value: &str| {
            if value.is_empty() {
                "(none)".to_owned()
            } else {
                value.to_owned()
            }
        };
        let mut rows: Vec<_> = counted
            .counts
            .iter()
            .map(|c| vec![said(&c.value), c.count.to_string()])
            .collect();
        if counted.others > 0 {
            rows.push(vec!["(others)".into(), counted.others.to_string()]);
        }
        print::table(&[&self.by, "devices"], rows)?;
        print::line(format!("{} devices", counted.total))
    }

    /// A large fleet is counted in several answers.
    async fn ask(&self, global: &Global) -> Result<DevicesCounted> {
        let (client, _inbox) = global.connect().await?;
        let (mut counts, mut whole) = (BTreeMap::<String, u64>::new(), DevicesCounted::default());
        let mut page = String::new();
        loop {
            let request = CountDevices {
                r#where: self.matching.query.clone(),
                by: self.by.clone(),
                page,
                ..CountDevices::default()
            };
            let part: DevicesCounted = global::ask(&client, ServiceName::Registry, "count", &request).await?;
            for count in part.counts {
                *counts.entry(count.value).or_default() += count.count;
            }
            whole.total += part.total;
            whole.others += part.others;
            page = part.next_page;
            if page.is_empty() {
                break;
            }
        }
        client.disconnect().await;
        whole.counts = counts
            .into_iter()
            .map(|(value, count)| DeviceCount { value, count })
            .collect();
        whole.counts.sort_by_key(|count| std::cmp::Reverse(count.count));
        Ok(whole)
    }
}
