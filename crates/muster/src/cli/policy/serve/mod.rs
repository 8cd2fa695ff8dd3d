//! `muster policy serve`

mod edge;
mod hooks;
mod known;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use session::DeviceManagement;
use tokio::net::TcpListener;

use self::{
    edge::{Edge, Others},
    hooks::Desk,
    known::KnownElsewhere,
};
use super::super::{Global, print, up::stop_signal};
use crate::{
    exit::{Exit, Failure},
    folder::{read_secret, read_text},
    up,
};

/// A shorter secret could be guessed.
const SECRET_MIN: usize = 16;
/// A broker waits some five seconds for an answer.
const PATIENCE: Duration = Duration::from_secs(4);

#[derive(clap::Args)]
pub(in crate::cli) struct Serve {
    /// Where the broker asks; without a certificate on this machine only
    #[arg(long, default_value = "127.0.0.1:8091", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// A file, readable by its owner only, whose first line the broker shows (at least 16 characters)
    #[arg(long, value_name = "FILE")]
    secret: PathBuf,
    /// The certificate to show, for TLS
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// For how long what the services say of somebody is gone by
    #[arg(long, default_value = "5s", value_parser = humantime::parse_duration, value_name = "TIME")]
    fresh: Duration,
    /// What is said of whoever shows no certificate of this installation: `ignore` where the broker has other clients,
    /// and asks somebody else about them next
    #[arg(long, value_enum, default_value = "deny", value_name = "ANSWER")]
    others: Others,
}

impl Serve {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        up::log_to_stderr("info", false);
        let secret = self.read_secret()?;
        let tls = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Some(edge::tls(&read_text(certificate)?, &read_secret(key)?)?),
            _ => None,
        };
        if tls.is_none() && !self.listen.ip().is_loopback() {
            let message = format!(
                "{} can be reached from elsewhere, and the secret would pass in the clear: give --certificate and \
                 --key, or listen on 127.0.0.1",
                self.listen
            );
            return Err(Failure::usage(message).into());
        }
        global.block_on(self.serve(global, secret, tls))
    }

    fn read_secret(&self) -> Result<String> {
        let text = String::from_utf8(read_secret(&self.secret)?).context("the secret is no text")?;
        let secret = text.lines().next().unwrap_or_default().trim().to_owned();
        if secret.len() < SECRET_MIN {
            let message = format!(
                "the first line of {} has fewer than {SECRET_MIN} characters",
                self.secret.display()
            );
            return Err(Failure::usage(message).into());
        }
        Ok(secret)
    }

    async fn serve(
        &self,
        global: &Global,
        secret: String,
        tls: Option<tokio_rustls::TlsAcceptor>,
    ) -> Result<()> {
        let listener = TcpListener::bind(self.listen)
            .await
            .map_err(|error| Failure::usage(format!("cannot listen on {}: {error}", self.listen)))?;
        let (client, mut inbox) = global.connect().await?;
        let client = client.with_patience(PATIENCE);
        // Who asks from elsewhere does not know the server's setting: nothing is promised.
        let renew_after_ms = global
            .config()
            .map(|config| config.renew_after.as_millis() as u64);
        let renew_after_ms = renew_after_ms.unwrap_or_default();
        let root = global.root();
        let desk = Desk {
            policy: DeviceManagement::new(root.clone(), renew_after_ms),
            root,
            renew_after_ms,
            known: KnownElsewhere::new(client.clone(), self.fresh),
        };
        let stop = stop_signal();
        say_bound(global, listener.local_addr()?)?;
        let edge = Arc::new(Edge::new(secret, tls, desk, self.others));
        let gone = async {
            // What comes unasked is not for us.
            while inbox.recv().await.is_some() {}
        };
        tokio::select! {
            () = edge.clone().accept(listener) => {}
            () = edge.tell_repeats() => {}
            () = stop => {}
            () = gone => {
                let message = "the server has closed the operator's connection for good; is its certificate revoked?";
                return Err(Failure::new(Exit::Denied, message).into());
            }
        }
        edge.tell_repeats_at_last();
        client.disconnect().await;
        Ok(())
    }
}

fn say_bound(global: &Global, address: SocketAddr) -> Result<()> {
    if global.json {
        return print::json(&serde_json::json!({ "ready": true, "listen": address.to_string() }));
    }
    print::line(format!("ready: a broker may ask {address}"))
}
