#![forbid(unsafe_code)]
//! CSR to policy to certificate and CRL bytes.
//!
//! Nothing here reads a file, a clock or the network. Only fresh keys, salts and nonces come from the
//! operating system; serial numbers are drawn by the caller, because they are recorded before they are used.
//!
//! A certificate comes about in four steps, each a value:
//!
//! 1. [`Csr::parse`] proves that the sender holds a key, and [`Csr::check_names`] that it asks for no name
//!    but its own. Of a request only the public key is used.
//! 2. [`Validity::within`] cuts the policy's lifetime to the authority's.
//! 3. [`Plan::new`] holds all that the certificate will say. The caller records it.
//! 4. [`Authority::sign`] signs it, reads the result back and compares it with the plan.
//!
//! At the front door [`ClientCertificate::parse`] demands the same profile that step 4 produced; [`issued_by`]
//! tells whether a certificate that is there already came from step 4.
//! [`Authority::revocation_list`] signs the list of what no longer counts.
//!
//! An authority signs with a key in memory, or with a [`Signer`] that is elsewhere ([`Authority::with_signer`]).
//!
//! [`FactoryTrust`] judges the certificates that manufacturers put into their devices, each against its own CAs.
//!
//! [`est_request`] and [`certificates_only`] read and write the bodies of EST.
//!
//! Authorities come from [`create_root`] and [`create_issuing`], or over a request and its answer where the root is elsewhere
//! ([`authority_request`], [`AuthorityRequest`], [`certify_issuing`], [`Brought`]); [`link_roots`] leads from a root to the next,
//! and [`Succession`] says who may follow that; [`seal_key`] and [`open_key`] guard their
//! keys at rest. Devices and people make keys with [`generate_key`] and requests with [`csr_for`].
//!
//! What never happens here:
//!
//! - A name, an extension or a date of a request never reaches a certificate; but the site of an issuing authority, which the
//!   root's holder is shown.
//! - A certificate never outlives its authority, and never leaves before it was read back.
//! - No certificate names a host that the name constraints of an authority above it forbid.
//! - No root is taken by anybody but through the signature of a root that is trusted already.
//! - A root never signs a client or a server, and an issuing authority never signs an authority.

mod authority;
mod authority_request;
mod ca_certificate;
mod certificate;
mod csr;
mod est;
mod extras;
mod factory;
mod founding;
mod inspect;
mod key;
mod keyfile;
mod leaf;
mod name;
mod name_limits;
mod oid;
mod password;
mod pem_text;
mod plan;
mod profile;
mod provenance;
mod published;
mod rehearsal;
mod request;
mod revocation;
mod root;
mod root_link;
mod serial;
mod signed;
mod signer;
mod succession;
mod validity;

pub use authority::{
    Authority, AuthorityError, Brought, IssuedCertificate, IssuingCertificate, NewAuthority, SignError,
};
pub use authority_request::{AuthorityRequest, AuthorityRequestError, authority_request};
pub use certificate::{ClientCertificate, ServerCertificate, key_kind_of};
pub use csr::{CSR_MAX_BYTES, Csr, CsrError, CsrNameError};
pub use est::{EST_BODY_MAX_BYTES, EstAnswerError, EstRequest, certificates_only, est_request};
pub use extras::Extras;
pub use factory::{
    FACTORY_CA_MAX_BYTES, FACTORY_CRL_MAX_BYTES, FactoryCertificate, FactoryError, FactoryTrust, names_issuer,
};
pub use founding::{Charter, FoundingError, certify_issuing, create_issuing, create_root};
pub use inspect::Deviation;
pub use key::{KeyError, KeyKind, PublicKey, generate_key};
pub use keyfile::{Cost, KeyfileError, Protection, is_sealed, open_key, seal_key};
pub use leaf::ProfileError;
pub use name::{NameError, Subject, SubjectKind};
pub use name_limits::{NameLimits, Subtree};
pub use oid::{Oid, OidError};
pub use password::{PasswordError, password_fits, password_verifier};
pub use plan::{HERE, Host, Plan, Profile};
pub use profile::{ProfileMismatch, Tier};
pub use provenance::{CHAIN_MAX_BYTES, ProvenanceError, issued_by};
pub use published::{PublishedList, PublishedListError};
pub use request::{RequestError, csr_for};
pub use revocation::{Reason, RevocationList, RevocationListError, Revoked};
pub use root::RootCertificate;
pub use root_link::{LinkError, RootLink, link_roots};
pub use serial::{Serial, SerialError};
pub use signed::Signed;
pub use signer::{Signer, SignerError};
pub use succession::{LINKS_MAX, NotTaken, ROOTS_MAX, ROOTS_MAX_BYTES, Succession, Told, ToldError, led_to};
pub use validity::{BACKDATE_MS, Validity, ValidityError};
