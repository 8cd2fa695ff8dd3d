//! Manifests: believed by their signatures, then read, then held to what a release may say.

use artifact::{BLOCK_SIZES, Keyring, MANIFEST_TYPE, SEQUENCE_STEP_MAX, Signature};
use contract::{
    Code, Refusal,
    v1::{Manifest, SignedManifest},
};
use prost::Message;

use crate::request;

/// The manifest with its record must fit one row of the store.
const PAYLOAD_BYTES_MAX: usize = 16 * 1024;
/// The only schema there is.
const SCHEMA: u32 = 1;
/// A larger one leaves no room for later releases.
const SEQUENCE_MAX: u64 = u64::MAX - SEQUENCE_STEP_MAX;
/// As large as the file store takes.
const IMAGE_BYTES_MAX: u64 = 1 << 30;
/// Models that one image is for.
const MODELS_MAX: usize = 64;
/// Longest version as people write it.
const VERSION_CHARS: usize = 64;
/// Octets of an Ed25519 signature, and room for the key's name.
const SIGNATURE_BYTES_MAX: usize = 128;

/// Verifies the signatures over the bytes that came and only then reads them.
pub(crate) fn open(keyring: &Keyring, signed: &SignedManifest, now: i64) -> Result<Manifest, Refusal> {
    verify(keyring, signed)?;
    let manifest = Manifest::decode(signed.payload.as_slice()).map_err(|e| {
        Refusal::new(Code::Malformed, format!("the signed bytes are no manifest: {e}")).at("signed.payload")
    })?;
    check(&manifest)?;
    demand_unexpired(&manifest, now)?;
    Ok(manifest)
}

/// Whether the signatures count, with the keys as they are now.
pub(crate) fn verify(keyring: &Keyring, signed: &SignedManifest) -> Result<(), Refusal> {
    if signed.payload.len() > PAYLOAD_BYTES_MAX {
        let message = format!("a manifest has up to {PAYLOAD_BYTES_MAX} bytes");
        return Err(Refusal::new(Code::TooLarge, message).at("signed.payload"));
    }
    let oversized =
        |s: &contract::v1::ManifestSignature| s.key_id.len() + s.signature.len() > SIGNATURE_BYTES_MAX;
    if signed.signatures.iter().any(oversized) {
        let message = "a signature has 64 bytes and a key id 16 hex digits";
        return Err(Refusal::new(Code::Untrusted, message).at("signed.signatures"));
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
        .map_err(|e| {
            let message = format!(
                "the manifest is not to be trusted: {e}; sign it with the release keys of this installation"
            );
            Refusal::new(Code::Untrusted, message).at("signed")
        })
}

/// A manifest that may no longer be installed.
pub(crate) fn demand_unexpired(manifest: &Manifest, now: i64) -> Result<(), Refusal> {
    if manifest.expires_ms == 0 || now < manifest.expires_ms {
        return Ok(());
    }
    let message = "the manifest has expired; sign a new one";
    Err(Refusal::new(Code::Precondition, message).at("manifest.expires_ms"))
}

/// A release must be newer than the newest of its name, and not absurdly so: devices would refuse it.
pub(crate) fn demand_newer(manifest: &Manifest, newest: u64) -> Result<(), Refusal> {
    let (name, offered) = (&manifest.name, manifest.sequence);
    let message = match offered.checked_sub(newest) {
        None | Some(0) => format!("`{name}` is at sequence {newest} already; {offered} is not newer"),
        Some(step) if newest > 0 && step > SEQUENCE_STEP_MAX => {
            format!(
                "sequence {offered} is more than {SEQUENCE_STEP_MAX} ahead of {newest}; devices would refuse it"
            )
        }
        Some(_) => return Ok(()),
    };
    Err(Refusal::new(Code::Conflict, message).at("manifest.sequence"))
}

fn check(manifest: &Manifest) -> Result<(), Refusal> {
    let invalid = |field: &str, message: &str| Err(Refusal::invalid(format!("manifest.{field}"), message));
    request::id("manifest.name", &manifest.name)?;
    if manifest.schema != SCHEMA {
        return invalid("schema", "this version reads schema 1");
    }
    let printable = !manifest.version.chars().any(char::is_control);
    if manifest.version.is_empty() || manifest.version.chars().count() > VERSION_CHARS || !printable {
        return invalid("version", "a version has 1 to 64 printable characters");
    }
    if manifest.models.is_empty() || manifest.models.len() > MODELS_MAX {
        return invalid("models", "a manifest names 1 to 64 models");
    }
    for (n, model) in manifest.models.iter().enumerate() {
        request::id(&format!("manifest.models[{n}]"), model)?;
    }
    if manifest.sequence == 0 || manifest.sequence > SEQUENCE_MAX {
        return invalid(
            "sequence",
            "a sequence is at least 1 and leaves room for later releases",
        );
    }
    if manifest.size == 0 || manifest.size > IMAGE_BYTES_MAX {
        return invalid("size", "an image has 1 byte to 1 GiB");
    }
    if manifest.sha256.len() != 32 {
        return invalid("sha256", "a SHA-256 has 32 bytes");
    }
    if !BLOCK_SIZES.contains(&manifest.block_size) {
        return invalid("block_size", "a block has 512 to 32768 bytes");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Manifest {
        Manifest {
            schema: 1,
            name: "pump-fw".into(),
            version: "1.2.0".into(),
            sequence: 7,
            models: vec!["pump".into()],
            size: 1,
            sha256: vec![0; 32],
            block_size: 4096,
            ..Manifest::default()
        }
    }

    #[test]
    fn what_a_manifest_may_say() {
        type Change = fn(&mut Manifest);
        let cases: [(&str, Change); 14] = [
            ("schema", |m| m.schema = 2),
            ("name", |m| m.name = "../x".into()),
            ("version", |m| m.version = String::new()),
            ("version", |m| m.version = "a\u{1b}[31m".into()),
            ("models", |m| m.models.clear()),
            ("models[0]", |m| m.models = vec!["a/b".into()]),
            ("models", |m| m.models = vec!["m".into(); 65]),
            ("sequence", |m| m.sequence = 0),
            ("sequence", |m| m.sequence = u64::MAX),
            ("size", |m| m.size = 0),
            ("size", |m| m.size = (1 << 30) + 1),
            ("sha256", |m| m.sha256 = vec![0; 31]),
            ("block_size", |m| m.block_size = 511),
            ("block_size", |m| m.block_size = 32_769),
        ];
        assert_eq!(check(&good()), Ok(()));
        for (field, change) in cases {
            let mut manifest = good();
            change(&mut manifest);
            assert_eq!(check(&manifest).unwrap_err().field, format!("manifest.{field}"));
        }
    }

    #[test]
    fn sequences_only_grow_and_not_by_leaps() {
        let step = SEQUENCE_STEP_MAX;
        for (newest, offered, good) in [
            (0, 1, true),
            (0, step * 9, true),
            (7, 8, true),
            (7, 7, false),
            (7, 6, false),
            (7, 7 + step, true),
            (7, 8 + step, false),
        ] {
            let manifest = Manifest {
                sequence: offered,
                ..good_at(offered)
            };
            assert_eq!(
                demand_newer(&manifest, newest).is_ok(),
                good,
                "{offered} after {newest}"
            );
        }
    }

    fn good_at(sequence: u64) -> Manifest {
        Manifest { sequence, ..good() }
    }
}
