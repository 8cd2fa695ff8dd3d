//! `muster ca remove`

use std::time::Duration;

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
    FOLLOWS,
};
use crate::{
    authorities::{Lock, Register, stem},
    exit::{Exit, Failure},
    folder::demand_owner,
};

/// Between two looks whether the server has followed, and how many there are: longer than it takes.
const PAUSE: Duration = Duration::from_millis(500);
const LOOKS: u32 = 30;

#[derive(clap::Args)]
pub(in crate::cli) struct Remove {
    /// The issuing CA, as `muster ca list` names it
    id: String,
    /// Also if certificates of it count, whose holders are then shut out, or if the server cannot be asked
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    confirm: Confirm,
}

impl Remove {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let config = global.config()?;
        demand_owner(&config.folder.pki(""))?;
        let _lock = Lock::take(&config.folder)?;
        let mut register = Register::read(&config.folder)?;
        register.remove(&self.id)?;
        if !self.force {
            let renew_after_ms = i64::try_from(config.renew_after.as_millis()).unwrap_or(i64::MAX);
            demand_unused(global, &self.id, renew_after_ms)?;
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
        if global.json {
            return print::json(&json!({ "removed": self.id }));
        }
        print::line(format!("{} is trusted no more; {FOLLOWS}", self.id))
    }
}

/// Refuses as long as somebody would be shut out.
fn demand_unused(global: &Global, id: &str, renew_after_ms: i64) -> Result<()> {
    let count = global.block_on(async {
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
        let take = |page: CertificatesListed| {
            let certificates = page.certificates.iter();
            let counted = certificates.filter(|one| counts(one, now_ms, renew_after_ms));
            (counted.map(drop).collect(), page.next_page)
        };
        let counted = whole::all(&client, (ServiceName::Provisioning, "list"), request, take).await?;
        client.disconnect().await;
        Ok(counted.len())
    })?;
    if count == 0 {
        return Ok(());
    }
    let message = format!(
        "{count} certificates of {id} count: let their holders renew first (`muster cert list`), or give --force to shut them out"
    );
    Err(Failure::new(Exit::Conflict, message).into())
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
