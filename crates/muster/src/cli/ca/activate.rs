//! `muster ca activate`

use anyhow::{Context, Result};
use contract::v1::IssuingAuthority;
use pki::{Authority, ServerCertificate};
use serde_json::json;

use super::{
    super::{
        Global,
        confirm::{Confirm, Consent},
        print,
    },
    taken,
};
use crate::{
    authorities::{Lock, Register},
    config::Config,
    exit::{Exit, Failure},
    folder::{demand_owner, read_text},
    up::keys,
};

#[derive(clap::Args)]
pub(in crate::cli) struct Activate {
    /// The issuing CA, as `muster ca list` names it
    id: String,
    #[command(flatten)]
    confirm: Confirm,
}

impl Activate {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let config = global.config()?;
        demand_owner(&config.folder.pki(""))?;
        let lock = Lock::take(&config.folder)?;
        let mut register = Register::read(&config.folder)?;
        let former = register.active()?.id.clone();
        register.activate(&self.id)?;
        // A server that could not open it would not start.
        let next = keys::open(&config, &self.id).with_context(|| format!("{} cannot sign", self.id))?;
        demand_server(&config, &next)?;
        let what = format!("let {} sign in place of {former}", self.id);
        if self.confirm.ask(global, &what)? == Consent::NotWanted {
            return Ok(());
        }
        register.write(&config.folder)?;
        drop(lock);
        // Whoever is issued a certificate next must get it from this one.
        let signs = |one: &IssuingAuthority| one.id == self.id && one.signs;
        let taken = taken::wait(global, |told| told.authorities.iter().any(signs))?;
        if global.json {
            let taken = taken.is_known();
            return print::json(&json!({ "active": self.id, "retiring": former, "taken": taken }));
        }
        print::line(format!(
            "{} signs, and {former} stays trusted; {}",
            self.id,
            taken.words()
        ))
    }
}

/// What the server is called, the next one must be able to name: else its certificate would never be renewed.
fn demand_server(config: &Config, next: &Authority) -> Result<()> {
    let chain = read_text(&config.folder.pki("server.pem"))?;
    let Ok(serving) = ServerCertificate::parse_pem(&chain) else {
        return Ok(());
    };
    let names = next.names();
    let Some(host) = names.first_forbidden(&serving.hosts) else {
        return Ok(());
    };
    let message = format!(
        "{} may not name `{host}`, which the server's certificate is for; renew that for other names first: muster cert \
         renew-server --host NAME",
        next.id()
    );
    Err(Failure::new(Exit::Conflict, message).into())
}
