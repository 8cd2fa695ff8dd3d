//! `muster rollout watch`

use std::time::Duration;

use anyhow::Result;
use client::{AskError, Client};
use contract::{
    Id,
    id::ServiceName,
    v1::{Rollout, RolloutShown, RolloutState, ShowRollout},
};
use host::clock::wall_ms;
use indicatif::ProgressBar;

use super::{
    super::{Global, global, print, progress, words::say},
    total,
};
use crate::exit::{Exit, Failure};

#[derive(clap::Args)]
pub(in crate::cli) struct Watch {
    /// The rollout
    id: Id,
    /// How often to look
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration, value_name = "TIME")]
    every: Duration,
}

impl Watch {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let rollout = global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let rollout = self.until_it_ends(global, &client).await;
            client.disconnect().await;
            rollout
        })?;
        verdict(&rollout)
    }

    /// Says each change, until there can be no other.
    async fn until_it_ends(&self, global: &Global, client: &Client) -> Result<Rollout> {
        let bar = progress::bar(0, "devices");
        let mut seen = Rollout::default();
        loop {
            if let Some(rollout) = self.look(client, &bar).await? {
                if rollout != seen {
                    seen = rollout;
                    show(global, &bar, &seen)?;
                }
                if is_over(seen.state()) {
                    bar.finish_and_clear();
                    return Ok(seen);
                }
            }
            tokio::time::sleep(self.every).await;
        }
    }

    /// `None`: nobody answers just now. A watch outlives a restart of the service.
    async fn look(&self, client: &Client, bar: &ProgressBar) -> Result<Option<Rollout>> {
        let request = ShowRollout {
            rollout_id: self.id.to_string(),
            ..ShowRollout::default()
        };
        match client
            .ask::<RolloutShown>(ServiceName::Rollout, "show", &request)
            .await
        {
            Ok(shown) => Ok(Some(shown.rollout.unwrap_or_default())),
            Err(error @ AskError::Silence { .. }) => {
                bar.suspend(|| print::note(format!("{error}; trying again")));
                Ok(None)
            }
            Err(error) => Err(global::explain(error)),
        }
    }
}

fn show(global: &Global, bar: &ProgressBar, rollout: &Rollout) -> Result<()> {
    let total = total(rollout);
    bar.set_length(total.devices.into());
    bar.set_position(total.devices.saturating_sub(total.open).into());
    bar.suspend(|| {
        if global.json {
            print::json(rollout)
        } else {
            print::line(sentence(wall_ms(), rollout))
        }
    })
}

fn sentence(now_ms: i64, rollout: &Rollout) -> String {
    let total = total(rollout);
    let mut text = format!(
        "{} {}: wave {} of {}, {} of {} devices succeeded",
        print::time(now_ms),
        say(rollout.state()),
        total.number,
        rollout.waves.len(),
        total.succeeded,
        total.devices,
    );
    for (count, word) in [
        (total.failed, "failed"),
        (total.canceled, "canceled"),
        (total.open, "open"),
    ] {
        if count > 0 {
            text = format!("{text}, {count} {word}");
        }
    }
    if rollout.left_out > 0 {
        text = format!("{text}; {} cannot take it", rollout.left_out);
    }
    text
}

fn is_over(state: RolloutState) -> bool {
    matches!(
        state,
        RolloutState::Succeeded | RolloutState::Failed | RolloutState::Aborted
    )
}

/// Only success is success.
fn verdict(rollout: &Rollout) -> Result<()> {
    if rollout.state() == RolloutState::Succeeded {
        return Ok(());
    }
    let Rollout {
        rollout_id,
        end_reason,
        ..
    } = rollout;
    let state = say(rollout.state());
    let why = if end_reason.is_empty() {
        String::new()
    } else {
        format!(": {}", print::clean(end_reason))
    };
    let hint = format!("see `muster rollout updates {rollout_id}`");
    Err(Failure::new(
        Exit::Failed,
        format!("the rollout {rollout_id} ended as {state}{why}; {hint}"),
    )
    .into())
}

#[cfg(test)]
mod tests {
    use contract::v1::Wave;

    use super::*;

    fn rollout(state: RolloutState) -> Rollout {
        let wave = Wave {
            number: 1,
            devices: 5,
            succeeded: 3,
            failed: 1,
            open: 1,
            started: true,
            canceled: 0,
        };
        let waves = vec![
            wave,
            Wave {
                number: 2,
                devices: 5,
                open: 5,
                ..Wave::default()
            },
        ];
        Rollout {
            rollout_id: "r-7".into(),
            state: state.into(),
            waves,
            ..Rollout::default()
        }
    }

    #[test]
    fn a_sentence_leaves_out_what_is_none() {
        let text = sentence(1_700_000_000_000, &rollout(RolloutState::Running));
        let expected = "running: wave 1 of 2, 3 of 10 devices succeeded, 1 failed, 6 open";
        assert_eq!(text, format!("2023-11-14 22:13:20Z {expected}"));
    }

    #[test]
    fn only_success_ends_well() {
        let end = |state| {
            verdict(&rollout(state))
                .err()
                .map(|error| crate::exit::code_of(&error))
        };
        assert_eq!(end(RolloutState::Succeeded), None);
        assert_eq!(end(RolloutState::Failed), Some(1));
        assert_eq!(end(RolloutState::Aborted), Some(1));
    }

    #[test]
    fn a_pause_is_no_end() {
        for state in [
            RolloutState::Running,
            RolloutState::Paused,
            RolloutState::Unspecified,
        ] {
            assert!(!is_over(state));
        }
    }
}
