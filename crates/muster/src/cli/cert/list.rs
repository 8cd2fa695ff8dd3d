//! `muster cert list` and `show`

use anyhow::Result;
use contract::{
    Id,
    id::{Kind, ServiceName},
    v1::{
        Certificate, CertificateShown, CertificateStatus, CertificatesListed, ListCertificates,
        ShowCertificate,
    },
};
use pki::Serial;

use super::{
    super::{
        Global,
        list::Limit,
        print,
        words::{self, say},
    },
    FORMS, When,
};

#[derive(clap::Args)]
pub(in crate::cli) struct List {
    /// Of this kind of owner
    #[arg(long, value_parser = words::owner())]
    kind: Option<Kind>,
    /// Of this owner
    #[arg(long, requires = "kind")]
    id: Option<Id>,
    /// With this status
    #[arg(long, value_parser = words::parser::<CertificateStatus>())]
    status: Option<CertificateStatus>,
    /// Of this issuing CA, as `muster ca list` names it
    #[arg(long, value_name = "CA", default_value = "", hide_default_value = true)]
    issuer: String,
    /// That end before this
    #[arg(long, value_name = FORMS)]
    expires_before: Option<When>,
    #[command(flatten)]
    limit: Limit,
}

#[derive(clap::Args)]
pub(in crate::cli) struct Show {
    /// The certificate's serial number, 32 hex digits
    #[arg(value_parser = Serial::from_hex)]
    serial: Serial,
    /// Print the certificate itself, PEM
    #[arg(long)]
    pem: bool,
}

impl List {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let wanted = ListCertificates {
            kind: self.kind.map(Kind::word).unwrap_or_default().to_owned(),
            id: self.id.map(|id| id.to_string()).unwrap_or_default(),
            status: self.status.unwrap_or_default().into(),
            expires_before_ms: self.expires_before.map(When::ms).unwrap_or_default(),
            issuer: self.issuer,
            ..ListCertificates::default()
        };
        let listed = self.limit.collect(
            global,
            (ServiceName::Provisioning, "list"),
            |page| ListCertificates {
                page_size: page.size,
                page: page.token,
                ..wanted.clone()
            },
            |reply: CertificatesListed| (reply.certificates, reply.next_page),
        )?;
        listed.print(global, &["serial", "owner", "status", "ends", "batch"], row)
    }
}

impl Show {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let request = ShowCertificate {
            serial: self.serial.to_hex(),
            ..ShowCertificate::default()
        };
        let shown: CertificateShown = global.ask(ServiceName::Provisioning, "show", &request)?;
        let certificate = shown.certificate.unwrap_or_default();
        match (global.json, self.pem) {
            (true, _) => print::json(&certificate),
            (false, true) => print::line(certificate.pem.trim_end()),
            (false, false) => print_certificate(&certificate),
        }
    }
}

fn row(certificate: &Certificate) -> Vec<String> {
    vec![
        certificate.serial.clone(),
        owner(certificate),
        say(certificate.status()),
        print::time(certificate.not_after_ms),
        certificate.batch.clone(),
    ]
}

/// `devices/pump-7`: where there is little room it takes two lines, and leaves some for the certificate's end.
fn owner(certificate: &Certificate) -> String {
    format!("{}/{}", certificate.kind, certificate.id)
}

fn print_certificate(certificate: &Certificate) -> Result<()> {
    print::fields(&[
        ("serial", certificate.serial.clone()),
        ("owner", owner(certificate)),
        ("status", say(certificate.status())),
        ("begins", print::time(certificate.not_before_ms)),
        ("ends", print::time(certificate.not_after_ms)),
        ("issued", print::time(certificate.issued_at_ms)),
        ("revoked", print::time(certificate.revoked_at_ms)),
        ("reason", certificate.revocation_reason.clone()),
        ("batch", certificate.batch.clone()),
        ("issuer", certificate.issuer.clone()),
        ("fingerprint", certificate.fingerprint.clone()),
    ])
}
