//! `muster ca root sign`

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use host::clock::wall_ms;
use pki::{
    Authority, AuthorityRequest, Charter, IssuingCertificate, NameLimits, RootCertificate, RootLink, Serial,
};
use serde_json::json;

use super::super::{
    super::{
        Global,
        confirm::{Confirm, Consent},
        print,
    },
    Permit,
    list::may_name,
    root_files::RootFiles,
};
use crate::{
    exit::Failure,
    folder::{read_text, write_public},
};

/// Below the root's folder: what it has signed, by the key's fingerprint.
pub(super) const ISSUED: &str = "issued";
/// How far a clock may be behind the newest certificate: theirs begin a minute early.
const BEHIND_MS: i64 = 5 * 60_000;

#[derive(clap::Args)]
pub(in crate::cli) struct Sign {
    /// The request, as `muster ca new` or `muster init --root-offline` wrote it
    request: PathBuf,
    /// Where the answer is written
    answer: PathBuf,
    #[command(flatten)]
    place: RootPlace,
    /// How long the issuing CA lasts; never longer than the root
    #[arg(long, default_value = "3650d", value_parser = humantime::parse_duration, value_name = "TIME")]
    lifetime: Duration,
    #[command(flatten)]
    permit: Permit,
    #[command(flatten)]
    confirm: Confirm,
}

/// Where the root is that signs.
#[derive(clap::Args)]
pub(super) struct RootPlace {
    /// There is no installation here: the root is in --root-folder, by default in this folder
    #[arg(long)]
    offline: bool,
    /// The folder of the root that signs, with root.key and root.pem [default: pki in the installation's folder]
    #[arg(long, value_name = "FOLDER")]
    root_folder: Option<PathBuf>,
    /// Read the root key's passphrase from the first line of this file [default: ask for it]
    #[arg(long, value_name = "FILE")]
    root_passphrase_file: Option<PathBuf>,
}

impl RootPlace {
    pub(super) fn folder(&self, global: &Global) -> PathBuf {
        match (&self.root_folder, self.offline) {
            (Some(folder), _) => folder.clone(),
            (None, true) => PathBuf::from("."),
            (None, false) => global.folder().pki(""),
        }
    }

    pub(super) fn open(&self, global: &Global) -> Result<Authority> {
        let files = RootFiles::of(&self.folder(global));
        Ok(files.open(self.root_passphrase_file.as_deref())?.authority)
    }
}

impl Sign {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let folder = self.place.folder(global);
        let text = read_text(&self.request)?;
        let request = AuthorityRequest::parse(text.as_bytes()).map_err(|error| {
            Failure::usage(format!("{} cannot be signed: {error}", self.request.display()))
        })?;
        let root = self.place.open(global)?;
        let fingerprint = request.key.fingerprint_sha256();
        let kept = folder.join(ISSUED).join(format!("{fingerprint}.pem"));
        let what = format!(
            "sign an issuing CA for the installation `{}` with the {} key {fingerprint}{}",
            request.site,
            request.key.kind().word(),
            only(&NameLimits::permitting(&self.permit.subtrees()))
        );
        let Consent::Given = self.confirm.ask(global, &what)? else {
            return Ok(());
        };
        let is_again = kept.exists();
        if !is_again {
            demand_clock(&folder.join(ISSUED), &root, wall_ms())?;
            let chain = self.chain(&root, &request)?;
            // Kept before it leaves: no certificate exists that the root's holder does not know.
            write_public(&kept, chain.as_bytes())?;
        }
        let chain = read_text(&kept)?;
        write_public(&self.answer, chain.as_bytes())?;
        self.say(global, &root, &chain, is_again)
    }

    fn chain(&self, root: &Authority, request: &AuthorityRequest) -> Result<String> {
        let charter = Charter {
            site: &request.site,
            key: request.key.kind(),
            serial: Serial::from_random(rand::random()),
            now_ms: wall_ms(),
            lifetime_ms: u64::try_from(self.lifetime.as_millis()).unwrap_or(u64::MAX),
        };
        pki::certify_issuing(root, &request.key, &charter, &self.permit.subtrees())
            .map_err(|error| Failure::usage(format!("nothing was signed: {error}")).into())
    }

    fn say(&self, global: &Global, root: &Authority, chain: &str, is_again: bool) -> Result<()> {
        let made = IssuingCertificate::read(chain, &root.certificate_pem())?;
        if global.json {
            return print::json(&json!({
                "id": made.id, "answer": self.answer, "again": is_again,
                "not_after_ms": made.validity.not_after_ms.to_string(),
                "may_name": made.names.words(), "root_fingerprint": root.fingerprint_sha256(),
            }));
        }
        print::line(match is_again {
            true => format!("this request was answered before: {} again", made.id),
            false => format!("signed the issuing CA {}", made.id),
        })?;
        print::fields(&[
            ("answer", self.answer.display().to_string()),
            ("ends", print::time(made.validity.not_after_ms)),
            ("may name", may_name(&made.names)),
            ("root's fingerprint", root.fingerprint_sha256()),
        ])?;
        print::line("next, on the server: muster ca import ANSWER")
    }
}

fn only(names: &NameLimits) -> String {
    match names.words().join(", ") {
        none if none.is_empty() => none,
        words => format!(", which may name {words} and no other host"),
    }
}

/// A machine that stays off may have lost its time: nothing is signed for a time that was before the last one.
pub(super) fn demand_clock(issued: &Path, root: &Authority, now_ms: i64) -> Result<()> {
    let entries = match fs::read_dir(issued) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(|| format!("cannot read {}", issued.display()))?,
    };
    for entry in entries {
        let path = entry?.path();
        let Some((what, begins_ms)) = signed(&read_text(&path)?, root) else {
            continue;
        };
        if now_ms.saturating_add(BEHIND_MS) < begins_ms {
            let message = format!(
                "this machine's clock ran backwards: it says {}, and {what} was signed at {}",
                print::time(now_ms),
                print::time(begins_ms)
            );
            return Err(Failure::usage(message).into());
        }
    }
    Ok(())
}

/// What an answer of the root is, and when it begins: an issuing CA, or a link to the next root.
fn signed(answer: &str, root: &Authority) -> Option<(String, i64)> {
    let own = root.certificate_pem();
    if let Ok(issuing) = IssuingCertificate::read(answer, &own) {
        return Some((issuing.id, issuing.validity.not_before_ms));
    }
    let link = RootLink::read_all(answer).ok()?.pop()?;
    let begins_ms = link.validity.not_before_ms;
    let own = RootCertificate::read_all(&own).ok()?;
    own.iter()
        .any(|root| link.is_signed_by(root))
        .then_some(("a link".into(), begins_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_behind_the_newest_certificate_signs_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (now_ms, hour) = (1_800_000_000_000, 3_600_000);
        let charter = |n| Charter {
            site: "berlin",
            key: pki::KeyKind::P256,
            serial: Serial::from_random([n; 16]),
            now_ms,
            lifetime_ms: 1 << 36,
        };
        let root = pki::create_root(&charter(1)).unwrap();
        let root = Authority::open(&root.chain_pem, &root.key_pem, now_ms).unwrap();
        let issued = folder.path().join(ISSUED);
        demand_clock(&issued, &root, now_ms - hour).unwrap();
        let made = pki::create_issuing(&root, &charter(2)).unwrap();
        write_public(&issued.join("a.pem"), made.chain_pem.as_bytes()).unwrap();
        write_public(&issued.join("b.pem"), b"somebody's note").unwrap();
        // A link says what time it was as well.
        let next = pki::create_root(&Charter {
            now_ms: now_ms + 6 * hour,
            ..charter(3)
        });
        let next = RootCertificate::read_all(&next.unwrap().chain_pem)
            .unwrap()
            .remove(0);
        let serial = Serial::from_random([4; 16]);
        let link = pki::link_roots(&root, &next, serial, now_ms + 6 * hour).unwrap();
        write_public(&issued.join("link.pem"), link.pem.as_bytes()).unwrap();
        let said = demand_clock(&issued, &root, now_ms + 5 * hour).unwrap_err();
        assert!(said.to_string().contains("a link was signed"), "{said}");
        std::fs::remove_file(issued.join("link.pem")).unwrap();
        for (at_ms, fits) in [(now_ms, true), (now_ms - BEHIND_MS, true), (now_ms - hour, false)] {
            let said = demand_clock(&issued, &root, at_ms);
            assert_eq!(said.is_ok(), fits, "{said:?}");
        }
        let said = demand_clock(&issued, &root, now_ms - hour).unwrap_err();
        assert_eq!(crate::exit::code_of(&said), 2);
        assert!(said.to_string().contains("clock ran backwards"), "{said}");
    }
}
