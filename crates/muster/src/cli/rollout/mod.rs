//! `muster rollout`

mod create;
mod show;
mod steer;
mod watch;

use anyhow::Result;
use contract::v1::{Rollout as Shown, Wave};

use super::Global;

/// Roll firmware out in waves.
#[derive(clap::Subcommand)]
pub(super) enum Rollout {
    /// Roll firmware out to a group or to devices
    ///
    /// Who takes part is settled when the rollout is created. A wave begins when the one before it is good; a wave
    /// that is not good ends the rollout as failed.
    #[command(after_help = "Examples:
  muster rollout create r-7 --artifact pump-fw@2.1.0 --group line-7 --waves 10,30,60 --success 90
  muster rollout create r-8 --artifact 9f86d081 --device pump-7 --device pump-8 --device-timeout 10m
  muster rollout watch r-7")]
    Create(create::Create),
    /// List rollouts
    #[command(after_help = "Examples:
  muster rollout list
  muster --json rollout list --all | jq -r 'select(.state == \"ROLLOUT_STATE_RUNNING\") | .rollout_id'")]
    List(show::List),
    /// Show one rollout and its waves
    #[command(after_help = "Examples:\n  muster rollout show r-7\n  muster --json rollout show r-7")]
    Show(show::Show),
    /// List what has become of a rollout on each device
    #[command(after_help = "Examples:
  muster rollout updates r-7
  muster rollout updates r-7 --state rolled-back --all")]
    Updates(show::Updates),
    /// Start no further device; those that have begun go on
    #[command(after_help = "Examples:\n  muster rollout pause r-7 --reason 'shift change'")]
    Pause(steer::Steer),
    /// Go on with a paused rollout
    #[command(after_help = "Examples:\n  muster rollout resume r-7 --reason 'shift has changed'")]
    Resume(steer::Steer),
    /// End a rollout for good and call off what has not begun
    #[command(after_help = "Examples:
  muster rollout abort r-7 --reason 'wrong image'
  muster rollout abort r-7 --yes")]
    Abort(steer::Abort),
    /// Watch a rollout until it ends
    ///
    /// Ends well only if the rollout succeeded.
    #[command(after_help = "Examples:
  muster rollout watch r-7 && echo everybody has it
  muster --json rollout watch r-7 --every 5s")]
    Watch(watch::Watch),
}

impl Rollout {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Rollout::Create(command) => command.run(global),
            Rollout::List(command) => command.run(global),
            Rollout::Show(command) => command.run(global),
            Rollout::Updates(command) => command.run(global),
            Rollout::Pause(command) => command.run(global, "pause"),
            Rollout::Resume(command) => command.run(global, "resume"),
            Rollout::Abort(command) => command.run(global),
            Rollout::Watch(command) => command.run(global),
        }
    }
}

/// All waves of a rollout taken together; `number` is the newest one that has started.
fn total(rollout: &Shown) -> Wave {
    rollout.waves.iter().fold(Wave::default(), |sum, wave| Wave {
        number: if wave.started {
            sum.number.max(wave.number)
        } else {
            sum.number
        },
        devices: sum.devices + wave.devices,
        succeeded: sum.succeeded + wave.succeeded,
        failed: sum.failed + wave.failed,
        open: sum.open + wave.open,
        started: sum.started || wave.started,
        canceled: sum.canceled + wave.canceled,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waves_add_up() {
        let wave = |number, started, succeeded, open| Wave {
            number,
            started,
            succeeded,
            open,
            devices: succeeded + open,
            ..Wave::default()
        };
        let waves = vec![wave(1, true, 3, 0), wave(2, true, 1, 8), wave(3, false, 0, 18)];
        let sum = total(&Shown {
            waves,
            ..Shown::default()
        });
        assert_eq!((sum.number, sum.devices, sum.succeeded, sum.open), (2, 30, 4, 26));
        assert_eq!(total(&Shown::default()), Wave::default());
    }
}
