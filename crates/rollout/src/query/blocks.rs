//! Pieces of images: to the devices that are to install them, and from whoever adds one.

use contract::{
    Code, Refusal,
    v1::{Artifact, Block, Done, GetBlock, PutBlock},
};
use service::{Fault, View, store::Blobs};

use crate::{
    campaign, request,
    state::{self, Sealing},
};

/// A piece of the image that the device is assigned, and of no other.
pub(super) fn get(
    view: &View<'_>,
    device: &str,
    request: &GetBlock,
    blobs: &dyn Blobs,
) -> Result<Block, Fault> {
    let id = request::artifact_id(&request.artifact_id)?;
    request::block_length("length", request.length as usize)?;
    let update = campaign::under_way(view, device)?;
    if update.is_none_or(|(holding, _)| holding.artifact_id != id) {
        let message = "this image is not assigned to you; ask `assignment` what is";
        return Err(Refusal::new(Code::Denied, message).at("artifact_id").into());
    }
    let Some(data) = blobs.read(id, request.offset, request.length as usize)? else {
        return Err(Refusal::new(Code::Internal, "the image is missing on the server's disk").into());
    };
    if data.is_empty() {
        return Err(Refusal::invalid("offset", "the offset lies beyond the end of the image").into());
    }
    let crc32 = crc32fast::hash(&data);
    Ok(Block {
        artifact_id: id.into(),
        offset: request.offset,
        data,
        crc32,
        ..Block::default()
    })
}

/// A piece of an image that is being added.
pub(super) fn put(view: &View<'_>, request: &PutBlock, blobs: &dyn Blobs) -> Result<Done, Fault> {
    let id = request::artifact_id(&request.artifact_id)?;
    request::block_length("data", request.data.len())?;
    let Some(artifact) = view.load::<Artifact>(state::artifact(id))? else {
        return Err(Refusal::not_found("artifact", id).at("artifact_id").into());
    };
    let sealing = view.load::<Sealing>(state::sealing(id))?.is_some();
    if artifact.complete || sealing {
        let message = "the image is complete or being checked; it takes no more blocks";
        return Err(Refusal::new(Code::NotAllowed, message).at("artifact_id").into());
    }
    let size = artifact.manifest.unwrap_or_default().size;
    let end = request.offset.checked_add(request.data.len() as u64);
    if end.is_none_or(|end| end > size) {
        let message = format!("the block reaches beyond the image, which has {size} bytes");
        return Err(Refusal::invalid("offset", message).into());
    }
    blobs.write_part(id, request.offset, &request.data)?;
    Ok(Done::default())
}
