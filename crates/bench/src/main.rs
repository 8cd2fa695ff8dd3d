//! Measures Muster against raw limits of the same machine and against Mosquitto, within one run.
#![forbid(unsafe_code)]

mod fleet;
mod load;
mod machine;
mod measures;
mod output;
mod programs;
mod servers;
#[cfg(test)]
mod tests;
mod wire;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use tokio::task::LocalSet;

use crate::{
    machine::Machine,
    measures::{
        connects::Connects, devices::Devices, fan::Fans, latency::Latency, lists::Lists,
        provisioning::Provisioning, renewals::Renewals, requests::Requests, revocations::Revocations,
        scale::Scale, space::Space,
    },
    programs::Options,
};

/// The allocator that the workspace names for its programs: bare sled is measured at its best.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Muster against raw limits of the same machine and against Mosquitto, within one run.
#[derive(Parser)]
#[command(name = "muster-bench", version, max_term_width = 110)]
#[command(
    after_help = "Figures of two runs do not compare; the ratios within one do. docs/performance.md says more."
)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    measure: Measure,
}

#[derive(Subcommand)]
enum Measure {
    Requests(Requests),
    Provisioning(Provisioning),
    Renewals(Renewals),
    Revocations(Revocations),
    Lists(Lists),
    Scale(Scale),
    Connects(Connects),
    Latency(Latency),
    Fan(Fans),
    Devices(Devices),
    Space(Space),
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("muster-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// All clients share one thread, since they share the machine with the server.
fn run(cli: Cli) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, measure(cli))
}

async fn measure(cli: Cli) -> Result<()> {
    let (machine, json) = (Machine::now()?, cli.options.json);
    if let Measure::Space(space) = cli.measure {
        return output::print(&space.run()?, &machine, json);
    }
    let programs = cli.options.find()?;
    match cli.measure {
        Measure::Space(_) => Ok(()),
        Measure::Requests(requests) => output::print(&requests.run(&programs).await?, &machine, json),
        Measure::Provisioning(provisioning) => {
            output::print(&provisioning.run(&programs).await?, &machine, json)
        }
        Measure::Renewals(renewals) => output::print(&renewals.run(&programs).await?, &machine, json),
        Measure::Revocations(revocations) => {
            output::print(&revocations.run(&programs).await?, &machine, json)
        }
        Measure::Lists(lists) => output::print(&lists.run(&programs).await?, &machine, json),
        Measure::Scale(scale) => output::print(&scale.run(&programs).await?, &machine, json),
        Measure::Connects(connects) => output::print(&connects.run(&programs).await?, &machine, json),
        Measure::Fan(fans) => output::print(&fans.run(&programs).await?, &machine, json),
        Measure::Devices(devices) => output::print(&devices.run(&programs).await?, &machine, json),
        Measure::Latency(latency) => output::print(&latency.run(&programs).await?, &machine, json),
    }
}
