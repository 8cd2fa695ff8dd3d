//! `muster ca root link`

use std::path::PathBuf;

use anyhow::Result;
use host::clock::wall_ms;
use pki::{Authority, RootCertificate, RootLink, Serial};
use serde_json::json;

use super::{
    super::super::{
        Global,
        confirm::{Confirm, Consent},
        print,
    },
    add::only_root,
    sign::{ISSUED, RootPlace, demand_clock},
};
use crate::{
    exit::Failure,
    folder::{read_text, write_public},
};

#[derive(clap::Args)]
pub(in crate::cli) struct Link {
    /// The next root's certificate, PEM
    next: PathBuf,
    /// Where the link is written
    link: PathBuf,
    #[command(flatten)]
    place: RootPlace,
    #[command(flatten)]
    confirm: Confirm,
}

impl Link {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let next = only_root(&self.next)?;
        let root = self.place.open(global)?;
        let fingerprint = &next.fingerprint_sha256;
        let issued = self.place.folder(global).join(ISSUED);
        let kept = issued.join(format!("link-{}-{fingerprint}.pem", root.id()));
        let what = format!(
            "let whoever trusts the root {} trust the root {fingerprint} too, which ends {}",
            root.fingerprint_sha256(),
            print::time(next.validity.not_after_ms)
        );
        let Consent::Given = self.confirm.ask(global, &what)? else {
            return Ok(());
        };
        let is_again = kept.exists();
        if !is_again {
            demand_clock(&issued, &root, wall_ms())?;
            // Kept before it leaves: no link exists that the root's holder does not know.
            write_public(&kept, made(&root, &next)?.pem.as_bytes())?;
        }
        let link = read_text(&kept)?;
        write_public(&self.link, link.as_bytes())?;
        self.say(global, &root, fingerprint, &link, is_again)
    }

    fn say(&self, global: &Global, root: &Authority, next: &str, link: &str, is_again: bool) -> Result<()> {
        let links = RootLink::read_all(link)?;
        let ends_ms = links.first().map_or(0, |link| link.validity.not_after_ms);
        if global.json {
            return print::json(&json!({
                "from": root.fingerprint_sha256(), "to": next, "link": self.link, "again": is_again,
                "not_after_ms": ends_ms.to_string(),
            }));
        }
        print::line(match is_again {
            true => "this root was linked before: the same link again",
            false => "signed a link",
        })?;
        print::fields(&[
            ("link", self.link.display().to_string()),
            ("from", root.fingerprint_sha256()),
            ("to", next.to_owned()),
            ("ends", print::time(ends_ms)),
        ])?;
        print::line("next, on the server: muster ca root add ROOT --link LINK")
    }
}

fn made(root: &Authority, next: &RootCertificate) -> Result<RootLink> {
    let serial = Serial::from_random(rand::random());
    pki::link_roots(root, next, serial, wall_ms())
        .map_err(|error| Failure::usage(format!("nothing was signed: {error}")).into())
}
