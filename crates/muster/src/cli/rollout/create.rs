//! `muster rollout create`

use std::time::Duration;

use anyhow::Result;
use client::Client;
use contract::{
    Id,
    id::ServiceName,
    v1::{Changed, CreateRollout, Rollout, RolloutShown, ShowRollout},
};

use super::super::{
    Global,
    firmware::{Choice, FORMS},
    global, print,
    rollout::total,
};

#[derive(clap::Args)]
pub(in crate::cli) struct Create {
    /// What to call it
    id: Id,
    /// The firmware: a release, or how its artifact id begins
    #[arg(long, value_name = FORMS)]
    artifact: Choice,
    /// For the members that this group has now
    #[arg(long, conflicts_with = "devices", required_unless_present = "devices")]
    group: Option<Id>,
    /// For this device; may be given several times
    #[arg(long = "device", value_name = "DEVICE")]
    devices: Vec<Id>,
    /// The share of devices in each wave, percent; they add up to 100
    #[arg(long, value_delimiter = ',', default_value = "10,30,60", value_name = "PERCENT,…",
          value_parser = clap::value_parser!(u32).range(1..=100))]
    waves: Vec<u32>,
    /// A wave is good when at least this share of it succeeded, percent
    #[arg(long, default_value_t = 90, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(1..=100))]
    success: u32,
    /// How long each device may take
    #[arg(long, default_value = "1h", value_parser = humantime::parse_duration, value_name = "TIME")]
    device_timeout: Duration,
}

impl Create {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let rollout_id = self.id.to_string();
        let (changed, rollout) = global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let created = match self.create(&client).await {
                Ok(changed) => Ok((changed, shown(&client, rollout_id).await)),
                Err(error) => Err(error),
            };
            client.disconnect().await;
            created
        })?;
        if global.json {
            return print::json(&changed);
        }
        print::line(begun(&changed.id, rollout.as_ref()))
    }

    async fn create(self, client: &Client) -> Result<Changed> {
        let artifact_id = match self.artifact.whole_id() {
            Some(id) => id.to_owned(),
            None => self.artifact.find(client).await?.artifact_id,
        };
        let request = self.request(artifact_id);
        global::ask(client, ServiceName::Rollout, "create", &request).await
    }

    fn request(self, artifact_id: String) -> CreateRollout {
        CreateRollout {
            request_id: String::new(),
            rollout_id: self.id.to_string(),
            artifact_id,
            group: self.group.map(|group| group.to_string()).unwrap_or_default(),
            device_ids: self.devices.iter().map(Id::to_string).collect(),
            waves: self.waves,
            success_percent: self.success,
            timeout_ms: u64::try_from(self.device_timeout.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// What has begun; `None` when it cannot be seen just now, which changes nothing.
async fn shown(client: &Client, rollout_id: String) -> Option<Rollout> {
    let request = ShowRollout {
        rollout_id,
        ..ShowRollout::default()
    };
    let shown = client
        .ask::<RolloutShown>(ServiceName::Rollout, "show", &request)
        .await;
    shown.ok()?.rollout
}

/// Who takes part, and above all who does not: nobody else says so.
fn begun(id: &str, rollout: Option<&Rollout>) -> String {
    let counted = rollout.map_or_else(String::new, |rollout| {
        let part = format!(" for {} devices", total(rollout).devices);
        match rollout.left_out {
            0 => part,
            left_out => format!(
                "{part}; {left_out} cannot take it: `muster rollout updates {id} --state refused` says why"
            ),
        }
    });
    format!("{id} has begun{counted}; follow it with `muster rollout watch {id}`")
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};
    use contract::v1::Wave;

    use super::*;

    fn parse(line: &str) -> Result<CreateRollout, clap::Error> {
        let words = ["create"].into_iter().chain(line.split(' '));
        let matches = Create::augment_args(Command::new("create")).try_get_matches_from(words)?;
        let create = Create::from_arg_matches(&matches)?;
        let artifact_id = create.artifact.to_string();
        Ok(create.request(artifact_id))
    }

    #[test]
    fn what_is_not_given_is_what_the_service_would_take() {
        let request = parse("r-7 --artifact AB12 --group line-7").unwrap();
        let expected = CreateRollout {
            rollout_id: "r-7".into(),
            artifact_id: "ab12".into(),
            group: "line-7".into(),
            waves: vec![10, 30, 60],
            success_percent: 90,
            timeout_ms: 3_600_000,
            ..CreateRollout::default()
        };
        assert_eq!(request, expected);
    }

    #[test]
    fn whoever_is_left_out_is_told() {
        let mut rollout = Rollout {
            waves: vec![Wave {
                devices: 3,
                ..Wave::default()
            }],
            ..Rollout::default()
        };
        let whole = "r has begun for 3 devices; follow it with `muster rollout watch r`";
        assert_eq!(begun("r", Some(&rollout)), whole);
        rollout.left_out = 184;
        assert!(begun("r", Some(&rollout)).contains("for 3 devices; 184 cannot take it"));
        assert!(begun("r", None).starts_with("r has begun; follow"));
    }

    #[test]
    fn a_group_or_devices_and_never_both() {
        let request =
            parse("r --artifact a --device p-1 --device p-2 --waves 50,50 --device-timeout 90s").unwrap();
        assert_eq!(request.device_ids, ["p-1", "p-2"]);
        assert_eq!((request.waves, request.timeout_ms), (vec![50, 50], 90_000));
        for bad in [
            "r --artifact a",
            "r --artifact a --group g --device d",
            "r --group g",
            "r --artifact pump-fw --group g",
            "r/ --artifact a --group g",
            "r --artifact a --group g --waves 0,100",
            "r --artifact a --group g --success 101",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
