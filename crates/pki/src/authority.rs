//! An authority: a certificate that may sign, and the key that belongs to it.

use rcgen::Issuer;
use zeroize::Zeroizing;

use crate::ca_certificate::CaCertificate;
use crate::inspect::{self, Deviation};
use crate::key::{KeyError, PrivateKey, sha256_hex};
use crate::name_limits::NameLimits;
use crate::pem_text::{self, PemError};
use crate::plan::{Host, Plan};
use crate::profile::{self, ProfileMismatch, Tier};
use crate::rehearsal::Rehearsal;
use crate::signed::Signed;
use crate::signer::{Signer, Signing};
use crate::validity::Validity;

/// An authority that is ready to sign. Its key is wiped when it is dropped.
pub struct Authority {
    pub(crate) own: CaCertificate,
    pub(crate) issuer: Issuer<'static, Signing>,
    above: Vec<CaCertificate>,
    pub(crate) rehearsal: Rehearsal,
}

/// A certificate that has just been signed and read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedCertificate {
    /// The certificate alone, in PEM form.
    pub pem: String,
    /// The same in DER form.
    pub der: Vec<u8>,
    /// The serial number in lower-case hex.
    pub serial_hex: String,
    /// The first instant of validity, in milliseconds since 1970.
    pub not_before_ms: i64,
    /// The last instant of validity, in milliseconds since 1970.
    pub not_after_ms: i64,
    /// The SHA-256 of the DER form, in lower-case hex.
    pub fingerprint_sha256: String,
}

/// Why an authority cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// The chain is not a sequence of certificates in PEM form.
    #[error("this is not a chain of certificates")]
    NotParseable,
    /// A key is of no use.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The private key belongs to another certificate.
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
    /// A certificate in the chain may not sign certificates and revocation lists.
    #[error("a certificate of the chain is not an authority's of our profile")]
    NotAnAuthority,
    /// A certificate in the chain that is no root's may sign authorities.
    #[error(
        "a certificate of the chain may sign authorities below it: an issuing authority's path length is 0"
    )]
    PathLength,
    /// A certificate in the chain constrains other names than hosts.
    #[error("a certificate of the chain has name constraints on other names than DNS names and addresses")]
    NameConstraints,
    /// A certificate in the chain was not signed by the next one.
    #[error("a certificate of the chain was not signed by the next one")]
    BrokenChain,
    /// The chain does not end in one of the roots.
    #[error("the chain does not end in the installation's root")]
    OtherRoot,
    /// There is another number of certificates than those of an issuing authority and its root.
    #[error(
        "the chain must be an issuing authority and the root that signed it, in this order, and nothing else"
    )]
    NotTwo,
    /// The first one may sign authorities, or the second one may not.
    #[error(
        "the first certificate must be an issuing authority's (path length 0), the second one the root's above it"
    )]
    NotIssuing,
    /// A certificate among the roots is none.
    #[error("it is no root's: its path length is 0, or it does not sign itself")]
    NoRoot,
    /// A root stands there more than once.
    #[error("a root stands there twice")]
    Twice,
    /// A certificate among the links between roots is none.
    #[error("it is no link between two roots: it signs itself, or its path length is 0")]
    NoLink,
    /// The authority's period of validity lies in the future.
    #[error("the authority is not valid yet")]
    NotYetValid,
    /// The authority's period of validity is over.
    #[error("the authority has expired")]
    Expired,
}

/// Why a plan was not signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// A root signs authorities only, and an issuing authority none.
    #[error("this authority does not sign certificates of this kind")]
    WrongTier,
    /// The key in the plan is not one we certify.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The plan cannot be written as a certificate.
    #[error(transparent)]
    Profile(#[from] ProfileMismatch),
    /// The plan names a host that an authority's name constraints forbid.
    #[error("the authority's name constraints forbid the name `{0}`")]
    Name(Host),
    /// The plan's period exceeds the authority's.
    #[error("the plan's period of validity exceeds the authority's")]
    OutlivesAuthority,
    /// The cryptographic library refused to sign.
    #[error("the certificate could not be signed")]
    NotSigned,
    /// The certificate, read back, does not say what was planned. It must not be released.
    #[error("the signed certificate deviates from its plan")]
    Deviation(#[from] Deviation),
}

impl Authority {
    /// Opens an authority from its own certificate, followed by those above it, and its private key.
    pub fn open(chain_pem: &str, key_pem: &str, now_ms: i64) -> Result<Authority, AuthorityError> {
        Authority::with_signer(chain_pem, Box::new(PrivateKey::from_pem(key_pem)?), now_ms)
    }

    /// The same, with a key that is elsewhere.
    pub fn with_signer(
        chain_pem: &str,
        signer: Box<dyn Signer>,
        now_ms: i64,
    ) -> Result<Authority, AuthorityError> {
        let mut above = read_chain(chain_pem)?;
        let own = above.remove(0);
        demand_valid(own.validity, now_ms)?;
        let key = Signing::with(signer)?;
        if *key.public() != own.key {
            return Err(AuthorityError::KeyMismatch);
        }
        let issuer = Issuer::from_ca_cert_der(&own.der.as_slice().into(), key);
        let issuer = issuer.map_err(|_| AuthorityError::NotParseable)?;
        Ok(Authority {
            rehearsal: Rehearsal::of(&own)?,
            own,
            issuer,
            above,
        })
    }

    /// Rehearses a plan, signs it, reads the result back, and releases it only if it says what was planned.
    ///
    /// The same plan gives the same contents each time; with ECDSA the signature itself differs.
    pub fn sign(&self, plan: &Plan) -> Result<IssuedCertificate, SignError> {
        if self.own.tier != Tier::Issuing {
            return Err(SignError::WrongTier);
        }
        if !self.own.validity.encloses(plan.validity()) {
            return Err(SignError::OutlivesAuthority);
        }
        if let Some(host) = self.names().first_forbidden(plan.profile.hosts()) {
            return Err(SignError::Name(host.clone()));
        }
        let key = crate::key::PublicKey::from_spki(&plan.spki_der)?;
        let rehearsed = self.rehearsal.message(plan, &key)?;
        let signed = profile::leaf(plan)?.signed_by(&key, &self.issuer);
        let der = signed.map_err(|_| SignError::NotSigned)?.der().to_vec();
        let validity = inspect::demand_as_planned(&der, plan, &self.own)?;
        if Signed::read(&der).is_none_or(|signed| signed.message != rehearsed) {
            return Err(Deviation::Field("content").into());
        }
        Ok(IssuedCertificate {
            pem: pem_text::write_block("CERTIFICATE", &der),
            serial_hex: plan.serial.to_hex(),
            not_before_ms: validity.not_before_ms,
            not_after_ms: validity.not_after_ms,
            fingerprint_sha256: sha256_hex(&der),
            der,
        })
    }

    /// Whether this is a root or an issuing authority.
    pub fn tier(&self) -> Tier {
        self.own.tier
    }

    /// The mark in its name: eight hex digits that tell it from others of its installation.
    pub fn id(&self) -> String {
        self.own.mark()
    }

    /// The authority's period of validity; no certificate outlives it.
    pub fn validity(&self) -> Validity {
        self.own.validity
    }

    /// Which hosts its certificates may name, by its own certificate and those above.
    pub fn names(&self) -> NameLimits {
        together(std::iter::once(&self.own).chain(&self.above))
    }

    /// The authority's own certificate in PEM form, which a peer sends after its own.
    pub fn certificate_pem(&self) -> String {
        pem_text::write_block("CERTIFICATE", &self.own.der)
    }

    /// The authority's own certificate in DER form, as it is published (RFC 5280, section 4.2.2.1).
    pub fn certificate_der(&self) -> &[u8] {
        &self.own.der
    }

    /// The authority's certificate followed by those above it, in PEM form.
    pub fn chain_pem(&self) -> String {
        let above = self
            .above
            .iter()
            .map(|above| pem_text::write_block("CERTIFICATE", &above.der));
        std::iter::once(self.certificate_pem()).chain(above).collect()
    }

    /// The SHA-256 of the authority's certificate, in lower-case hex.
    pub fn fingerprint_sha256(&self) -> String {
        sha256_hex(&self.own.der)
    }
}

/// An issuing authority that somebody else founded, with the root that signed it.
#[derive(Debug)]
pub struct Brought {
    /// It, ready to sign.
    pub issuing: Authority,
    /// The root's certificate, in PEM form.
    pub root_pem: String,
    /// The SHA-256 of the root's certificate, in lower-case hex.
    pub root_fingerprint_sha256: String,
}

impl Brought {
    /// Opens it from its certificate followed by the root's, and its private key: refused is one that does not fit the
    /// key, that another than this root signed, that is no issuing authority, and whose time or whose root's time it is
    /// not.
    pub fn open(chain_pem: &str, key_pem: &str, now_ms: i64) -> Result<Brought, AuthorityError> {
        let chain = read_chain(chain_pem)?;
        let [own, root] = chain.as_slice() else {
            return Err(AuthorityError::NotTwo);
        };
        if own.tier != Tier::Issuing || root.tier != Tier::Root {
            return Err(AuthorityError::NotIssuing);
        }
        demand_valid(root.validity, now_ms)?;
        Ok(Brought {
            issuing: Authority::open(chain_pem, key_pem, now_ms)?,
            root_pem: pem_text::write_block("CERTIFICATE", &root.der),
            root_fingerprint_sha256: sha256_hex(&root.der),
        })
    }
}

/// An issuing authority as those see it who do not hold its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuingCertificate {
    /// The mark in its name, see [`Authority::id`].
    pub id: String,
    /// Its certificate alone, in PEM form.
    pub pem: String,
    /// Its period of validity.
    pub validity: Validity,
    /// Which hosts its certificates may name.
    pub names: NameLimits,
}

impl IssuingCertificate {
    /// Reads the first certificate of a chain that must lead from an issuing authority to one of the roots.
    pub fn read(chain_pem: &str, roots_pem: &str) -> Result<IssuingCertificate, AuthorityError> {
        let chain = read_chain(chain_pem)?;
        let roots = pem_text::all_blocks(roots_pem.as_bytes(), &["CERTIFICATE"])?;
        let (Some(own), Some(top)) = (chain.first(), chain.last()) else {
            return Err(AuthorityError::NotParseable);
        };
        if own.tier != Tier::Issuing {
            return Err(AuthorityError::NotAnAuthority);
        }
        if top.tier != Tier::Root || !roots.contains(&top.der) {
            return Err(AuthorityError::OtherRoot);
        }
        Ok(IssuingCertificate {
            id: own.mark(),
            pem: pem_text::write_block("CERTIFICATE", &own.der),
            validity: own.validity,
            names: together(&chain),
        })
    }
}

fn together<'a>(chain: impl IntoIterator<Item = &'a CaCertificate>) -> NameLimits {
    let mut limits = NameLimits::default();
    for one in chain {
        limits = limits.and(one.names.clone());
    }
    limits
}

/// An authority's certificate, its key, and the certificates above it, ready to be stored.
pub struct NewAuthority {
    /// The new certificate followed by those above it, in PEM form.
    pub chain_pem: String,
    /// The private key as PKCS#8 PEM; seal it with [`seal_key`](crate::seal_key) before it is stored.
    pub key_pem: Zeroizing<String>,
}

/// Reads a chain from the authority upwards; never empty.
fn read_chain(chain_pem: &str) -> Result<Vec<CaCertificate>, AuthorityError> {
    let blocks = pem_text::all_blocks(chain_pem.as_bytes(), &["CERTIFICATE"])?;
    let chain: Vec<_> = blocks
        .iter()
        .map(|der| CaCertificate::parse(der))
        .collect::<Result<_, _>>()?;
    for link in chain.windows(2) {
        if let [lower, upper] = link {
            lower.demand_signed_by(upper)?;
        }
    }
    match chain.last() {
        None => Err(AuthorityError::NotParseable),
        Some(top) if top.tier == Tier::Root => top.demand_signed_by(top).map(|()| chain),
        Some(_) => Ok(chain),
    }
}

fn demand_valid(validity: Validity, now_ms: i64) -> Result<(), AuthorityError> {
    if now_ms < validity.not_before_ms {
        return Err(AuthorityError::NotYetValid);
    }
    if now_ms > validity.not_after_ms {
        return Err(AuthorityError::Expired);
    }
    Ok(())
}

impl From<PemError> for AuthorityError {
    fn from(_: PemError) -> AuthorityError {
        AuthorityError::NotParseable
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("tier", &self.own.tier)
            .field("fingerprint_sha256", &self.fingerprint_sha256())
            .finish_non_exhaustive()
    }
}
