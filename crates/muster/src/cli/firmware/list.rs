//! `muster firmware list` and `show`

use anyhow::Result;
use contract::{
    Id,
    id::ServiceName,
    v1::{Artifact, ArtifactsListed, ListArtifacts, Manifest},
};

use super::super::{
    Global,
    list::{Limit, Listed},
    print,
};
use crate::exit::{Exit, Failure};

#[derive(clap::Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    limit: Limit,
}

#[derive(clap::Args)]
pub(in crate::cli) struct Show {
    /// The artifact: the SHA-256 of the image, or how it begins
    artifact: Id,
}

impl List {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let headings = [
            "name", "version", "sequence", "models", "size", "added", "complete", "artifact",
        ];
        collect(&self.limit, global)?.print(global, &headings, row)
    }
}

impl Show {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let wanted = self.artifact.folded();
        let artifact = the_only(collect(&Limit::all(), global)?.items, &wanted)?;
        if global.json {
            print::json(&artifact)
        } else {
            print_artifact(&artifact)
        }
    }
}

fn collect(limit: &Limit, global: &Global) -> Result<Listed<Artifact>> {
    limit.collect(
        global,
        (ServiceName::Rollout, "artifacts"),
        |page| ListArtifacts {
            page_size: page.size,
            page: page.token,
            ..ListArtifacts::default()
        },
        |reply: ArtifactsListed| (reply.artifacts, reply.next_page),
    )
}

fn the_only(mut artifacts: Vec<Artifact>, wanted: &str) -> Result<Artifact, Failure> {
    artifacts.retain(|artifact| artifact.artifact_id.starts_with(wanted));
    match (artifacts.pop(), artifacts.len()) {
        (Some(artifact), 0) => Ok(artifact),
        (Some(_), others) => {
            let message = format!("{} artifacts begin with `{wanted}`; give more digits", others + 1);
            Err(Failure::usage(message))
        }
        (None, _) => {
            let message = format!("there is no artifact `{wanted}`; `muster firmware list` shows all");
            Err(Failure::new(Exit::NotFound, message))
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
    ])
}

fn manifest(artifact: &Artifact) -> Manifest {
    artifact.manifest.clone().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_an_id_is_enough_if_it_is_the_only_one() {
        let artifacts = || {
            let ids = ["aa11", "aa22", "bb33"];
            ids.map(|id| Artifact {
                artifact_id: id.into(),
                ..Artifact::default()
            })
            .to_vec()
        };
        assert_eq!(the_only(artifacts(), "bb").unwrap().artifact_id, "bb33");
        assert_eq!(the_only(artifacts(), "aa11").unwrap().artifact_id, "aa11");
        assert_eq!(the_only(artifacts(), "aa").unwrap_err().exit, Exit::Usage);
        assert_eq!(the_only(artifacts(), "cc").unwrap_err().exit, Exit::NotFound);
    }
}
