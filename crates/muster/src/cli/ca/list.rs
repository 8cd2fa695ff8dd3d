//! `muster ca list` and `show`

use std::path::PathBuf;

use anyhow::Result;
use pki::{IssuingCertificate, NameLimits};
use serde_json::{Value, json};

use super::super::{Global, print};
use crate::{
    authorities::{Listed, Register, certificate, stem},
    folder::Folder,
};

#[derive(clap::Args)]
pub(in crate::cli) struct List {}

#[derive(clap::Args)]
pub(in crate::cli) struct Show {
    /// The CA, as `list` names it
    id: String,
}

/// What is known of an issuing CA.
struct Known {
    state: &'static str,
    read: IssuingCertificate,
    file: PathBuf,
}

impl Known {
    fn of(folder: &Folder, listed: &Listed) -> Result<Known> {
        Ok(Known {
            state: listed.state.word(),
            read: certificate(folder, &listed.id)?,
            file: folder.pki(&format!("{}.pem", stem(folder, &listed.id))),
        })
    }

    fn document(&self) -> Value {
        json!({
            "id": self.read.id, "state": self.state,
            "not_before_ms": self.read.validity.not_before_ms.to_string(),
            "not_after_ms": self.read.validity.not_after_ms.to_string(),
            "may_name": self.read.names.words(), "file": self.file,
        })
    }

    fn row(&self) -> Vec<String> {
        vec![
            self.read.id.clone(),
            self.state.into(),
            print::time(self.read.validity.not_after_ms),
            may_name(&self.read.names),
            self.file.display().to_string(),
        ]
    }
}

/// When one has begun, `show` says: a terminal has no room for it beside where it lies.
const HEADINGS: [&str; 5] = ["id", "state", "ends", "may name", "file"];

impl List {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let folder = global.config()?.folder;
        let register = Register::read(&folder)?;
        let known = register
            .all()
            .into_iter()
            .map(|listed| Known::of(&folder, listed));
        let known = known.collect::<Result<Vec<_>>>()?;
        if global.json {
            return known.iter().try_for_each(|one| print::json(&one.document()));
        }
        print::table(&HEADINGS, known.iter().map(Known::row).collect())
    }
}

impl Show {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let folder = global.config()?.folder;
        let known = Known::of(&folder, Register::read(&folder)?.find(&self.id)?)?;
        if global.json {
            return print::json(&known.document());
        }
        let mut fields: Vec<_> = HEADINGS.into_iter().zip(known.row()).collect();
        fields.insert(2, ("begins", print::time(known.read.validity.not_before_ms)));
        print::fields(&fields)
    }
}

/// Which hosts an issuing CA may name, for people.
pub(super) fn may_name(names: &NameLimits) -> String {
    match names.words().join(", ") {
        none if none.is_empty() => "any host".into(),
        words => words,
    }
}
