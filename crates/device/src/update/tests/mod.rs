//! The update machine and its judge, by tables, by properties, and on a real folder.

mod fuzz;
mod judging;
mod killing;
mod stages;

use artifact::{KeyState, Keyring, SigningKey, TrustedKey};
use contract::v1::{Assignment, Manifest, ManifestSignature, SignedManifest};
use prost::Message;
use sha2::{Digest, Sha256};

use super::*;

const TYPE: &str = "application/vnd.muster.firmware.v1+protobuf";

fn key(n: u8) -> SigningKey {
    SigningKey::from_seed(&[n; 32])
}

fn bounds() -> Bounds {
    let trusted = |n, state| TrustedKey {
        key: key(n).public_key(),
        state,
    };
    Bounds {
        keyring: Keyring::new([trusted(1, KeyState::Active), trusted(2, KeyState::Retired)], 1).unwrap(),
        model: "pump".into(),
        hardware_revision: "C".into(),
        image_bytes_max: 1 << 20,
    }
}

fn image(n: u8) -> Vec<u8> {
    (0..5_000u32).map(|i| (i as u8).wrapping_mul(n)).collect()
}

fn manifest(sequence: u64) -> Manifest {
    let image = image(sequence as u8);
    Manifest {
        schema: 1,
        name: "pump-fw".into(),
        version: format!("1.{sequence}.0"),
        sequence,
        models: vec!["pump".into()],
        size: image.len() as u64,
        sha256: Sha256::digest(&image).to_vec(),
        block_size: 512,
        ..Manifest::default()
    }
}

fn signed(payload_type: &str, payload: Vec<u8>, by: &SigningKey) -> SignedManifest {
    let signature = artifact::sign(payload_type, &payload, by);
    SignedManifest {
        payload_type: payload_type.into(),
        payload,
        signatures: vec![ManifestSignature {
            key_id: signature.keyid,
            signature: signature.sig,
        }],
    }
}

fn assignment(rollout_id: &str, manifest: &Manifest) -> Assignment {
    Assignment {
        rollout_id: rollout_id.into(),
        artifact_id: hex::encode(&manifest.sha256),
        signed: Some(signed(TYPE, manifest.encode_to_vec(), &key(1))),
        ..Assignment::default()
    }
}

fn job(rollout_id: &str, sequence: u64) -> Job {
    match judge(
        &bounds(),
        &Journal::default(),
        &assignment(rollout_id, &manifest(sequence)),
        None,
    ) {
        Offer::Fit(job) => job,
        Offer::Unfit { why, .. } => panic!("{why}"),
    }
}

fn after(journal: &Journal, inputs: impl IntoIterator<Item = Input>) -> Journal {
    inputs
        .into_iter()
        .fold(journal.clone(), |journal, input| step(&journal, input))
}
