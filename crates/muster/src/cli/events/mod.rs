//! `muster events`

mod checkpoint;
mod event;
mod follow;
#[cfg(test)]
mod fuzz;
mod hand;
mod stream;

use anyhow::Result;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use contract::{Id, filter::Filter, id::ServiceName, verb::EventKind};

use self::{
    checkpoint::Checkpoints,
    follow::{Start, Wanted},
    hand::Hand,
};
use super::Global;

/// Follow and replay events.
///
/// Each service numbers its events without gaps. What was missed while the connection was away is replayed, so
/// that each event is printed once and in its service's order. Operators may follow everything, integrators what
/// they were granted: name --service and --filter so that they lie within the grant.
///
/// With --checkpoint the registry keeps how far you are: the next run goes on there, with whatever has not been
/// printed, or for which --run has not succeeded.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:
  muster events
  muster events --service registry --filter 'devices/+/moved' --from-start
  muster --json events --service rollout --after 1200 --replay-only | jq -r .type
  muster events --service monitoring --filter 'alerts/+/raised' --count 1
  muster --as billing events --service registry --checkpoint nightly --run ./bill.sh
  muster events checkpoints")]
pub(crate) struct Events {
    #[command(subcommand)]
    checkpoints: Option<Checkpoints>,
    /// Only of this service; may be given several times
    #[arg(long = "service", value_name = "SERVICE", value_parser = service())]
    services: Vec<ServiceName>,
    /// Only those that match: an MQTT filter below events/SERVICE/, for example `devices/+/moved`
    #[arg(long)]
    filter: Option<Filter>,
    /// Begin with the oldest event that is kept [default: with the next one]
    #[arg(long, conflicts_with = "after")]
    from_start: bool,
    /// Begin after this number of one service
    #[arg(long, value_name = "N", requires = "services")]
    after: Option<u64>,
    /// Begin where your checkpoint of this name is, and move it; where it is not yet, as without it
    #[arg(long, value_name = "NAME", conflicts_with = "after")]
    checkpoint: Option<Id>,
    /// Run this in a shell for each event, which is its input, in place of printing; ends when it fails
    #[arg(long, value_name = "COMMAND")]
    run: Option<String>,
    /// End after this many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Print what has happened so far, from the oldest on unless --after is given, and end
    #[arg(long)]
    replay_only: bool,
}

fn service() -> impl TypedValueParser<Value = ServiceName> {
    // Only these words get this far.
    PossibleValuesParser::new(ServiceName::KEEPERS.map(ServiceName::word))
        .try_map(|word| ServiceName::from_word(&word).ok_or("there is no such service"))
}

/// Nobody waits for ever for events that there are none of.
fn demand_some(services: &[ServiceName], filter: &Filter) -> Result<()> {
    let services = match services {
        [] => &ServiceName::KEEPERS,
        some => some,
    };
    let below = |service: &ServiceName| format!("{service}/{filter}").parse();
    let some = services
        .iter()
        .any(|service| below(service).is_ok_and(|filter| EventKind::any(&filter)));
    if some {
        return Ok(());
    }
    let message = format!(
        "no event is for --filter '{filter}': it begins below events/SERVICE/, as in 'devices/+/moved' with --service registry; \
         docs/topics.md has all events"
    );
    Err(crate::exit::Failure::usage(message).into())
}

impl Events {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        if let Some(checkpoints) = self.checkpoints {
            return checkpoints.run(global);
        }
        if self.after.is_some() && self.services.len() > 1 {
            let message = "each service has its own numbers: give --after with one --service";
            return Err(crate::exit::Failure::usage(message).into());
        }
        if let Some(filter) = &self.filter {
            demand_some(&self.services, filter)?;
        }
        // What the connection warns of: a subscription that was not granted.
        crate::up::log_to_stderr("client=warn", false);
        let wanted = self.wanted(global.json);
        global.block_on(follow::follow(global, wanted))
    }

    fn wanted(self, json: bool) -> Wanted {
        let start = match self.after {
            Some(after) => Start::After(after),
            None if self.from_start || self.replay_only => Start::After(0),
            None => Start::Now,
        };
        let mut services = self.services;
        if services.is_empty() {
            services = ServiceName::KEEPERS.to_vec();
        }
        services.sort();
        services.dedup();
        Wanted {
            services,
            filter: self.filter,
            start,
            count: self.count,
            replay_only: self.replay_only,
            checkpoint: self.checkpoint,
            hand: match self.run {
                Some(command) => Hand::Command(command),
                None if json => Hand::Json,
                None => Hand::Line,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches};

    use super::*;

    fn parse(args: &[&str]) -> Result<Wanted, clap::Error> {
        let command = Events::augment_args(clap::Command::new("events").no_binary_name(true));
        Ok(Events::from_arg_matches(&command.try_get_matches_from(args)?)?.wanted(false))
    }

    #[test]
    fn where_it_begins() {
        assert_eq!(parse(&[]).unwrap().start, Start::Now);
        assert_eq!(parse(&["--from-start"]).unwrap().start, Start::After(0));
        assert_eq!(parse(&["--replay-only"]).unwrap().start, Start::After(0));
        let one = parse(&["--service", "registry", "--after", "7"]).unwrap();
        assert_eq!(
            (one.start, one.services),
            (Start::After(7), vec![ServiceName::Registry])
        );
        assert_eq!(parse(&[]).unwrap().services, ServiceName::KEEPERS);
    }

    #[test]
    fn a_filter_that_no_event_is_for_is_told() {
        let some = |services: &[ServiceName], filter: &str| demand_some(services, &filter.parse().unwrap());
        assert!(some(&[], "devices/+/moved").is_ok() && some(&[], "#").is_ok());
        assert!(some(&[ServiceName::Monitoring], "devices/pump-7/#").is_ok());
        assert!(some(&[ServiceName::Provisioning], "devices/+/moved").is_err());
        for slip in ["device/#", "registry/devices/#", "devices/+/move"] {
            assert!(some(&[], slip).is_err(), "{slip}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for bad in [
            &["--after", "7"][..],
            &["--service", "front-door"],
            &["--filter", "a/#/b"],
            &["--count", "0"],
            &["--service", "registry", "--after", "7", "--from-start"],
            &["--service", "registry", "--after", "7", "--checkpoint", "nightly"],
            &["--checkpoint", "a/b"],
            &["--checkpoint", "nightly", "checkpoints"],
            &["set-checkpoint", "nightly"],
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
