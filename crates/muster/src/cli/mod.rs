//! The command line: one file a subcommand.

mod alike;
mod approval;
mod audit;
mod backup;
mod broker;
mod ca;
mod cert;
mod commands;
mod confirm;
mod demo;
mod device;
mod events;
mod firmware;
mod fleet;
mod global;
mod group;
mod init;
mod list;
mod manufacturer;
mod matching;
mod monitor;
mod operator;
mod order;
mod password;
mod person;
mod policy;
mod print;
mod progress;
mod purchase;
mod query;
mod recover;
mod replay;
mod report;
mod restore;
mod rollout;
mod rule;
mod run_agent;
mod settings;
mod shell;
mod store;
mod supplier;
mod token;
mod types;
mod up;
mod whole;
mod why;
mod words;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

pub use self::global::Global;
use crate::exit;

/// Device management over MQTT, from purchase order to retirement.
#[derive(Parser)]
#[command(name = "muster", version, about, long_about = None, max_term_width = 110)]
#[command(after_help = "Try it: muster demo\nStart for real: muster init, then muster up")]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make an installation: certificate authorities, first operator, configuration.
    Init(init::Init),
    /// Run the broker and all services.
    Up(up::Up),
    /// Run one service by itself, or the front door.
    Serve(up::Serve),
    /// Watch a fleet of devices live its whole life on this machine.
    Demo(demo::Demo),
    /// The demo's checker.
    #[command(hide = true)]
    DemoCheck(demo::Check),
    /// Register, list, move, quarantine and retire devices.
    #[command(subcommand)]
    Device(device::Device),
    /// Put devices into groups.
    #[command(subcommand)]
    Group(group::Group),
    /// What sorts of devices there are, and what they must pass.
    #[command(subcommand)]
    Type(types::Type),
    /// What devices are set to, and what they say they have.
    #[command(subcommand)]
    Config(settings::Settings),
    /// What devices are told to do.
    #[command(subcommand, name = "command")]
    Tell(commands::Commands),
    /// From whom devices come.
    #[command(subcommand)]
    Supplier(supplier::Supplier),
    /// What was ordered, and what of it has arrived.
    #[command(subcommand)]
    Order(purchase::Order),
    /// Queries over devices that have a name.
    #[command(subcommand)]
    Query(query::Query),
    /// Operators and integrators and what they may do.
    #[command(subcommand)]
    Person(person::Person),
    /// Operators, and what each may do to which devices.
    #[command(subcommand)]
    Operator(operator::Operator),
    /// The issuing CAs, and how one follows the other.
    #[command(subcommand)]
    Ca(ca::Ca),
    /// Claims, certificates and revocation.
    #[command(subcommand)]
    Cert(cert::Cert),
    /// With what batches of devices ask for their certificates.
    #[command(subcommand)]
    Claim(cert::Claims),
    /// Devices that wait for an operator's word, and their one-time secrets.
    #[command(subcommand)]
    Enrol(cert::Enrol),
    /// Manufacturers whose certificates let devices in.
    #[command(subcommand)]
    Manufacturer(manufacturer::Manufacturer),
    /// Sign firmware and add it.
    #[command(subcommand)]
    Firmware(firmware::Firmware),
    /// Roll firmware out in waves.
    #[command(subcommand)]
    Rollout(rollout::Rollout),
    /// Follow and replay events.
    Events(events::Events),
    /// Presence, rules and alerts.
    #[command(subcommand)]
    Monitor(monitor::Monitor),
    Plan(fleet::Plan),
    Apply(fleet::Apply),
    ExportFleet(fleet::Export),
    /// Reports on the fleet: inventory, age, spend, what is idle or too little protected.
    Report(report::Report),
    /// What waits for another person, and what must.
    #[command(subcommand)]
    Approval(approval::Approval),
    /// Who asked for which change, and whether the log of it holds.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Who is connected to the front door, and what there is room for.
    #[command(subcommand)]
    Broker(broker::Broker),
    /// Why something is as it is.
    #[command(subcommand)]
    Why(why::Why),
    /// The same access policy for other brokers.
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Run the reference device agent.
    Agent(Box<run_agent::RunAgent>),
    /// Get back in when every admin's certificate is lost.
    #[command(subcommand)]
    Recover(recover::Recover),
    /// Put all of an installation into one file, whether Muster runs or not.
    Backup(backup::Backup),
    /// Bring an installation back from a backup, while Muster is stopped.
    Restore(restore::Restore),
    /// Check, repair, shrink and move the databases, while Muster is stopped.
    #[command(subcommand)]
    Store(store::Store),
    /// Print a completion script for your shell.
    Completion(shell::Completion),
    /// Write man pages into a folder.
    Man(shell::Man),
}

/// Runs the program.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    match cli.dispatch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be there to read it.
            let _ = writeln!(io::stderr().lock(), "muster: {error:#}");
            ExitCode::from(exit::code_of(&error))
        }
    }
}

impl Cli {
    fn dispatch(self) -> anyhow::Result<()> {
        let global = &self.global;
        match self.command {
            Command::Init(command) => command.run(global),
            Command::Up(command) => command.run(global),
            Command::Serve(command) => command.run(global),
            Command::Demo(command) => command.run(global),
            Command::DemoCheck(command) => command.run(global),
            Command::Device(command) => command.run(global),
            Command::Group(command) => command.run(global),
            Command::Type(command) => command.run(global),
            Command::Config(command) => command.run(global),
            Command::Tell(command) => command.run(global),
            Command::Supplier(command) => command.run(global),
            Command::Order(command) => command.run(global),
            Command::Query(command) => command.run(global),
            Command::Person(command) => command.run(global),
            Command::Operator(command) => command.run(global),
            Command::Ca(command) => command.run(global),
            Command::Cert(command) => command.run(global),
            Command::Claim(command) => command.run(global),
            Command::Enrol(command) => command.run(global),
            Command::Manufacturer(command) => command.run(global),
            Command::Firmware(command) => command.run(global),
            Command::Rollout(command) => command.run(global),
            Command::Events(command) => command.run(global),
            Command::Monitor(command) => command.run(global),
            Command::Plan(command) => command.run(global),
            Command::Apply(command) => command.run(global),
            Command::ExportFleet(command) => command.run(global),
            Command::Report(command) => command.run(global),
            Command::Approval(command) => command.run(global),
            Command::Audit(command) => command.run(global),
            Command::Broker(command) => command.run(global),
            Command::Why(command) => command.run(global),
            Command::Policy(command) => command.run(global),
            Command::Agent(command) => command.run(global),
            Command::Recover(command) => command.run(global),
            Command::Backup(command) => command.run(global),
            Command::Restore(command) => command.run(global),
            Command::Store(command) => command.run(global),
            Command::Completion(command) => command.run(),
            Command::Man(command) => command.run(),
        }
    }
}

/// Whoever reads our output has heard enough (`muster device list | head`).
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn widest(command: &mut clap::Command, found: &mut Vec<String>) {
        let help = command.render_long_help().to_string();
        found.extend(
            help.lines()
                .filter(|line| line.chars().count() > 110)
                .map(str::to_owned),
        );
        command
            .get_subcommands_mut()
            .for_each(|command| widest(command, found));
    }

    #[test]
    fn no_help_is_wider_than_it_says() {
        let (mut command, mut found) = (Cli::command(), Vec::new());
        command.build();
        widest(&mut command, &mut found);
        assert_eq!(found, <[&str; 0]>::default());
    }
}
