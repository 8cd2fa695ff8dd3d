//! Images that are lost, put back beside the database from what was kept elsewhere.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::Result;
use contract::id::ServiceName;
use store::{Needed, put_file_back};

use super::{
    super::{
        Global,
        confirm::{Confirm, Consent},
        firmware::image,
        print,
    },
    look::Found,
    place::{Place, told},
};
use crate::{
    backup,
    exit::{Exit, Failure, code_of},
};

/// Where images can be had.
#[derive(clap::Args)]
pub(super) struct Sources {
    /// An image that was added, or a backup: lost images are put back from it. May be given again
    #[arg(long, value_name = "FILE")]
    from: Vec<PathBuf>,
}

impl Sources {
    /// Puts back what is lost of a service's images. What stays damaged, in words.
    pub(super) fn put_back(
        &self,
        global: &Global,
        confirm: &Confirm,
        place: &Place,
        found: &Found,
    ) -> Result<Vec<String>> {
        let mut lacking = found.files.lacking.clone();
        if lacking.is_empty() || self.from.is_empty() {
            return Ok(found.files.damaged.clone());
        }
        let names: Vec<_> = lacking.iter().map(|need| need.what.as_str()).collect();
        let Consent::Given = confirm.ask(global, &format!("put back {}", names.join(", ")))? else {
            return Ok(Vec::new());
        };
        for path in &self.from {
            take(global, place, path, &mut lacking)?;
        }
        Ok(Found::of(place)?.files.damaged)
    }
}

/// Takes what one file has of what is lacking.
fn take(global: &Global, place: &Place, path: &Path, lacking: &mut Vec<Needed>) -> Result<()> {
    let digest = hex::encode(image::digest(path)?.1);
    if lacking.iter().any(|need| need.name == digest) {
        return put(global, place, &digest, &mut image::open(path)?, lacking);
    }
    let read = backup::images(path, &mut |name, bytes| put(global, place, name, bytes, lacking));
    read.map_err(|error| match code_of(&error) == Exit::Usage as u8 {
        true => Failure::usage(format!(
            "{}: neither a backup nor an image that is lost here; its SHA-256 is {digest}",
            path.display()
        ))
        .into(),
        false => error,
    })
}

fn put(
    global: &Global,
    place: &Place,
    name: &str,
    bytes: &mut dyn Read,
    lacking: &mut Vec<Needed>,
) -> Result<()> {
    let Some(at) = lacking.iter().position(|need| need.name == name) else {
        return Ok(());
    };
    if put_file_back(&place.files, &lacking[at], bytes).map_err(|error| told(place.name, error))? {
        let need = lacking.remove(at);
        return say(global, place.name, &need);
    }
    Ok(())
}

fn say(global: &Global, name: ServiceName, need: &Needed) -> Result<()> {
    if global.json {
        return print::json(&serde_json::json!({
            "service": name.word(), "put_back": need.name, "what": need.what, "bytes": need.bytes,
        }));
    }
    print::line(format!("{name}: {} is back, {} bytes", need.what, need.bytes))
}
