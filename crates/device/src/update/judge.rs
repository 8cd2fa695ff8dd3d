//! May this assignment be installed? Signatures first, then what they signed, then this device.

use artifact::{
    BLOCK_SIZES, DeviceState, Keyring, MANIFEST_MAX_BYTES, MANIFEST_TYPE, Requirements, Signature,
};
use contract::v1::{Assignment, Manifest, SignedManifest};
use prost::Message;

use super::journal::{Held, Job, Journal};

/// The only schema there is.
const SCHEMA: u32 = 1;
/// Longest version and name as people write them.
const TEXT_CHARS: usize = 64;

/// What the device is, and whom it trusts.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    pub(crate) keyring: Keyring,
    pub(crate) model: String,
    pub(crate) hardware_revision: String,
    pub(crate) image_bytes_max: u64,
}

/// What an assignment comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Offer {
    /// It may be installed.
    Fit(Job),
    /// It may not; the version is told as far as it can be trusted.
    Unfit {
        rollout_id: String,
        version: String,
        why: String,
    },
}

/// Judges an assignment, or a job again before it is installed.
pub(crate) fn judge(
    bounds: &Bounds,
    journal: &Journal,
    assignment: &Assignment,
    now_ms: Option<i64>,
) -> Offer {
    let signed = assignment.signed.clone().unwrap_or_default();
    let unfit = |version: &str, why: String| Offer::Unfit {
        rollout_id: assignment.rollout_id.clone(),
        version: version.to_owned(),
        why,
    };
    let manifest = match verified(&bounds.keyring, &signed) {
        Ok(manifest) => manifest,
        Err(why) => return unfit("", why),
    };
    match admitted(bounds, journal, assignment, &manifest, now_ms) {
        Err(why) => unfit(&manifest.version, why),
        Ok(sha256) => Offer::Fit(Job {
            rollout_id: assignment.rollout_id.clone(),
            artifact_id: assignment.artifact_id.clone(),
            image: Held {
                name: manifest.name,
                version: manifest.version,
                sequence: manifest.sequence,
                size: manifest.size,
                sha256,
            },
            block_size: manifest.block_size,
            signed: signed.encode_to_vec(),
        }),
    }
}

impl Job {
    /// The assignment that the job came from.
    pub(crate) fn assignment(&self) -> Assignment {
        Assignment {
            rollout_id: self.rollout_id.clone(),
            artifact_id: self.artifact_id.clone(),
            signed: SignedManifest::decode(self.signed.as_slice()).ok(),
            ..Assignment::default()
        }
    }
}

/// The manifest, read only after its signatures have been found good, from the bytes that were signed.
fn verified(keyring: &Keyring, signed: &SignedManifest) -> Result<Manifest, String> {
    if signed.payload.len() > MANIFEST_MAX_BYTES {
        return Err("the manifest is too large".into());
    }
    let signatures: Vec<Signature> = signed
        .signatures
        .iter()
        .map(|s| Signature {
            keyid: s.key_id.clone(),
            sig: s.signature.clone(),
        })
        .collect();
    keyring
        .verify(MANIFEST_TYPE, &signed.payload_type, &signed.payload, &signatures)
        .map_err(|e| format!("the manifest is not to be trusted: {e}"))?;
    let manifest = Manifest::decode(signed.payload.as_slice());
    let manifest = manifest.map_err(|e| format!("the signed bytes are no manifest: {e}"))?;
    demand_form(&manifest)?;
    Ok(manifest)
}

fn demand_form(manifest: &Manifest) -> Result<(), String> {
    let word =
        |text: &str| (1..=TEXT_CHARS).contains(&text.chars().count()) && !text.contains(char::is_control);
    let rules = [
        (
            manifest.schema == SCHEMA,
            "the manifest has a schema that this device does not know",
        ),
        (
            word(&manifest.version),
            "a version has 1 to 64 printable characters",
        ),
        (word(&manifest.name), "a name has 1 to 64 printable characters"),
        (manifest.sha256.len() == 32, "a SHA-256 has 32 bytes"),
        (manifest.size > 0, "the image is empty"),
        (
            BLOCK_SIZES.contains(&manifest.block_size),
            "a block has 512 to 32768 bytes",
        ),
    ];
    match rules.iter().find(|(holds, _)| !holds) {
        Some((_, why)) => Err((*why).to_owned()),
        None => Ok(()),
    }
}

fn admitted(
    bounds: &Bounds,
    journal: &Journal,
    assignment: &Assignment,
    manifest: &Manifest,
    now_ms: Option<i64>,
) -> Result<[u8; 32], String> {
    let sha256: [u8; 32] = manifest
        .sha256
        .as_slice()
        .try_into()
        .map_err(|_| "a SHA-256 has 32 bytes")?;
    if assignment.artifact_id != hex::encode(sha256) {
        return Err("the manifest is for another image than the one that is assigned".into());
    }
    if manifest.size > bounds.image_bytes_max {
        return Err(format!(
            "the image has more than {} bytes",
            bounds.image_bytes_max
        ));
    }
    let device = DeviceState {
        model: bounds.model.clone(),
        hardware_revision: bounds.hardware_revision.clone(),
        installed_sequence: journal.held(journal.active).map_or(0, |held| held.sequence),
        sequence_floor: journal.floor,
    };
    let firmware = Requirements {
        models: manifest.models.clone(),
        hardware_revisions: Vec::new(),
        sequence: manifest.sequence,
        expires_ms: (manifest.expires_ms != 0).then_some(manifest.expires_ms),
    };
    artifact::admit(&device, &firmware, now_ms).map_err(|e| e.to_string())?;
    Ok(sha256)
}
