//! `muster firmware list` and `show`

use anyhow::Result;
use contract::{
    id::ServiceName,
    v1::{Artifact, ArtifactsListed, ListArtifacts, Manifest},
};

use super::{
    super::{Global, list::Limit, print},
    choice::{Choice, FORMS},
};

#[derive(clap::Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    limit: Limit,
}

#[derive(clap::Args)]
pub(in crate::cli) struct Show {
    /// A release, or how its artifact id begins
    #[arg(value_name = FORMS)]
    artifact: Choice,
}

impl List {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let headings = [
            "name", "version", "sequence", "models", "size", "added", "complete", "recalled", "artifact",
        ];
        let listed = self.limit.collect(
            global,
            (ServiceName::Rollout, "artifacts"),
            |page| ListArtifacts {
                page_size: page.size,
                page: page.token,
                ..ListArtifacts::default()
            },
            |reply: ArtifactsListed| (reply.artifacts, reply.next_page),
        )?;
        listed.print(global, &headings, row)
    }
}

impl Show {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let artifact = global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let found = self.artifact.find(&client).await;
            client.disconnect().await;
            found
        })?;
        if global.json {
            print::json(&artifact)
        } else {
            print_artifact(&artifact)
        }
    }
}

fn row(artifact: &Artifact) -> Vec<String> {
    let manifest = manifest(artifact);
    vec![
        manifest.name,
        manifest.version,
        manifest.sequence.to_string(),
        manifest.models.join(", "),
        manifest.size.to_string(),
        print::time(artifact.added_at_ms),
        if artifact.complete {
            "yes".into()
        } else {
            "no".into()
        },
        print::time(artifact.recalled_at_ms),
        artifact.artifact_id.clone(),
    ]
}

/// Prints one artifact.
pub(super) fn print_artifact(artifact: &Artifact) -> Result<()> {
    let manifest = manifest(artifact);
    let signers = artifact
        .signed
        .iter()
        .flat_map(|signed| &signed.signatures)
        .map(|s| s.key_id.as_str());
    print::fields(&[
        ("artifact", artifact.artifact_id.clone()),
        ("firmware", format!("{} {}", manifest.name, manifest.version)),
        ("sequence", manifest.sequence.to_string()),
        ("models", manifest.models.join(", ")),
        ("size", manifest.size.to_string()),
        ("block size", manifest.block_size.to_string()),
        ("created", print::time(manifest.created_ms)),
        ("expires", print::time(manifest.expires_ms)),
        ("signed by", signers.collect::<Vec<_>>().join(", ")),
        ("added", print::time(artifact.added_at_ms)),
        ("added by", artifact.added_by.clone()),
        (
            "complete",
            if artifact.complete {
                "yes".into()
            } else {
                "no; repeat `muster firmware add`".into()
            },
        ),
        ("recalled", print::time(artifact.recalled_at_ms)),
        ("recalled by", artifact.recalled_by.clone()),
        (why_recalled(artifact), artifact.recall_reason.clone()),
    ])
}

/// Whose reason it is that the record has.
fn why_recalled(artifact: &Artifact) -> &'static str {
    match artifact.recalled_at_ms {
        0 => "recall lifted because",
        _ => "recalled because",
    }
}

fn manifest(artifact: &Artifact) -> Manifest {
    artifact.manifest.clone().unwrap_or_default()
}
