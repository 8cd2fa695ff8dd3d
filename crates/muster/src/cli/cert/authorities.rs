//! `muster cert authorities`

use std::path::{Path, PathBuf};

use anyhow::Result;
use contract::{
    id::ServiceName,
    v1::{self, GetAuthorities},
};

use super::super::{Global, print};
use crate::folder::write_public;

/// Why there may be no list in the answer.
pub(super) const NO_LIST: &str = "there is no revocation list yet, or it is too long for a message";

#[derive(clap::Args)]
pub(in crate::cli) struct Authorities {
    /// Write roots.pem, issuing.pem, crl.pem, and root-links.pem where there are any, into this folder instead
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

impl Authorities {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let request = GetAuthorities::default();
        let authorities: v1::Authorities = global.ask(ServiceName::Provisioning, "authorities", &request)?;
        if let Some(folder) = &self.out {
            write(folder, &authorities)?;
        }
        match (global.json, &self.out) {
            (true, _) => print::json(&authorities),
            (false, Some(folder)) => print::line(format!("written into {}", folder.display())),
            (false, None) => print_pem(&authorities),
        }
    }
}

fn write(folder: &Path, authorities: &v1::Authorities) -> Result<()> {
    write_public(&folder.join("roots.pem"), authorities.roots.as_bytes())?;
    write_public(&folder.join("issuing.pem"), authorities.issuing.as_bytes())?;
    if !authorities.root_links.is_empty() {
        write_public(&folder.join("root-links.pem"), authorities.root_links.as_bytes())?;
    }
    if authorities.crl.is_empty() {
        print::note(format!("crl.pem is not written: {NO_LIST}"));
        return Ok(());
    }
    write_public(&folder.join("crl.pem"), authorities.crl.as_bytes())
}

/// Readers of PEM pass over what stands between the blocks.
fn print_pem(authorities: &v1::Authorities) -> Result<()> {
    let crl = match authorities.crl.as_str() {
        "" => format!("# {NO_LIST}"),
        crl => format!(
            "# revocation lists, number {}\n{}",
            authorities.crl_number,
            crl.trim_end()
        ),
    };
    print::line(format!("# roots to trust\n{}", authorities.roots.trim_end()))?;
    print::line(format!(
        "# issuing CAs, the one that signs first\n{}",
        authorities.issuing.trim_end()
    ))?;
    if !authorities.root_links.is_empty() {
        print::line(format!(
            "# links by which a root vouches for the next\n{}",
            authorities.root_links.trim_end()
        ))?;
    }
    print::line(crl)?;
    let keys = authorities
        .server_keys
        .iter()
        .zip(["shows now", "will show next"]);
    keys.map(|(key, which)| {
        format!("# the key that the server {which}, SHA-256 of its SubjectPublicKeyInfo: {key}")
    })
    .try_for_each(print::line)
}
