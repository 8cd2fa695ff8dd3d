//! `muster ca root add`

use std::path::{Path, PathBuf};

use anyhow::Result;
use contract::v1::Authorities;
use host::clock::wall_ms;
use pki::{RootCertificate, RootLink};
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
    authorities::{Links, Lock, Roots},
    exit::{Exit, Failure},
    folder::{demand_owner, read_text},
};

#[derive(clap::Args)]
pub(in crate::cli) struct Add {
    /// The root's certificate, PEM
    file: PathBuf,
    /// The link to it, which `muster ca root link` wrote: devices that trust the former root take this one by it
    #[arg(long, value_name = "FILE")]
    link: Option<PathBuf>,
    #[command(flatten)]
    confirm: Confirm,
}

impl Add {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let folder = global.config()?.folder;
        demand_owner(&folder.pki(""))?;
        let lock = Lock::take(&folder)?;
        let (mut roots, mut links) = (Roots::read(&folder)?, Links::read(&folder)?);
        let root = only_root(&self.file)?;
        demand_time(&root, &self.file)?;
        let link = self.link.as_deref().map(only_link).transpose()?;
        if let Some(link) = &link {
            links.add(link.clone(), &root, &roots, wall_ms())?;
        }
        let is_trusted = roots.all().contains(&root);
        if !(is_trusted && link.is_some()) {
            roots.add(root.clone())?;
        }
        let fingerprint = root.fingerprint_sha256.as_str();
        if self
            .confirm
            .ask(global, &question(fingerprint, is_trusted, link.is_some()))?
            == Consent::NotWanted
        {
            return Ok(());
        }
        // In this order: a link to a root that is not trusted yet counts for nothing.
        links.write(&folder, &roots)?;
        roots.write(&folder)?;
        drop(lock);
        let taken = taken::wait(global, |told| {
            holds(told, fingerprint)
                && link
                    .as_ref()
                    .is_none_or(|link| told.root_links.contains(&link.pem))
        })?;
        if global.json {
            return print::json(&json!({
                "added": fingerprint, "linked": link.is_some(), "taken": taken.is_known(),
            }));
        }
        print::line(format!("the root {fingerprint} is trusted; {}", taken.words()))?;
        match link {
            Some(_) => print::line(
                "devices take it with their next certificate (at once: muster cert renew-all); give all roots to people: \
                 muster cert authorities --out FOLDER",
            ),
            None => print::line(
                "next, give all roots to devices and people: muster cert authorities --out FOLDER. With a link \
                 (muster ca root link) devices take it by themselves",
            ),
        }
    }
}

fn question(fingerprint: &str, is_trusted: bool, is_linked: bool) -> String {
    match (is_trusted, is_linked) {
        (true, _) => format!("let devices trust the root {fingerprint}, by its link"),
        (false, true) => {
            format!(
                "trust the root {fingerprint} beside those that are trusted, and let devices, by its link"
            )
        }
        (false, false) => format!("trust the root {fingerprint} beside those that are trusted"),
    }
}

/// The only root in a file.
pub(super) fn only_root(file: &Path) -> Result<RootCertificate> {
    let unfit = |why: &str| Failure::usage(format!("{} cannot be trusted: {why}", file.display()));
    let mut roots =
        RootCertificate::read_all(&read_text(file)?).map_err(|error| unfit(&error.to_string()))?;
    match (roots.pop(), roots.is_empty()) {
        (Some(root), true) => Ok(root),
        _ => Err(unfit("it must hold one root's certificate and nothing else").into()),
    }
}

fn only_link(file: &Path) -> Result<RootLink> {
    let unfit = |why: &str| Failure::usage(format!("{} is no link: {why}", file.display()));
    let mut links = RootLink::read_all(&read_text(file)?).map_err(|error| unfit(&error.to_string()))?;
    match (links.pop(), links.is_empty()) {
        (Some(link), true) => Ok(link),
        _ => Err(unfit("it must hold one certificate and nothing else").into()),
    }
}

fn demand_time(root: &RootCertificate, file: &Path) -> Result<()> {
    if root.validity.contains(wall_ms()) {
        return Ok(());
    }
    let file = file.display();
    let message = format!("the root in {file} has ended, or its time has not come");
    Err(Failure::new(Exit::Conflict, message).into())
}

/// Whether a server goes by this root.
pub(super) fn holds(told: &Authorities, fingerprint: &str) -> bool {
    let roots = RootCertificate::read_all(&told.roots).unwrap_or_default();
    roots.iter().any(|root| root.fingerprint_sha256 == fingerprint)
}
