//! `muster cert issue`

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use client::Client;
use contract::{
    Id,
    id::Kind,
    v1::{self, Signed},
};

use super::{
    super::{
        Global,
        confirm::{Confirm, Consent},
        print, words,
    },
    home::Home,
};

#[derive(clap::Args)]
pub(in crate::cli) struct Issue {
    /// What they are
    #[arg(value_parser = words::person())]
    kind: Kind,
    /// Their id
    id: Id,
    /// How long it lasts, two years at most [default: the installation's]
    #[arg(long, value_parser = humantime::parse_duration, value_name = "TIME")]
    lifetime: Option<Duration>,
    /// Where it is written [default: FOLDER/people/ID]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    #[command(flatten)]
    confirm: Confirm,
}

impl Issue {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let default = || global.folder().path().join("people").join(self.id.as_str());
        let home = Home::at(self.out.clone().unwrap_or_else(default));
        if home.is_taken() {
            let Consent::Given = self.confirm.ask(
                global,
                &format!("replace the identity in {}", home.path().display()),
            )?
            else {
                return Ok(());
            };
        }
        let signed = global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let signed = self.issue(&client, &home).await;
            client.disconnect().await;
            signed
        })?;
        self.say(global, &home, &signed)
    }

    async fn issue(&self, client: &Client, home: &Home) -> Result<Signed> {
        let key = home.stage_key()?;
        let lifetime = self.lifetime.unwrap_or_default().as_millis();
        let request = v1::Issue {
            request_id: String::new(),
            kind: self.kind.word().to_owned(),
            id: self.id.to_string(),
            csr: key.csr(self.id.as_str())?,
            lifetime_ms: u64::try_from(lifetime).unwrap_or(u64::MAX),
        };
        let signed: Signed = home.certify(client, ("issue", &request), &key).await?;
        home.fill(&key, &signed.certificate, &signed.roots)?;
        Ok(signed)
    }

    fn say(&self, global: &Global, home: &Home, signed: &Signed) -> Result<()> {
        if global.json {
            return print::json(&serde_json::json!({
                "kind": self.kind.word(), "id": self.id.as_str(), "serial": signed.serial,
                "not_after_ms": signed.not_after_ms.to_string(), "folder": home.path(),
            }));
        }
        print::fields(&[
            ("owner", format!("{}/{}", self.kind, self.id)),
            ("serial", signed.serial.clone()),
            ("ends", print::time(signed.not_after_ms)),
            ("folder", home.path().display().to_string()),
        ])
    }
}
