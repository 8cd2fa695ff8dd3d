//! `muster firmware sign`

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use artifact::{BlockMap, SEQUENCE_STEP_MAX, SigningKey};
use contract::{Id, limits, v1::Manifest};
use host::clock::wall_ms;
use zeroize::Zeroizing;

use super::{
    super::{
        Global,
        cert::{FORMS, When},
        print,
    },
    image, manifest,
};
use crate::{exit::Failure, folder::read_secret};

/// The only schema there is.
const SCHEMA: u32 = 1;
/// Models that one image is for.
const MODELS_MAX: usize = 64;
/// A larger one leaves no room for later releases.
const SEQUENCE_MAX: u64 = u64::MAX - SEQUENCE_STEP_MAX;
/// Longest version as people write it.
const VERSION_CHARS: usize = 64;

#[derive(clap::Args)]
// One line of all that is required is longer than a terminal is wide.
#[command(
    override_usage = "muster firmware sign [OPTIONS] --key <FILE> --name <NAME> --version <VERSION>\n                            \
                      --sequence <N> --model <MODEL> <FILE>"
)]
pub(in crate::cli) struct Sign {
    /// The image
    file: PathBuf,
    /// A release key; may be given several times where an installation demands several signatures
    #[arg(long = "key", required = true, value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// The firmware's name; its releases share it
    #[arg(long)]
    name: Id,
    /// The version as people know it
    #[arg(long, value_parser = version)]
    version: String,
    /// The release's number: devices take none that is not above the last of this name
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=SEQUENCE_MAX))]
    sequence: u64,
    /// A model it is for; may be given several times
    #[arg(long = "model", required = true, value_name = "MODEL")]
    models: Vec<Id>,
    /// Bytes that a device fetches at once; less suits little memory
    #[arg(long, default_value_t = limits::BLOCK_BYTES as u32, value_name = "BYTES")]
    block_size: u32,
    /// After this it may no longer be installed [default: never]
    #[arg(long, value_name = FORMS)]
    expires: Option<When>,
    /// Where the signed manifest is written [default: FILE.manifest.json]
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
}

impl Sign {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let keys = self
            .keys
            .iter()
            .map(|path| read_key(path))
            .collect::<Result<Vec<_>>>()?;
        let manifest = self.manifest(wall_ms())?;
        let signed = manifest::sign(&manifest, &keys);
        let path = self
            .manifest
            .clone()
            .unwrap_or_else(|| manifest::beside(&self.file));
        manifest::write(&path, &signed)?;
        if global.json {
            let document = serde_json::json!({ "file": path, "manifest": manifest, "signed": signed });
            return print::json(&document);
        }
        let signers = keys.iter().map(|key| key.public_key().key_id().to_string());
        print::fields(&[
            ("firmware", format!("{} {}", manifest.name, manifest.version)),
            ("sequence", manifest.sequence.to_string()),
            ("models", manifest.models.join(", ")),
            ("size", manifest.size.to_string()),
            ("expires", print::time(manifest.expires_ms)),
            ("signed by", signers.collect::<Vec<_>>().join(", ")),
            ("manifest", path.display().to_string()),
        ])
    }

    fn manifest(&self, now_ms: i64) -> Result<Manifest> {
        if self.models.len() > MODELS_MAX {
            return Err(Failure::usage(format!("an image is for {MODELS_MAX} models at most")).into());
        }
        let (size, sha256) = image::digest(&self.file)?;
        BlockMap::new(size, self.block_size)
            .map_err(|error| Failure::usage(format!("--block-size: {error}")))?;
        let expires_ms = self.expires.map(When::ms).unwrap_or_default();
        if self.expires.is_some() && expires_ms <= now_ms {
            return Err(Failure::usage("--expires lies in the past").into());
        }
        Ok(Manifest {
            schema: SCHEMA,
            name: self.name.to_string(),
            version: self.version.clone(),
            sequence: self.sequence,
            models: self.models.iter().map(Id::to_string).collect(),
            size,
            sha256: sha256.to_vec(),
            block_size: self.block_size,
            created_ms: now_ms,
            expires_ms,
        })
    }
}

pub(in crate::cli) fn read_key(path: &Path) -> Result<SigningKey> {
    let bytes = Zeroizing::new(read_secret(path)?);
    let text = std::str::from_utf8(&bytes).context("the key is no PEM");
    text.and_then(|text| Ok(SigningKey::from_pem(text)?))
        .with_context(|| format!("cannot use {}", path.display()))
}

fn version(text: &str) -> Result<String, String> {
    let fits = (1..=VERSION_CHARS).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits {
        Ok(text.to_owned())
    } else {
        Err(format!("a version has 1 to {VERSION_CHARS} printable characters"))
    }
}
