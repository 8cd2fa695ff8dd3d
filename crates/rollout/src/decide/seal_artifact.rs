//! Step 3 of adding firmware: the image is checked after the commit, and the answer comes with the result.

use contract::{
    Code, Refusal,
    v1::{Artifact, ArtifactSealed, SealArtifact},
    wire::Reply,
};
use prost::Message;
use service::{Answer, Fault, Outcome, View};

use super::open_artifact::abandon_key;
use crate::{
    event,
    executor::{Order, SEAL, Sealed},
    manifest, request,
    state::{self, Newest, Sealing},
};

/// The word before the artifact in the effect's id, which is the caller's ticket too.
const TICKET: &str = "seal";

pub(super) fn decide(view: &View<'_>, request: &SealArtifact) -> Result<Outcome, Fault> {
    let id = request::artifact_id(&request.artifact_id)?;
    let Some(mut artifact) = view.load::<Artifact>(state::artifact(id))? else {
        return Err(Refusal::not_found("artifact", id).at("artifact_id").into());
    };
    if artifact.complete {
        return Ok(Outcome::reply(ArtifactSealed {
            artifact: Some(artifact),
            ..ArtifactSealed::default()
        }));
    }
    if view.load::<Sealing>(state::sealing(id))?.is_some() {
        let message = "this image is being checked already; wait for that answer";
        return Err(Refusal::new(Code::Busy, message).retry_after_ms(1_000).into());
    }
    artifact.version = artifact.version.saturating_add(1);
    let ticket = format!("{TICKET}/{id}/{}/{}", artifact.added_at_ms, artifact.version);
    let order = Order::new(id, &artifact.manifest.clone().unwrap_or_default());
    let mut out = Outcome {
        answer: Answer::Later(ticket.clone()),
        ..Outcome::default()
    };
    out.put(state::artifact(id), &artifact);
    out.effect(ticket.clone(), SEAL, order.encode_to_vec());
    out.put(state::sealing(id), &Sealing { ticket });
    Ok(out)
}

/// The executor has come to a result.
pub(crate) fn on_effect(view: &View<'_>, id: &str, result: &[u8], now: i64) -> Result<Outcome, Fault> {
    let Some(artifact_id) = artifact_of(id) else {
        return Ok(Outcome::default());
    };
    let sealed = Sealed::decode(result).unwrap_or_default();
    let Some(sealing) = view.load::<Sealing>(state::sealing(artifact_id))? else {
        return Ok(Outcome::default());
    };
    if sealing.ticket != id {
        return Ok(Outcome::default());
    }
    let mut out = Outcome::default();
    out.delete(state::sealing(artifact_id));
    let reply = if sealed.artifact_id == artifact_id {
        settle(view, sealed, now, &mut out)?
    } else {
        // The executor itself failed.
        let message = "the image could not be checked, the server's log says more; seal it again";
        Err(Refusal::new(Code::Internal, message))
    };
    out.complete(id, reply);
    Ok(out)
}

/// The artifact that an effect is about, if it is one that seals.
fn artifact_of(effect: &str) -> Option<&str> {
    let (word, rest) = effect.split_once('/')?;
    (word == TICKET).then_some(rest.split_once('/')?.0)
}

fn settle(
    view: &View<'_>,
    sealed: Sealed,
    now: i64,
    out: &mut Outcome,
) -> Result<Result<Box<dyn Reply>, Refusal>, Fault> {
    if !sealed.code.is_empty() {
        let code = Code::from_word(&sealed.code).unwrap_or(Code::Internal);
        return Ok(Err(Refusal::new(code, sealed.message)));
    }
    let Some(mut artifact) = view.load::<Artifact>(state::artifact(&sealed.artifact_id))? else {
        return Ok(Err(Refusal::not_found("artifact", &sealed.artifact_id)));
    };
    let manifest = artifact.manifest.clone().unwrap_or_default();
    let newest = view
        .load::<Newest>(state::newest(&manifest.name))?
        .unwrap_or_default();
    // Another image of this name may have been sealed since this one was opened.
    if let Err(refusal) = manifest::demand_newer(&manifest, newest.sequence) {
        return Ok(Err(refusal));
    }
    artifact.complete = true;
    artifact.version = artifact.version.saturating_add(1);
    artifact.added_at_ms = now;
    let newest = Newest {
        sequence: manifest.sequence,
        artifact_id: sealed.artifact_id.clone(),
    };
    out.put(state::artifact(&sealed.artifact_id), &artifact);
    out.put(state::newest(&manifest.name), &newest);
    out.delete(state::opened(&sealed.artifact_id));
    out.no_wake(abandon_key(&sealed.artifact_id));
    event::sealed(out, &artifact);
    Ok(Ok(Box::new(ArtifactSealed {
        artifact: Some(artifact),
        ..ArtifactSealed::default()
    })))
}
