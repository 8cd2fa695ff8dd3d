//! The issuing authorities that are trusted: one of them signs. Others may take their places while the service runs.

use std::sync::{Arc, PoisonError, RwLock};

use contract::v1::IssuingAuthority;
use pki::{Authority, NameLimits, RootCertificate, RootLink, Validity};

/// An issuing authority, as far as decisions look at it.
#[derive(Debug, Clone)]
pub(crate) struct Issuing {
    /// The mark in its name.
    pub(crate) id: String,
    /// Its certificate, PEM.
    pub(crate) pem: String,
    /// Its time.
    pub(crate) validity: Validity,
    /// Which hosts its certificates may name.
    pub(crate) names: NameLimits,
}

/// All of them; the first signs.
#[derive(Debug, Clone)]
pub(crate) struct Authorities {
    pub(crate) signing: Issuing,
    others: Vec<Issuing>,
    /// The roots that holders trust, PEM.
    pub(crate) roots_pem: String,
    /// By which some of these vouch for others, PEM.
    pub(crate) links_pem: String,
}

/// The issuing authorities of a running service: what its decisions know of them and its effects sign with. Clones
/// are one and the same.
#[derive(Debug, Clone)]
pub struct Issuers(Arc<RwLock<Arc<Held>>>);

/// What is in use at one moment. A decision or an effect holds it from its beginning to its end.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) known: Arc<Authorities>,
    /// With their keys; none where nothing is signed.
    pub(crate) keys: Vec<Arc<Authority>>,
}

impl Issuers {
    /// One that signs, and others that are trusted: those that are to follow it, and those that it follows.
    pub fn new(signing: Arc<Authority>, others: Vec<Arc<Authority>>) -> Issuers {
        Issuers::holding(Held::of(signing, others, None))
    }

    /// The same by their certificates alone, for what needs no authority's key: a state that is brought back from a
    /// backup.
    pub fn without_keys(signing: &pki::IssuingCertificate, others: &[pki::IssuingCertificate]) -> Issuers {
        let known = Authorities {
            signing: Issuing::known(signing),
            others: others.iter().map(Issuing::known).collect(),
            roots_pem: String::new(),
            links_pem: String::new(),
        };
        Issuers::holding(Held {
            known: Arc::new(known),
            keys: Vec::new(),
        })
    }

    /// Others take their places, for every decision and every effect from now on. The service is to be woken with
    /// [`ISSUERS_CHANGED`](crate::ISSUERS_CHANGED) then.
    pub fn change(&self, signing: Arc<Authority>, others: Vec<Arc<Authority>>) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *held = Arc::new(Held::of(signing, others, Some(&*held.known)));
    }

    /// The roots that holders trust from now on, PEM. The service is to be woken in the same way.
    pub fn trust(&self, roots_pem: String) {
        self.knowing(|known| Authorities { roots_pem, ..known });
    }

    /// The links by which roots vouch for others from now on, PEM; before the roots that they lead to.
    pub fn link(&self, links_pem: String) {
        self.knowing(|known| Authorities { links_pem, ..known });
    }

    fn knowing(&self, change: impl FnOnce(Authorities) -> Authorities) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *held = Arc::new(Held {
            known: Arc::new(change(Authorities::clone(&held.known))),
            keys: held.keys.clone(),
        });
    }

    pub(crate) fn held(&self) -> Arc<Held> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn holding(held: Held) -> Issuers {
        Issuers(Arc::new(RwLock::new(Arc::new(held))))
    }
}

impl Held {
    /// Under the roots of the former ones.
    fn of(signing: Arc<Authority>, others: Vec<Arc<Authority>>, former: Option<&Authorities>) -> Held {
        let kept = |text: fn(&Authorities) -> &String| former.map(text).cloned().unwrap_or_default();
        let known = Authorities {
            signing: Issuing::of(&signing),
            others: others.iter().map(|other| Issuing::of(other)).collect(),
            roots_pem: kept(|former| &former.roots_pem),
            links_pem: kept(|former| &former.links_pem),
        };
        Held {
            known: Arc::new(known),
            keys: std::iter::once(signing).chain(others).collect(),
        }
    }
}

impl Issuing {
    fn known(certificate: &pki::IssuingCertificate) -> Issuing {
        Issuing {
            id: certificate.id.clone(),
            pem: certificate.pem.clone(),
            validity: certificate.validity,
            names: certificate.names.clone(),
        }
    }

    fn of(authority: &Authority) -> Issuing {
        Issuing {
            id: authority.id(),
            pem: authority.certificate_pem(),
            validity: authority.validity(),
            names: authority.names(),
        }
    }
}

impl Authorities {
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

    /// The roots, by their fingerprints; those that can be read.
    pub(crate) fn roots(&self) -> Vec<String> {
        let roots = RootCertificate::read_all(&self.roots_pem).unwrap_or_default();
        roots.into_iter().map(|root| root.fingerprint_sha256).collect()
    }

    /// Those of the roots that another vouches for, by their fingerprints.
    pub(crate) fn linked(&self) -> Vec<String> {
        let roots = RootCertificate::read_all(&self.roots_pem).unwrap_or_default();
        let links = RootLink::read_all(&self.links_pem).unwrap_or_default();
        let is_linked = |root: &RootCertificate| links.iter().any(|link| link.leads_to(root));
        let linked = roots.into_iter().filter(is_linked);
        linked.map(|root| root.fingerprint_sha256).collect()
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
