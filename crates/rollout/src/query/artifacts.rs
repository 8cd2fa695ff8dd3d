//! The firmware there is.

use contract::v1::{Artifact, ArtifactsListed, ListArtifacts};
use service::{Fault, View, page};

use crate::state;

pub(super) fn list(view: &View<'_>, request: &ListArtifacts) -> Result<ArtifactsListed, Fault> {
    let page = page::list::<Artifact>(view, state::ARTIFACTS, &request.page, request.page_size, |_| true)?;
    Ok(ArtifactsListed {
        artifacts: page.rows,
        next_page: page.next,
        ..ArtifactsListed::default()
    })
}
