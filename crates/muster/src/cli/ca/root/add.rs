//! `muster ca root add`

use std::path::PathBuf;

use anyhow::Result;
use contract::v1::Authorities;
use host::clock::wall_ms;
use pki::RootCertificate;
use serde_json::json;

use super::super::{
    super::{
        Global,
        confirm::{Confirm, Consent},
        print,
    },
    taken,
};
use crate::{
    authorities::{Lock, Roots},
    exit::{Exit, Failure},
    folder::{demand_owner, read_text},
};

#[derive(clap::Args)]
pub(in crate::cli) struct Add {
    /// The root's certificate, PEM
    file: PathBuf,
    #[command(flatten)]
    confirm: Confirm,
}

impl Add {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let folder = global.config()?.folder;
        demand_owner(&folder.pki(""))?;
        let lock = Lock::take(&folder)?;
        let mut roots = Roots::read(&folder)?;
        let new = self.certificate()?;
        let fingerprint = new.fingerprint_sha256.clone();
        roots.add(new)?;
        let what = format!("trust the root {fingerprint} beside those that are trusted");
        if self.confirm.ask(global, &what)? == Consent::NotWanted {
            return Ok(());
        }
        roots.write(&folder)?;
        drop(lock);
        let taken = taken::wait(global, |told| holds(told, &fingerprint))?;
        if global.json {
            return print::json(&json!({ "added": fingerprint, "taken": taken.is_known() }));
        }
        print::line(format!("the root {fingerprint} is trusted; {}", taken.words()))?;
        print::line("next, give all roots to devices and people: muster cert authorities --out FOLDER")
    }

    /// The one in the file, whose time it is.
    fn certificate(&self) -> Result<RootCertificate> {
        let unfit = |why: &str| Failure::usage(format!("{} cannot be trusted: {why}", self.file.display()));
        let mut roots =
            RootCertificate::read_all(&read_text(&self.file)?).map_err(|error| unfit(&error.to_string()))?;
        let (Some(root), true) = (roots.pop(), roots.is_empty()) else {
            return Err(unfit("it must hold one root's certificate and nothing else").into());
        };
        match root.validity.contains(wall_ms()) {
            true => Ok(root),
            false => Err(Failure::new(
                Exit::Conflict,
                format!(
                    "the root in {} has ended, or its time has not come",
                    self.file.display()
                ),
            )
            .into()),
        }
    }
}

/// Whether a server goes by this root.
pub(super) fn holds(told: &Authorities, fingerprint: &str) -> bool {
    let roots = RootCertificate::read_all(&told.roots).unwrap_or_default();
    roots.iter().any(|root| root.fingerprint_sha256 == fingerprint)
}
