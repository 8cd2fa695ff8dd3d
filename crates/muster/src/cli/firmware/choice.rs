//! Firmware as people name it: `pump-fw@2.1.0`, or how its SHA-256 begins.

use std::str::FromStr;

use anyhow::Result;
use client::Client;
use contract::{
    Id,
    id::ServiceName,
    v1::{Artifact, ArtifactsListed, ListArtifacts},
};

use super::super::list::Limit;
use crate::exit::{Exit, Failure};

/// Names the two forms in the help.
pub(in crate::cli) const FORMS: &str = "NAME@VERSION|ID";
/// Digits of a whole id.
const DIGITS: usize = 64;

/// One artifact, as somebody names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Choice {
    /// The first digits of its id, or all of them.
    Digits(String),
    /// A release.
    Release { name: Id, version: String },
}

/// Why a text names no artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("give NAME@VERSION, or the first hex digits of the artifact's id; `muster firmware list` shows both")]
pub(in crate::cli) struct BadChoice;

impl FromStr for Choice {
    type Err = BadChoice;

    fn from_str(text: &str) -> Result<Choice, BadChoice> {
        if let Some((name, version)) = text.split_once('@') {
            let name = name.parse().map_err(|_| BadChoice)?;
            let version = Some(version)
                .filter(|version| !version.is_empty())
                .ok_or(BadChoice)?;
            return Ok(Choice::Release {
                name,
                version: version.to_owned(),
            });
        }
        let digits = text.bytes().all(|b| b.is_ascii_hexdigit());
        if !digits || !(1..=DIGITS).contains(&text.len()) {
            return Err(BadChoice);
        }
        Ok(Choice::Digits(text.to_ascii_lowercase()))
    }
}

impl Choice {
    /// The id, where it is given whole.
    pub(in crate::cli) fn whole_id(&self) -> Option<&str> {
        match self {
            Choice::Digits(digits) if digits.len() == DIGITS => Some(digits),
            _ => None,
        }
    }

    /// Looks for it in the list of all firmware.
    pub(in crate::cli) async fn find(&self, client: &Client) -> Result<Artifact> {
        let everything = Limit::all();
        let listed = everything.read(
            client,
            (ServiceName::Rollout, "artifacts"),
            |page| ListArtifacts {
                page_size: page.size,
                page: page.token,
                ..ListArtifacts::default()
            },
            |reply: ArtifactsListed| (reply.artifacts, reply.next_page),
        );
        Ok(self.the_only(listed.await?.items)?)
    }

    fn the_only(&self, mut artifacts: Vec<Artifact>) -> Result<Artifact, Failure> {
        artifacts.retain(|artifact| self.fits(artifact));
        match (artifacts.pop(), artifacts.len()) {
            (Some(artifact), 0) => Ok(artifact),
            (Some(_), others) => {
                let message = format!("{} artifacts are `{self}`; give digits of the id", others + 1);
                Err(Failure::usage(message))
            }
            (None, _) => {
                let message = format!("there is no artifact `{self}`; `muster firmware list` shows all");
                Err(Failure::new(Exit::NotFound, message))
            }
        }
    }

    fn fits(&self, artifact: &Artifact) -> bool {
        match self {
            Choice::Digits(digits) => artifact.artifact_id.starts_with(digits),
            Choice::Release { name, version } => artifact
                .manifest
                .as_ref()
                .is_some_and(|manifest| manifest.name == name.as_str() && manifest.version == *version),
        }
    }
}

impl std::fmt::Display for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Choice::Digits(digits) => f.write_str(digits),
            Choice::Release { name, version } => write!(f, "{name}@{}", version.escape_debug()),
        }
    }
}

#[cfg(test)]
mod tests {
    use contract::v1::Manifest;

    use super::*;

    fn artifact(id: &str, name: &str, version: &str) -> Artifact {
        let manifest = Manifest {
            name: name.into(),
            version: version.into(),
            ..Manifest::default()
        };
        Artifact {
            artifact_id: id.into(),
            manifest: Some(manifest),
            ..Artifact::default()
        }
    }

    fn found(text: &str) -> Result<String, Exit> {
        let all = vec![
            artifact("aa11", "pump-fw", "1.0.0"),
            artifact("aa22", "pump-fw", "1.1.0"),
            artifact("bb33", "door-fw", "1.0.0"),
            artifact("bb44", "door-fw", "1.0.0"),
        ];
        let choice: Choice = text.parse().unwrap();
        choice
            .the_only(all)
            .map(|a| a.artifact_id)
            .map_err(|failure| failure.exit)
    }

    #[test]
    fn a_release_or_the_beginning_of_an_id_is_enough_if_it_is_the_only_one() {
        for (text, expected) in [
            ("AA2", Ok("aa22")),
            ("pump-fw@1.0.0", Ok("aa11")),
            ("aa", Err(Exit::Usage)),
            ("cc", Err(Exit::NotFound)),
            ("door-fw@1.0.0", Err(Exit::Usage)),
            ("pump-fw@2.0.0", Err(Exit::NotFound)),
        ] {
            assert_eq!(found(text), expected.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn what_names_nothing_does_not_parse() {
        for bad in ["", "pump-fw", "@1", "a/b@1", "pump-fw@", &"a".repeat(65)] {
            assert_eq!(bad.parse::<Choice>(), Err(BadChoice), "{bad}");
        }
        let whole = "a".repeat(64).parse::<Choice>().unwrap();
        assert_eq!(whole.whole_id(), Some("a".repeat(64).as_str()));
    }
}
