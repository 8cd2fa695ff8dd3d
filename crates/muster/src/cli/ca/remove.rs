//! `muster ca remove`

use std::{cell::Cell, time::Duration};

use anyhow::{Result, bail};
use client::Client;
use contract::{
    id::{Kind, ServiceName},
    v1::{Authorities, Certificate, CertificateStatus, CertificatesListed, GetAuthorities, ListCertificates},
};
use host::clock::wall_ms;
use serde_json::json;

use super::{
    super::{
        Global,
        confirm::{Confirm, Consent},
        global::ask,
        list::Page,
        print, whole,
    },
    taken,
};
use crate::{
    authorities::{Lock, Register, certificate, stem},
    exit::{Exit, Failure, code_of},
    folder::{Folder, demand_owner, read_text},
};

/// Between two looks whether the server has followed, and how many there are: longer than it takes.
const PAUSE: Duration = Duration::from_millis(500);
const LOOKS: u32 = 30;

#[derive(clap::Args)]
pub(in crate::cli) struct Remove {
    /// The issuing CA, as `muster ca list` names it
    id: String,
    /// Also if certificates of it count, whose holders are then shut out, or if the server cannot be asked. Not before
    /// any was revoked, and not if yours is among them
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    confirm: Confirm,
}

impl Remove {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let config = global.config()?;
        demand_owner(&config.folder.pki(""))?;
        let lock = Lock::take(&config.folder)?;
        let mut register = Register::read(&config.folder)?;
        register.remove(&self.id)?;
        if self.force {
            demand_not_own(global, &config.folder, &self.id)?;
        }
        let renew_after_ms = i64::try_from(config.renew_after.as_millis()).unwrap_or(i64::MAX);
        match (used(global, &self.id, renew_after_ms), self.force) {
            (Ok(used), force) => used.demand_fit(&self.id, force)?,
            (Err(error), true) if cannot_be_asked(&error) => {
                print::note(format!("the server could not be asked what counts: {error:#}"));
            }
            (Err(error), _) => return Err(error),
        }
        let what = format!("trust the issuing CA {} no more, and erase its key", self.id);
        if self.confirm.ask(global, &what)? == Consent::NotWanted {
            return Ok(());
        }
        register.write(&config.folder)?;
        // Devices trust the root: whoever found this key could play the server.
        let key = config
            .folder
            .pki(&format!("{}.key", stem(&config.folder, &self.id)));
        if let Err(error) = std::fs::remove_file(&key)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            bail!(
                "{} is listed no more, but {} could not be erased: {error}",
                self.id,
                key.display()
            );
        }
        drop(lock);
        let is_gone = |told: &Authorities| !told.authorities.iter().any(|one| one.id == self.id);
        let taken = taken::wait(global, is_gone)?;
        if global.json {
            return print::json(&json!({ "removed": self.id, "taken": taken.is_known() }));
        }
        print::line(format!("{} is trusted no more; {}", self.id, taken.words()))
    }
}

/// Refuses to shut out whoever asks: they could not ask anything any more.
fn demand_not_own(global: &Global, folder: &Folder, id: &str) -> Result<()> {
    let own = global.identity_folder();
    let Ok(chain) = read_text(&own.join("certificate.pem")) else {
        return Ok(());
    };
    if pki::issued_by(&chain, &certificate(folder, id)?.pem).is_err() {
        return Ok(());
    }
    let message = format!(
        "your own certificate, in {}, is of {id} and would open nothing any more. Have another issued and use that: \
         muster cert issue operator {} --out ./again; muster --as ./again ca remove {id}",
        own.display(),
        own.file_name().unwrap_or_default().display()
    );
    Err(Failure::new(Exit::Conflict, message).into())
}

/// How many certificates there are of an issuing CA whose holders would notice, and how many that were revoked.
#[derive(Debug, Default, Clone, Copy)]
struct Used {
    counting: usize,
    revoked: usize,
}

impl Used {
    /// Refuses as long as somebody would be shut out; forced, as long as they would stay in: a CA that is gone opens no
    /// new session, and ends none.
    fn demand_fit(self, id: &str, force: bool) -> Result<(), Failure> {
        let Used { counting, revoked } = self;
        let message = match force {
            _ if counting == 0 => return Ok(()),
            false => format!(
                "{counting} certificates of {id} count: let their holders renew first (`muster cert list`), or give --force \
                 to shut them out"
            ),
            true if revoked > 0 => return Ok(()),
            true => format!(
                "{counting} certificates of {id} count and none was revoked: whoever is connected over one would stay. End \
                 that first: muster cert revoke --issuer {id} --reason cACompromise"
            ),
        };
        Err(Failure::new(Exit::Conflict, message))
    }
}

fn cannot_be_asked(error: &anyhow::Error) -> bool {
    [Exit::Unavailable as u8, Exit::Denied as u8].contains(&code_of(error))
}

fn used(global: &Global, id: &str, renew_after_ms: i64) -> Result<Used> {
    global.block_on(async {
        let (client, _inbox) = global.connect().await?;
        demand_not_signing(&client, id).await?;
        let now_ms = wall_ms();
        let request = |Page { size, token }| ListCertificates {
            issuer: id.to_owned(),
            page_size: size,
            page: token,
            ..ListCertificates::default()
        };
        // Counted and not kept: there may be as many as devices.
        let used = Cell::new(Used::default());
        let take = |page: CertificatesListed| {
            used.set(page.certificates.iter().fold(used.get(), |used, one| Used {
                counting: used.counting + usize::from(counts(one, now_ms, renew_after_ms)),
                revoked: used.revoked + usize::from(one.status() == CertificateStatus::Revoked),
            }));
            (Vec::<()>::new(), page.next_page)
        };
        whole::all(&client, (ServiceName::Provisioning, "list"), request, take).await?;
        client.disconnect().await;
        Ok(used.get())
    })
}

/// Waits until the server has followed to another that signs. One that does not must be looked at first: what it signs
/// from now on would count for nobody.
async fn demand_not_signing(client: &Client, id: &str) -> Result<()> {
    for _ in 0..LOOKS {
        let asked = GetAuthorities::default();
        let told: Authorities = ask(client, ServiceName::Provisioning, "authorities", &asked).await?;
        if !told.authorities.iter().any(|one| one.id == id && one.signs) {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    let message = format!("the running server still signs with {id}; its log says why it does not follow");
    Err(Failure::new(Exit::Conflict, message).into())
}

/// Whether its holder would notice. The server's own is checked by its clients, who trust the root.
fn counts(certificate: &Certificate, now_ms: i64, renew_after_ms: i64) -> bool {
    let is_live = matches!(
        certificate.status(),
        CertificateStatus::Planned | CertificateStatus::Issued | CertificateStatus::Active
    );
    let grace_ms = if certificate.kind == Kind::Device.word() {
        renew_after_ms
    } else {
        0
    };
    let until_ms = certificate.not_after_ms.saturating_add(grace_ms);
    is_live && certificate.kind != Kind::Service.word() && until_ms > now_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_shut_out_unforced_and_nobody_who_stays_connected_is_forgotten() {
        for (counting, revoked, force, refused) in [
            (0, 0, false, ""),
            (0, 0, true, ""),
            (3, 2, false, "let their holders renew"),
            (3, 0, true, "--reason cACompromise"),
            (3, 1, true, ""),
        ] {
            let fit = Used { counting, revoked }.demand_fit("4a000001", force);
            match fit {
                Ok(()) => assert_eq!(refused, "", "{counting} {revoked} {force}"),
                Err(error) => {
                    let said = error.to_string();
                    assert!(!refused.is_empty() && said.contains(refused), "{said}");
                    assert_eq!(error.exit, Exit::Conflict);
                }
            }
        }
    }

    #[test]
    fn whoever_would_be_shut_out_counts() {
        use CertificateStatus::{Active, Issued, Retired, Revoked};
        for (kind, status, not_after_ms, expected) in [
            ("devices", Active, 101, true),
            ("devices", Issued, 101, true),
            ("devices", Active, 95, true),
            ("devices", Active, 90, false),
            ("devices", Revoked, 101, false),
            ("devices", Retired, 101, false),
            ("operators", Active, 101, true),
            ("operators", Active, 95, false),
            ("claims", Issued, 101, true),
            ("services", Active, 101, false),
        ] {
            let certificate = Certificate {
                kind: kind.into(),
                status: status.into(),
                not_after_ms,
                ..Certificate::default()
            };
            assert_eq!(
                counts(&certificate, 100, 10),
                expected,
                "{kind} {status:?} {not_after_ms}"
            );
        }
    }
}
