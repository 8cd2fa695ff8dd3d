//! Step 1 of adding firmware: its signed manifest.

use artifact::Keyring;
use contract::{
    Code, Refusal,
    v1::{Artifact, ArtifactOpened, Manifest, OpenArtifact, SignedManifest},
};
use service::{Caller, Fault, Outcome, View};

use crate::{
    manifest,
    state::{self, Mark, Newest, Sealing},
};

/// Images that are awaited at once: each may fill a gibibyte of disk.
const OPENED_MAX: usize = 16;
/// How long an image is awaited; then what has come of it is thrown away.
const AWAITED_MS: i64 = 7 * 24 * 3_600_000;

/// The wake-up that ends the wait for an image.
pub(super) fn abandon_key(artifact_id: &str) -> String {
    format!("abandon/{artifact_id}")
}

pub(super) fn decide(
    keyring: &Keyring,
    view: &View<'_>,
    caller: &Caller,
    request: OpenArtifact,
    now: i64,
) -> Result<Outcome, Fault> {
    let signed = request.signed.unwrap_or_default();
    let manifest = manifest::open(keyring, &signed, now)?;
    let id = hex::encode(&manifest.sha256);
    let present = view.load::<Artifact>(state::artifact(&id))?;
    if let Some(present) = &present {
        demand_same(view, present, &signed)?;
    }
    let complete = present.as_ref().is_some_and(|present| present.complete);
    if !complete {
        let newest = view
            .load::<Newest>(state::newest(&manifest.name))?
            .unwrap_or_default();
        manifest::demand_newer(&manifest, newest.sequence)?;
    }
    if present.is_none() && view.scan(state::OPENED.as_bytes(), None, OPENED_MAX)?.len() == OPENED_MAX {
        let message = format!("{OPENED_MAX} images are awaited already; seal one of them first");
        return Err(Refusal::new(Code::Limit, message).into());
    }
    let mut out = Outcome::default();
    let artifact = record(present, manifest, signed, caller, now);
    out.put(state::artifact(&id), &artifact);
    if !complete {
        out.put(state::opened(&id), &Mark {});
        out.wake_at(abandon_key(&id), now.saturating_add(AWAITED_MS));
    }
    out.answer(ArtifactOpened {
        artifact_id: id,
        complete,
        ..ArtifactOpened::default()
    });
    Ok(out)
}

/// An image that is there, or is being checked, keeps its manifest; only its signatures may be renewed.
fn demand_same(view: &View<'_>, present: &Artifact, signed: &SignedManifest) -> Result<(), Fault> {
    let same = present
        .signed
        .as_ref()
        .is_some_and(|known| known.payload == signed.payload);
    let sealing = view
        .load::<Sealing>(state::sealing(&present.artifact_id))?
        .is_some();
    if same || !(present.complete || sealing) {
        return Ok(());
    }
    let manifest = present.manifest.clone().unwrap_or_default();
    let release = format!("{}@{}", manifest.name, manifest.version);
    let message = format!(
        "these very bytes are there already, as the release `{release}`, and an image is known by its bytes: roll \
         `{release}` out, or build the image with its own version in it"
    );
    Err(Refusal::new(Code::Conflict, message).at("manifest.sha256").into())
}

fn record(
    present: Option<Artifact>,
    manifest: Manifest,
    signed: SignedManifest,
    caller: &Caller,
    now: i64,
) -> Artifact {
    let fresh = || Artifact {
        artifact_id: hex::encode(&manifest.sha256),
        added_at_ms: now,
        added_by: caller.principal.to_string(),
        ..Artifact::default()
    };
    let mut artifact = present.unwrap_or_else(fresh);
    artifact.version = artifact.version.saturating_add(1);
    artifact.manifest = Some(manifest);
    artifact.signed = Some(signed);
    artifact
}
