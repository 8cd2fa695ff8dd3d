//! `muster firmware add`

use std::path::PathBuf;

use anyhow::Result;
use client::Client;
use contract::{
    id::ServiceName,
    v1::{Artifact, ArtifactOpened, Manifest, OpenArtifact, SignedManifest},
};

use super::{
    super::{Global, global, print},
    image, list, manifest,
    upload::{self, Upload},
};

#[derive(clap::Args)]
pub(in crate::cli) struct Add {
    /// The image
    file: PathBuf,
    /// Its signed manifest [default: FILE.manifest.json]
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
}

impl Add {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let path = self
            .manifest
            .clone()
            .unwrap_or_else(|| manifest::beside(&self.file));
        let (signed, manifest) = manifest::read(&path)?;
        image::demand(&self.file, &manifest)?;
        let artifact = global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let added = self.add(&client, global, signed, &manifest).await;
            client.disconnect().await;
            added
        })?;
        if global.json {
            print::json(&artifact)
        } else {
            list::print_artifact(&artifact)
        }
    }

    /// Sealing an image that is complete already answers with what there is.
    async fn add(
        &self,
        client: &Client,
        global: &Global,
        signed: SignedManifest,
        manifest: &Manifest,
    ) -> Result<Artifact> {
        let request = OpenArtifact {
            signed: Some(signed),
            ..OpenArtifact::default()
        };
        let opened: ArtifactOpened =
            global::ask(client, ServiceName::Rollout, "open-artifact", &request).await?;
        if !opened.complete {
            let upload = Upload {
                client,
                artifact_id: &opened.artifact_id,
                patience: global.timeout,
            };
            upload.send(image::open(&self.file)?, manifest.size).await?;
        }
        upload::seal(client, &opened.artifact_id, global.timeout).await
    }
}
