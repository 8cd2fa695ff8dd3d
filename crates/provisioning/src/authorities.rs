//! The issuing authorities that are trusted: one of them signs.

use contract::v1::IssuingAuthority;
use pki::{Authority, Validity};

/// An issuing authority, as far as decisions look at it.
#[derive(Debug, Clone)]
pub(crate) struct Issuing {
    /// The mark in its name.
    pub(crate) id: String,
    /// Its certificate, PEM.
    pub(crate) pem: String,
    /// Its time.
    pub(crate) validity: Validity,
}

/// All of them; the first signs.
#[derive(Debug, Clone)]
pub(crate) struct Authorities {
    pub(crate) signing: Issuing,
    others: Vec<Issuing>,
}

impl Issuing {
    fn known(certificate: &pki::IssuingCertificate) -> Issuing {
        Issuing {
            id: certificate.id.clone(),
            pem: certificate.pem.clone(),
            validity: certificate.validity,
        }
    }

    fn of(authority: &Authority) -> Issuing {
        Issuing {
            id: authority.id(),
            pem: authority.certificate_pem(),
            validity: authority.validity(),
        }
    }
}

impl Authorities {
    pub(crate) fn of(signing: &Authority) -> Authorities {
        Authorities {
            signing: Issuing::of(signing),
            others: Vec::new(),
        }
    }

    /// By their certificates alone.
    pub(crate) fn known(
        signing: &pki::IssuingCertificate,
        others: &[pki::IssuingCertificate],
    ) -> Authorities {
        Authorities {
            signing: Issuing::known(signing),
            others: others.iter().map(Issuing::known).collect(),
        }
    }

    pub(crate) fn trust<'a>(&mut self, others: impl IntoIterator<Item = &'a Authority>) {
        self.others.extend(others.into_iter().map(Issuing::of));
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Issuing> {
        std::iter::once(&self.signing).chain(&self.others)
    }

    /// The certificate of the one with this mark, PEM; empty if it is trusted no more.
    pub(crate) fn pem(&self, id: &str) -> &str {
        self.all()
            .find(|issuing| issuing.id == id)
            .map(|issuing| issuing.pem.as_str())
            .unwrap_or_default()
    }

    /// All their certificates, PEM.
    pub(crate) fn bundle(&self) -> String {
        self.all().map(|issuing| issuing.pem.as_str()).collect()
    }

    /// What callers see.
    pub(crate) fn listed(&self) -> Vec<IssuingAuthority> {
        let row = |issuing: &Issuing| IssuingAuthority {
            id: issuing.id.clone(),
            certificate: issuing.pem.clone(),
            signs: issuing.id == self.signing.id,
            not_after_ms: issuing.validity.not_after_ms,
        };
        self.all().map(row).collect()
    }
}
