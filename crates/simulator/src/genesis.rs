//! What `muster init` makes: authorities, the first people, and the requests that tell the services of
//! them. Made once for a process; keys are Ed25519, whose signatures have one length and no chance in them.

use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use artifact::{KeyState, SigningKey, TrustedKey};
use contract::{Kind, v1};
use pki::{
    Authority, Charter, ClientCertificate, KeyKind, Plan, Profile, PublicKey, Serial, Subject, SubjectKind,
    Validity,
};
use prost::Message;
use session::Peer;
use sha2::{Digest, Sha256};

/// The installation's name.
pub(crate) const SITE: &str = "world";
/// The wall clock at the beginning, milliseconds since 1970.
pub(crate) const WALL_MS: i64 = 1_790_000_000_000;
/// The operator.
pub(crate) const OPERATOR: &str = "ada";
/// The integrator.
pub(crate) const INTEGRATOR: &str = "erp";

const YEAR_MS: u64 = 365 * 24 * 3_600_000;
/// What the devices are.
pub(crate) const MODEL: &str = "pump";
/// Requests for certificates that are kept ready; they are used in turn.
const REQUESTS: usize = 160;
/// The key of the batch; the devices have the others.
pub(crate) const BATCH_KEY: usize = 64;

/// The installation before its first start.
pub(crate) struct Genesis {
    pub(crate) authority: Arc<Authority>,
    pub(crate) roots_pem: String,
    /// Whoever signs firmware.
    pub(crate) release_keys: artifact::Keyring,
    pub(crate) operator: Peer,
    pub(crate) integrator: Peer,
    pub(crate) registry: Vec<(String, Vec<u8>)>,
    pub(crate) provisioning: Vec<(String, Vec<u8>)>,
}

/// The one of this process.
pub(crate) fn genesis() -> Result<&'static Genesis> {
    static MADE: OnceLock<Result<Genesis, String>> = OnceLock::new();
    let made = MADE.get_or_init(|| make().map_err(|error| format!("{error:#}")));
    made.as_ref().map_err(|why| anyhow::anyhow!("{why}"))
}

/// A request for a certificate, PEM, for one who hopes for this id. Each of a client's attempts has a key of
/// its own.
pub(crate) fn request(id: &str, turn: usize) -> Result<String> {
    Ok(pki::csr_for(key(turn)?, id)?)
}

/// The key of this turn, PEM.
pub(crate) fn key(turn: usize) -> Result<&'static str> {
    static KEYS: OnceLock<Vec<String>> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        let key = |_| pki::generate_key(KeyKind::Ed25519).map(|key| key.to_string());
        (0..REQUESTS).filter_map(|n| key(n).ok()).collect()
    });
    keys.get(turn % REQUESTS).map(String::as_str).context("no key")
}

/// The key that releases firmware.
pub(crate) fn release_key() -> SigningKey {
    SigningKey::from_seed(&[7; 32])
}

/// The image of a release: its bytes follow from its number.
pub(crate) fn image(release: u64) -> Vec<u8> {
    let length = 3_000 + release * 701 % 4_000;
    (0..length)
        .map(|at| (at * (release + 3) + release) as u8)
        .collect()
}

/// A release's signed manifest, and the name of its image.
pub(crate) fn release(release: u64) -> (String, v1::SignedManifest) {
    let image = image(release);
    let digest = Sha256::digest(&image);
    let manifest = v1::Manifest {
        schema: 1,
        name: "pump-fw".into(),
        version: format!("1.{release}.0"),
        sequence: release,
        models: vec![MODEL.into()],
        size: image.len() as u64,
        sha256: digest.to_vec(),
        block_size: 512,
        ..v1::Manifest::default()
    };
    let payload = manifest.encode_to_vec();
    let signature = artifact::sign(artifact::MANIFEST_TYPE, &payload, &release_key());
    let signed = v1::SignedManifest {
        payload_type: artifact::MANIFEST_TYPE.into(),
        payload,
        signatures: vec![v1::ManifestSignature {
            key_id: signature.keyid,
            signature: signature.sig,
        }],
    };
    let name = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    (name, signed)
}

/// Whom the front door sees behind a certificate.
pub(crate) fn peer(certificate_pem: &str) -> Result<Peer> {
    let read = ClientCertificate::parse_pem(certificate_pem)?;
    Ok(Peer::Certified {
        kind: Kind::from_word(read.subject.kind().word()).context("a kind that is no principal's")?,
        id: read.subject.id().parse().map_err(|_| anyhow::anyhow!("no id"))?,
        serial: read.serial_hex,
        not_after_ms: read.not_after_ms,
    })
}

fn make() -> Result<Genesis> {
    let charter = |n: u8| Charter {
        site: SITE,
        key: KeyKind::Ed25519,
        serial: Serial::from_random([n; 16]),
        now_ms: WALL_MS,
        lifetime_ms: 10 * YEAR_MS,
    };
    let root = pki::create_root(&charter(1))?;
    let root_authority = Authority::open(&root.chain_pem, &root.key_pem, WALL_MS)?;
    let issuing = pki::create_issuing(&root_authority, &charter(2))?;
    let authority = Authority::open(&issuing.chain_pem, &issuing.key_pem, WALL_MS)?;
    let operator = certify(&authority, SubjectKind::Operator, OPERATOR, 3)?;
    let integrator = certify(&authority, SubjectKind::Integrator, INTEGRATOR, 4)?;
    Ok(Genesis {
        roots_pem: root.chain_pem,
        release_keys: artifact::Keyring::new(
            [TrustedKey {
                key: release_key().public_key(),
                state: KeyState::Active,
            }],
            1,
        )?,
        operator: peer(&operator)?,
        integrator: peer(&integrator)?,
        registry: vec![
            person("operators", OPERATOR, v1::Role::Admin, &[])?,
            person("integrators", INTEGRATOR, v1::Role::Unspecified, &["#"])?,
        ],
        provisioning: vec![
            record("operators", OPERATOR, operator)?,
            record("integrators", INTEGRATOR, integrator)?,
        ],
        authority: Arc::new(authority),
    })
}

fn certify(by: &Authority, kind: SubjectKind, id: &str, serial: u8) -> Result<String> {
    let key = pki::generate_key(KeyKind::Ed25519)?;
    let validity = Validity::within(by.validity(), WALL_MS, YEAR_MS)?;
    let plan = Plan::new(
        Serial::from_random([serial; 16]),
        Profile::Client,
        Subject::new(SITE, kind, id)?,
        &PublicKey::of_private(&key)?,
        validity,
    );
    Ok(by.sign(&plan)?.pem)
}

fn person(kind: &str, id: &str, role: v1::Role, filters: &[&str]) -> Result<(String, Vec<u8>)> {
    let message = v1::PutPerson {
        id: id.into(),
        kind: kind.into(),
        role: role.into(),
        event_filters: filters.iter().map(|filter| (*filter).to_owned()).collect(),
        ..v1::PutPerson::default()
    };
    Ok(("put-person".into(), serde_json::to_vec(&message)?))
}

fn record(kind: &str, id: &str, certificate: String) -> Result<(String, Vec<u8>)> {
    let message = v1::RecordCertificate {
        kind: kind.into(),
        id: id.into(),
        certificate,
        ..v1::RecordCertificate::default()
    };
    Ok(("record".into(), serde_json::to_vec(&message)?))
}
