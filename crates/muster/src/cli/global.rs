//! Options that every command has, and the operator's connection.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use client::{AskError, Cause, Client, ConnectError, Endpoint, Identity, Inbox};
use contract::{Root, id::ServiceName, names, wire::Wire};
use host::clock::wall_ms;

use super::{print, words};
use crate::{
    config::Config,
    exit::{Exit, Failure},
    folder::{Folder, read_secret, read_text},
};

/// Above these options in the help.
const EVERYWHERE: &str = "Options of every command";

/// Options that every command has.
#[derive(Debug, Clone, clap::Args)]
pub struct Global {
    /// The installation's folder
    #[arg(
        long,
        global = true, help_heading = EVERYWHERE,
        hide_env_values = true, env = "MUSTER_DIR",
        default_value = "muster-data",
        value_name = "FOLDER"
    )]
    pub dir: PathBuf,
    /// Whose certificate to use: a name below FOLDER/people, or a folder with certificate.pem, key.pem and
    /// roots.pem
    #[arg(
        long = "as",
        global = true, help_heading = EVERYWHERE,
        hide_env_values = true, env = "MUSTER_AS",
        default_value = "admin",
        value_name = "PERSON"
    )]
    pub person: String,
    /// The server, if it is not the one of the installation's folder
    #[arg(long, global = true, help_heading = EVERYWHERE, hide_env_values = true, env = "MUSTER_SERVER", value_name = "HOST:PORT")]
    pub server: Option<String>,
    /// The levels all topics begin with, if the installation's configuration is not here
    #[arg(long, global = true, help_heading = EVERYWHERE, hide_env_values = true, env = "MUSTER_ROOT", value_name = "TOPIC")]
    pub root: Option<Root>,
    /// Print JSON, one document a line
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub json: bool,
    /// How long to wait for an answer
    #[arg(long, global = true, help_heading = EVERYWHERE, default_value = "30s", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub timeout: Duration,
}

impl Global {
    /// The installation's folder.
    pub fn folder(&self) -> Folder {
        Folder::at(&self.dir)
    }

    /// The installation's configuration.
    pub fn config(&self) -> Result<Config> {
        Ok(Config::read(&self.dir)?)
    }

    /// The folder of the identity that `--as` names.
    pub fn identity_folder(&self) -> PathBuf {
        match self.person.contains('/') {
            true => PathBuf::from(&self.person),
            false => self.folder().person(&self.person, ""),
        }
    }

    /// The identity that `--as` names.
    pub fn identity(&self) -> Result<Identity> {
        let folder = self.identity_folder();
        if !folder.join("certificate.pem").exists() {
            let message = format!(
                "no identity in {}; give --as PERSON, or have one made with `muster cert issue`. If no admin has one left: \
                 `muster recover operator`, while Muster is stopped",
                folder.display()
            );
            return Err(Failure::usage(message).into());
        }
        let key = String::from_utf8(read_secret(&folder.join("key.pem"))?).context("the key is no PEM")?;
        let chain = read_text(&folder.join("certificate.pem"))?;
        let roots = read_text(&folder.join("roots.pem"))?;
        Identity::from_pem(&chain, &key, &roots).map_err(|error| {
            let place = folder.display();
            Failure::usage(format!(
                "certificate.pem, key.pem and roots.pem in {place} do not make an identity: {error}"
            ))
            .into()
        })
    }

    /// Where the server is.
    pub fn endpoint(&self) -> Result<Endpoint> {
        let Some(server) = &self.server else {
            let address = self.config()?.principals;
            let host = if address.ip().is_unspecified() {
                "127.0.0.1".into()
            } else {
                address.ip().to_string()
            };
            return Ok(Endpoint {
                host,
                port: address.port(),
            });
        };
        let (host, port) = server.rsplit_once(':').unwrap_or((server, "8883"));
        let port = port
            .parse()
            .map_err(|_| Failure::usage(format!("--server {server}: `{port}` is no port")))?;
        Ok(Endpoint {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
        })
    }

    /// Which port is meant, where another one answered.
    fn port(&self) -> String {
        let meant = "The port for --server is that of `listen.principals`, 8883 unless set otherwise; `listen.http` \
                     (8080) has no TLS";
        match self.config() {
            Ok(config) if self.dir.is_dir() => {
                format!("{meant}. Here they are {} and {}", config.principals, config.http)
            }
            _ => meant.to_owned(),
        }
    }

    /// The topics' root.
    pub fn root(&self) -> Root {
        let configured = || Config::read(&self.dir).map(|config| config.root).ok();
        self.root.clone().or_else(configured).unwrap_or_default()
    }

    /// Connects as the person that `--as` names.
    pub async fn connect(&self) -> Result<(Client, Inbox)> {
        let suffix = format!("cli-{:08x}", rand::random::<u32>());
        let (endpoint, identity) = (self.endpoint()?, self.identity()?);
        let connected = Client::connect(&endpoint, &identity, self.root(), &suffix).await;
        let (client, inbox) = connected.map_err(|error| {
            let ConnectError::Failed { cause, .. } = &error;
            match cause {
                Cause::Refused => {
                    Failure::new(Exit::Denied, format!("{error}; {}", advice(&identity, wall_ms())))
                }
                Cause::Distrusted => Failure::new(
                    Exit::Denied,
                    format!(
                        "{error}. The roots are those in {}/roots.pem",
                        self.identity_folder().display()
                    ),
                ),
                Cause::NoTls => Failure::new(Exit::Unavailable, format!("{error}. {}", self.port())),
                Cause::Network => {
                    Failure::new(Exit::Unavailable, format!("{error}; is `muster up` running?"))
                }
            }
        })?;
        Ok((client.with_patience(self.timeout), inbox))
    }

    /// Runs one command's asynchronous part.
    pub fn block_on<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(work)
    }

    /// Connects, asks once, leaves.
    pub fn ask<Reply: Wire>(&self, service: ServiceName, verb: &str, request: &impl Wire) -> Result<Reply> {
        self.block_on(async {
            let (client, _inbox) = self.connect().await?;
            let reply = ask(&client, service, verb, request).await;
            client.disconnect().await;
            reply
        })
    }
}

/// What somebody can do whom the server does not let in.
fn advice(identity: &Identity, now_ms: i64) -> String {
    let (kind, id) = (identity.who.kind.word().trim_end_matches('s'), &identity.who.id);
    let issue =
        format!("muster cert issue {kind} {id}, by an admin; if none is left: muster recover operator");
    match identity.not_after_ms < now_ms {
        true => format!(
            "your certificate ended at {}: have another issued, {issue}",
            print::time(identity.not_after_ms)
        ),
        false => format!(
            "somebody who gets in sees why: muster why connect {id} --kind {kind}. Another certificate: {issue}"
        ),
    }
}

/// Asks; a refusal becomes the failure it means, with its field and what would have been allowed.
pub(super) async fn ask<Reply: Wire>(
    client: &Client,
    service: ServiceName,
    verb: &str,
    request: &impl Wire,
) -> Result<Reply> {
    client.ask(service, verb, request).await.map_err(explain)
}

/// What a person is told of a request that came to nothing.
pub(super) fn explain(error: AskError) -> anyhow::Error {
    match error {
        AskError::Refused(refusal) => {
            let mut message = refusal.to_string();
            if !refusal.field.is_empty() {
                message = format!("{message} (field {})", refusal.field);
            }
            if !refusal.allowed.is_empty() {
                let said = |word: &String| match words::is_name(word) {
                    true => names::typed(word),
                    false => word.clone(),
                };
                let allowed: Vec<_> = refusal.allowed.iter().map(said).collect();
                message = format!("{message}; allowed: {}", allowed.join(", "));
            }
            Failure::new(refusal.code.into(), message).into()
        }
        AskError::Silence { .. } => {
            let message = format!(
                "{error}. What you asked for may still be done once it can be: look before you ask again. `/healthz` of the \
                 server says whether a service is away or its disk full"
            );
            Failure::new(Exit::Unavailable, message).into()
        }
        AskError::Closed => Failure::new(Exit::Unavailable, error.to_string()).into(),
        AskError::BadReply(_) => error.into(),
    }
}
