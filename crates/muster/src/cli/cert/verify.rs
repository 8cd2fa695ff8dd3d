//! `muster cert verify`

use std::path::PathBuf;

use anyhow::Result;
use contract::{
    id::ServiceName,
    v1::{Certificate, CertificateShown, CertificateStatus, ShowCertificate},
};
use host::clock::wall_ms;
use pki::{ClientCertificate, ProfileError};

use super::super::{Global, print, words::say};
use crate::{
    exit::{Exit, Failure},
    folder::read_text,
};

#[derive(clap::Args)]
pub(in crate::cli) struct Verify {
    /// The certificate, PEM; of a chain the first one
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Where a file holds the key too, as a device's own does, what comes after it.
fn certificates(pem: &str) -> &str {
    let begin = pem.find("-----BEGIN CERTIFICATE-----");
    begin.and_then(|at| pem.get(at..)).unwrap_or(pem)
}

impl Verify {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let file = self.file.display();
        let read = ClientCertificate::parse_pem(certificates(&read_text(&self.file)?));
        let read = read.map_err(|error| match error {
            ProfileError::NotParseable => Failure::usage(format!("{file} is no certificate in PEM form")),
            error => Failure::new(Exit::Denied, format!("{file}: {error}")),
        })?;
        let request = ShowCertificate {
            serial: read.serial_hex.clone(),
            ..ShowCertificate::default()
        };
        let shown: CertificateShown = global.ask(ServiceName::Provisioning, "show", &request)?;
        let known = shown.certificate.unwrap_or_default();
        if let Some(why) = wrong(&read, &known, wall_ms()) {
            return Err(Failure::new(Exit::Denied, format!("{}: {why}", read.serial_hex)).into());
        }
        if global.json {
            return print::json(&known);
        }
        print::line(format!(
            "{} is good: {}/{}, {}, until {}",
            known.serial,
            known.kind,
            print::clean(&known.id),
            say(known.status()),
            print::time(known.not_after_ms)
        ))
    }
}

/// Why nobody gets in with it, by what is known of it.
fn wrong(read: &ClientCertificate, known: &Certificate, now_ms: i64) -> Option<String> {
    if known.fingerprint != read.fingerprint_sha256 {
        return Some("another certificate has this serial: this one was not issued here".into());
    }
    match known.status() {
        CertificateStatus::Issued | CertificateStatus::Active => {}
        CertificateStatus::Revoked => {
            let (at, reason) = (print::time(known.revoked_at_ms), &known.revocation_reason);
            return Some(format!("it was revoked at {at} ({reason})"));
        }
        other => return Some(format!("it does not count: {}", say(other))),
    }
    if now_ms > known.not_after_ms {
        return Some(format!("it ended at {}", print::time(known.not_after_ms)));
    }
    (now_ms < known.not_before_ms).then(|| format!("it begins at {}", print::time(known.not_before_ms)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_counts_now_is_good() {
        let known = |status: CertificateStatus, fingerprint: &str| Certificate {
            status: status.into(),
            fingerprint: fingerprint.into(),
            not_before_ms: 1_000,
            not_after_ms: 2_000,
            revocation_reason: "keyCompromise".into(),
            ..Certificate::default()
        };
        let read = ClientCertificate {
            subject: pki::Subject::new("hq", pki::SubjectKind::Device, "pump-1").unwrap(),
            serial_hex: "4f".repeat(16),
            not_before_ms: 1_000,
            not_after_ms: 2_000,
            fingerprint_sha256: "ab".into(),
            key_fingerprint_sha256: "cd".into(),
        };
        for (status, fingerprint, now_ms, expected) in [
            (CertificateStatus::Active, "ab", 1_500, None),
            (CertificateStatus::Issued, "ab", 1_500, None),
            (CertificateStatus::Active, "ba", 1_500, Some("not issued here")),
            (CertificateStatus::Revoked, "ab", 1_500, Some("keyCompromise")),
            (CertificateStatus::Retired, "ab", 1_500, Some("retired")),
            (CertificateStatus::Active, "ab", 2_001, Some("ended")),
            (CertificateStatus::Active, "ab", 999, Some("begins")),
        ] {
            let why = wrong(&read, &known(status, fingerprint), now_ms);
            match expected {
                None => assert_eq!(why, None, "{status:?} {now_ms}"),
                Some(word) => assert!(why.as_ref().is_some_and(|why| why.contains(word)), "{why:?}"),
            }
        }
    }
}
