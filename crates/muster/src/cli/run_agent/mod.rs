//! `muster agent`

mod tell;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use agent::{Claim, Config, Ending, Endpoint, Factory, HealthCheck, Location, PublicKey, Reboot};
use anyhow::{Context, Result};
use contract::Id;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::tell::say;
use super::{Global, ca::CaKey, print, up::stop_signal};
use crate::{
    exit::{Exit, Failure},
    folder::{read_secret, read_text},
};

/// How long the program that judges a new image may take.
const HEALTH_CHECK_WITHIN: Duration = Duration::from_secs(60);

/// Run the reference device agent.
///
/// It asks for its first certificate with a claim or its factory certificate, reports what it is, sends heartbeats with the machine's
/// load and memory, installs the firmware it is assigned and erases its keys when it is retired. A new image
/// is put into its slot and judged, but not executed. Without --server it looks for the installation in --dir.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  muster agent pump-7 --claim muster-data/claims/line-7 --model p200
  muster --server muster.example.com agent pump-7 --state /var/lib/pump --claim /etc/pump
  muster agent pump-4 --factory /etc/idevid --roots roots.pem --state /var/lib/pump
  muster agent pump-9 --claim muster-data/claims/field --secret ./pump-9.secret
  muster agent pump-8 --claim muster-data/claims/line-7 --health-check ./is-well --place hall-3
  muster agent pump-6 --claim muster-data/claims/line-7 --reboot-command 'systemctl reboot'")]
pub(super) struct RunAgent {
    /// The device's id
    id: Id,
    /// Where it keeps its keys and images [default: FOLDER/agents/ID]
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
    /// What it asks for its first certificate with: the folder that `muster cert claim` made
    #[arg(long, value_name = "FOLDER")]
    claim: Option<PathBuf>,
    /// What its manufacturer gave it, in place of a claim: a folder with certificate.pem (its own, then those up to the
    /// manufacturer's CA) and key.pem
    #[arg(long, value_name = "FOLDER", conflicts_with = "claim")]
    factory: Option<PathBuf>,
    /// The kind of the keys that it makes; it takes another one when it renews
    #[arg(long, value_name = "KIND", value_enum, default_value_t)]
    key: CaKey,
    /// A file that holds its one-time secret (`muster cert secret`), where the claim's batch wants one
    #[arg(long, value_name = "FILE", requires = "claim")]
    secret: Option<PathBuf>,
    /// The roots it begins with [default: roots.pem beside the claim or the factory certificate, else the installation's]
    #[arg(long, value_name = "FILE")]
    roots: Option<PathBuf>,
    /// A key that may sign its firmware; may be given several times [default: the installation's]
    #[arg(long = "release-key", value_name = "FILE")]
    release_keys: Vec<PathBuf>,
    /// A key of an operator whose signatures count on commands; may be given several times
    #[arg(long = "command-key", value_name = "FILE")]
    command_keys: Vec<PathBuf>,
    /// A command that it begins only with such a signature, `*` for all; may be given several times
    #[arg(long = "signed-command", value_name = "NAME", default_value = "wipe")]
    signed_commands: Vec<String>,
    /// Its model; firmware names the models it is for
    #[arg(long, default_value = "reference")]
    model: String,
    /// Its hardware's revision
    #[arg(long, default_value = "", hide_default_value = true, value_name = "REVISION")]
    hardware: String,
    /// The firmware it was delivered with
    #[arg(long, default_value = "1.0.0", value_name = "VERSION")]
    firmware: String,
    /// How often it says that it is alive
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration, value_name = "TIME")]
    heartbeat: Duration,
    /// How long a new image may take to prove itself
    #[arg(long, default_value = "10m", value_parser = humantime::parse_duration, value_name = "TIME")]
    confirm_within: Duration,
    /// A program that is given a new image's path and fails if it is not well [default: every image is well]
    #[arg(long, value_name = "PROGRAM")]
    health_check: Option<String>,
    /// What restarts the machine, for the command `reboot`: a program and its arguments, parted by blanks
    #[arg(long, value_name = "COMMAND", value_parser = reboot)]
    reboot_command: Option<Reboot>,
    /// Where it is, for example berlin/hall-3
    #[arg(long)]
    place: Option<String>,
    /// Degrees north
    #[arg(long, requires = "longitude", allow_negative_numbers = true)]
    latitude: Option<f64>,
    /// Degrees east
    #[arg(long, requires = "latitude", allow_negative_numbers = true)]
    longitude: Option<f64>,
    /// Anything else it says of itself; may be given several times
    #[arg(long = "attribute", value_name = "KEY=VALUE", value_parser = attribute)]
    attributes: Vec<(String, String)>,
}

fn attribute(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("give KEY=VALUE".to_owned()),
    }
}

fn reboot(text: &str) -> Result<Reboot, String> {
    let mut words = text.split_whitespace().map(str::to_owned);
    Ok(Reboot {
        program: words
            .next()
            .ok_or("say which program, for example `systemctl reboot`")?,
        arguments: words.collect(),
    })
}

impl RunAgent {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        // What the MQTT client warns of (a refused request) is told as an event, with what to do.
        crate::up::log_to_stderr("warn,rumqttc=error", false);
        let config = self.config(global)?;
        let ending = global.block_on(follow(global, config))?;
        if ending == Ending::Restart {
            // The reference agent plays the restarts of its images: this one was ordered.
            return print::line("told to restart; run this again");
        }
        if ending == Ending::Wiped {
            return print::line("wiped; with a claim it can ask for another identity");
        }
        Ok(())
    }

    fn config(self, global: &Global) -> Result<Config> {
        self.demand_folders()?;
        let default = || global.folder().path().join("agents").join(self.id.as_str());
        let folder = self.state.clone().unwrap_or_else(default);
        let release_keys = self.trusted(global)?;
        if release_keys.is_empty() {
            print::note("without --release-key every update is refused");
        }
        let config = Config::new(folder, self.id.clone(), self.server(global)?, self.roots(global)?);
        Ok(Config {
            root: global.root(),
            claim: self.claim()?,
            factory: self.factory()?,
            key_kind: self.key.into(),
            release_keys,
            command_keys: self
                .command_keys
                .iter()
                .map(|path| public_key(path))
                .collect::<Result<_>>()?,
            location: self.location(),
            model: self.model,
            hardware_revision: self.hardware,
            firmware_version: self.firmware,
            heartbeat: self.heartbeat,
            confirm_within: self.confirm_within,
            signed_commands: self.signed_commands,
            health: self.health_check.map(health).unwrap_or_default(),
            reboot: self.reboot_command,
            attributes: BTreeMap::from_iter(self.attributes),
            ..config
        })
    }

    /// Before anything is missed that lies in them.
    fn demand_folders(&self) -> Result<()> {
        let missing = |folder: &Option<PathBuf>| folder.clone().filter(|folder| !folder.is_dir());
        if let Some(claim) = missing(&self.claim) {
            let message = format!(
                "there is no folder {}; `muster cert claim` makes one",
                claim.display()
            );
            return Err(Failure::usage(message).into());
        }
        if let Some(factory) = missing(&self.factory) {
            let message = format!(
                "there is no folder {}; a factory certificate is certificate.pem and key.pem in a folder",
                factory.display()
            );
            return Err(Failure::usage(message).into());
        }
        Ok(())
    }

    fn server(&self, global: &Global) -> Result<Endpoint> {
        if global.server.is_none() && !global.folder().config().exists() {
            return Err(Failure::usage("where is the server? give --server HOST:PORT").into());
        }
        global.endpoint()
    }

    fn roots(&self, global: &Global) -> Result<String> {
        let of_the_claim = self.claim.as_ref().map(|folder| folder.join("roots.pem"));
        // A manufacturer does not know them; whoever delivers the device may put them beside it.
        let of_the_factory = self.factory.as_ref().map(|folder| folder.join("roots.pem"));
        let of_the_factory = of_the_factory.filter(|path| path.exists());
        let path = self
            .roots
            .clone()
            .or(of_the_claim)
            .or(of_the_factory)
            .unwrap_or_else(|| global.folder().pki("root.pem"));
        read_text(&path).context("which roots does the device trust? give --roots FILE")
    }

    fn claim(&self) -> Result<Option<Claim>> {
        let Some(folder) = &self.claim else {
            return Ok(None);
        };
        let key = read_secret(&folder.join("key.pem"))?;
        Ok(Some(Claim {
            certificate_pem: read_text(&folder.join("certificate.pem"))?,
            key_pem: String::from_utf8(key).context("the claim's key is no PEM")?,
            secret: self.secret()?,
        }))
    }

    fn factory(&self) -> Result<Option<Factory>> {
        let Some(folder) = &self.factory else {
            return Ok(None);
        };
        let key = read_secret(&folder.join("key.pem"))?;
        Ok(Some(Factory {
            certificate_pem: read_text(&folder.join("certificate.pem"))?,
            key_pem: String::from_utf8(key).context("the factory key is no PEM")?,
        }))
    }

    fn secret(&self) -> Result<Option<String>> {
        let Some(path) = &self.secret else {
            return Ok(None);
        };
        let text = String::from_utf8(read_secret(path)?).context("the secret is no text")?;
        Ok(Some(text.trim().to_owned()))
    }

    fn trusted(&self, global: &Global) -> Result<Vec<PublicKey>> {
        let mut paths = self.release_keys.clone();
        if paths.is_empty() && global.folder().config().exists() {
            let config = global.config()?;
            paths = config.release_keys.iter().map(|path| config.path(path)).collect();
        }
        paths.iter().map(|path| public_key(path)).collect()
    }

    fn location(&self) -> Option<Location> {
        if self.place.is_none() && self.latitude.is_none() {
            return None;
        }
        Some(Location {
            place: self.place.clone().unwrap_or_default(),
            latitude: self.latitude.unwrap_or_default(),
            longitude: self.longitude.unwrap_or_default(),
        })
    }
}

fn public_key(path: &Path) -> Result<PublicKey> {
    let key = PublicKey::from_pem(&read_text(path)?);
    key.with_context(|| format!("{} is no public key", path.display()))
}

fn health(program: String) -> HealthCheck {
    HealthCheck::Command {
        program,
        arguments: Vec::new(),
        within: HEALTH_CHECK_WITHIN,
    }
}

/// Runs the agent, and says what happens to it, until it retires or the process is asked to stop.
async fn follow(global: &Global, config: Config) -> Result<Ending> {
    let (sender, mut heard) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let mut agent = std::pin::pin!(agent::run(config, stop.clone(), sender));
    let mut signal = std::pin::pin!(stop_signal());
    let ended = loop {
        tokio::select! {
            ended = &mut agent => break ended,
            Some(event) = heard.recv() => say(global, &event)?,
            () = &mut signal, if !stop.is_cancelled() => stop.cancel(),
        }
    };
    while let Ok(event) = heard.try_recv() {
        say(global, &event)?;
    }
    ended.map_err(explain)
}

fn explain(error: agent::Error) -> anyhow::Error {
    let exit = match error {
        agent::Error::NoIdentity | agent::Error::Identity { .. } => {
            return Failure::usage(format!(
                "{error}; give --claim FOLDER, made with `muster cert claim`, or --factory FOLDER"
            ))
            .into();
        }
        agent::Error::InUse { .. } => Exit::Conflict,
        agent::Error::Setting { .. } => Exit::Usage,
        _ => return error.into(),
    };
    Failure::new(exit, error.to_string()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_keys_and_values() {
        assert_eq!(attribute("line=a=b"), Ok(("line".into(), "a=b".into())));
        assert_eq!(attribute("line="), Ok(("line".into(), String::new())));
        assert!(attribute("line").is_err() && attribute("=x").is_err());
    }
}
