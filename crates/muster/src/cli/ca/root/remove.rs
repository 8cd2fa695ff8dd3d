//! `muster ca root remove`

use anyhow::Result;
use pki::RootCertificate;
use serde_json::json;

use super::{
    super::{
        super::{
            Global,
            confirm::{Confirm, Consent},
            print,
        },
        taken,
    },
    add::holds,
    list::below,
};
use crate::{
    authorities::{Links, Lock, Register, Roots, certificate},
    exit::{Exit, Failure},
    folder::{Folder, demand_owner, read_text},
};

#[derive(clap::Args)]
pub(in crate::cli) struct Remove {
    /// The root, by the first digits of its fingerprint, as `muster ca root list` names it
    fingerprint: String,
    #[command(flatten)]
    confirm: Confirm,
}

impl Remove {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let folder = global.config()?.folder;
        demand_owner(&folder.pki(""))?;
        let lock = Lock::take(&folder)?;
        let mut roots = Roots::read(&folder)?;
        let gone = roots.remove(&self.fingerprint)?;
        demand_nothing_below(&folder, &gone)?;
        demand_server(&folder)?;
        let fingerprint = &gone.fingerprint_sha256;
        let what = format!("trust the root {fingerprint} no more");
        if self.confirm.ask(global, &what)? == Consent::NotWanted {
            return Ok(());
        }
        // The links to it go with it; in this order, for one that is left counts for nothing.
        roots.write(&folder)?;
        Links::read(&folder)?.write(&folder, &roots)?;
        drop(lock);
        let taken = taken::wait(global, |told| !holds(told, fingerprint))?;
        if global.json {
            return print::json(&json!({ "removed": fingerprint, "taken": taken.is_known() }));
        }
        print::line(format!(
            "the root {fingerprint} is trusted no more; {}",
            taken.words()
        ))
    }
}

/// An issuing CA is removed only when nothing of it counts: as long as one is listed, something depends on its root.
fn demand_nothing_below(folder: &Folder, root: &RootCertificate) -> Result<()> {
    let below = below(folder, root)?;
    if below.is_empty() {
        return Ok(());
    }
    let message = format!(
        "issuing CAs under this root are trusted: {}. Let another sign, and remove them first: muster ca remove ID",
        below.join(", ")
    );
    Err(Failure::new(Exit::Conflict, message).into())
}

/// The server's own certificate does not keep an issuing CA: its clients go by their roots.
fn demand_server(folder: &Folder) -> Result<()> {
    let server = read_text(&folder.pki("server.pem"))?;
    for listed in Register::read(folder)?.all() {
        if pki::issued_by(&server, &certificate(folder, &listed.id)?.pem).is_ok() {
            return Ok(());
        }
    }
    let message = "the server shows a certificate of an issuing CA that is listed no more, perhaps under this root; renew it \
                   first: muster cert renew-server";
    Err(Failure::new(Exit::Conflict, message).into())
}
