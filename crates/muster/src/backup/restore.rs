//! Bringing an installation back.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::Result;
use contract::id::ServiceName;
use service::store::StoreError;
use store::{Identity, Restored};

use super::{
    archive::{self, Entry},
    manifest::{Manifest, SaidOfItself},
    part::{CONFIG, Part},
    place::{Former, Target},
    revocations::{self, Taken},
    verify::{self, damaged},
};
use crate::{
    config::Config,
    exit::{Exit, Failure},
    folder::make_private,
    up::services,
};

/// What is to be brought back, and where.
pub(crate) struct Order<'a> {
    /// The backup.
    pub(crate) file: &'a Path,
    /// The installation's folder.
    pub(crate) folder: &'a Path,
    /// Whether an installation that is there is moved aside.
    pub(crate) replace: bool,
    /// Revocation lists that were published after the backup.
    pub(crate) lists: &'a [PathBuf],
}

/// What was brought back.
pub(crate) struct Report {
    /// The backup's manifest.
    pub(crate) manifest: Manifest,
    /// Rows of each database.
    pub(crate) rows: BTreeMap<ServiceName, u64>,
    /// Revocations that were taken over.
    pub(crate) taken: Taken,
    /// Where the installation lies that was there.
    pub(crate) kept: Vec<PathBuf>,
}

/// Brings an installation back. Until all of it is there and sound, nothing that was there is touched.
pub(crate) fn restore(order: &Order<'_>, say: &dyn Fn(String)) -> Result<Report> {
    let former = match order.replace {
        true => Former::Replace,
        false => Former::Refuse,
    };
    make_private(order.folder)?;
    let mut target = Target::claim(order.folder, former)?;
    let staged = stage(order, former, &mut target, say);
    let (manifest, rows, taken) = staged.inspect_err(|_| target.discard())?;
    say("into place".to_owned());
    let kept = target.fill()?;
    Ok(Report {
        manifest,
        rows,
        taken,
        kept,
    })
}

type Staged = (Manifest, BTreeMap<ServiceName, u64>, Taken);

fn stage(order: &Order<'_>, former: Former, target: &mut Target, say: &dyn Fn(String)) -> Result<Staged> {
    let mut staging = Staging {
        former,
        target,
        config: None,
        unfit: None,
        under_way: BTreeMap::new(),
        say,
    };
    let manifest = archive::read(order.file, &mut |entry| staging.take(entry))?;
    if let Some(unfit) = staging.unfit.take() {
        return Err(unfit);
    }
    let config = staging
        .config
        .take()
        .ok_or_else(|| damaged("it has no configuration"))?;
    let rows = staging.finish()?;
    say("revocations".to_owned());
    let taken = revocations::take_over(&config, order.lists, &target.published(), &manifest)?;
    Ok((manifest, rows, taken))
}

struct Staging<'a> {
    former: Former,
    target: &'a mut Target,
    /// Of what is being made.
    config: Option<Config>,
    /// Why its configuration cannot be used, or a database not be read. That may be damage, which the sums at the end
    /// tell.
    unfit: Option<anyhow::Error>,
    under_way: BTreeMap<ServiceName, Restored>,
    say: &'a dyn Fn(String),
}

impl Staging<'_> {
    fn take(&mut self, mut entry: Entry<'_>) -> Result<()> {
        match verify::known(&entry)? {
            _ if self.unfit.is_some() => Ok(()),
            Part::Config => {
                let to = self.target.staged().join(CONFIG);
                archive::unpack(&mut entry, &to)?;
                match self.target.configured(self.former) {
                    Ok(config) => self.config = Some(config),
                    Err(error) => self.unfit = Some(error),
                }
                Ok(())
            }
            Part::File(path) => archive::unpack(&mut entry, &self.target.staged().join(path)),
            Part::Blob(name, blob) => {
                let folder = services::files(self.configured()?, name);
                archive::unpack(&mut entry, &folder.join(blob))
            }
            Part::Identity(name) => self.begin(name, entry),
            Part::Rows(name) | Part::Writes(name) => self.apply(name, entry),
        }
    }

    /// A database begins with what it said of itself: rows of a newer version are refused before they are read.
    fn begin(&mut self, name: ServiceName, entry: Entry<'_>) -> Result<()> {
        (self.say)(format!("the {name} service's database"));
        let said: SaidOfItself = serde_json::from_slice(&verify::chunk(entry)?)
            .map_err(|error| damaged(&format!("what {name} says of itself: {error}")))?;
        let config = self.configured()?;
        let copied = Identity {
            epoch: 0,
            schema: said.schema,
            created: said.created,
        };
        let begun = Restored::begin(config.engine, &services::options(config, name), copied);
        let begun = match begun {
            Err(error @ StoreError::Schema { .. }) => {
                self.unfit = Some(told(name, error).into());
                return Ok(());
            }
            begun => begun.map_err(|error| told(name, error))?,
        };
        match self.under_way.insert(name, begun) {
            None => Ok(()),
            Some(_) => Err(damaged(&format!("it has two databases of {name}")).into()),
        }
    }

    fn apply(&mut self, name: ServiceName, entry: Entry<'_>) -> Result<()> {
        let part = entry.name.to_owned();
        let chunk = verify::chunk(entry)?;
        let Some(restored) = self.under_way.get_mut(&name) else {
            return Err(damaged(&format!("{part} comes before what {name} says of itself")).into());
        };
        match restored.apply(&chunk).map_err(|error| told(name, error))? {
            true => Ok(()),
            false => Err(damaged(&format!("{part} has a record that cannot be read")).into()),
        }
    }

    fn configured(&self) -> Result<&Config> {
        let missing = || damaged("its configuration does not come first");
        Ok(self.config.as_ref().ok_or_else(missing)?)
    }

    fn finish(&mut self) -> Result<BTreeMap<ServiceName, u64>> {
        let under_way = std::mem::take(&mut self.under_way).into_iter();
        let finished = under_way.map(|(name, restored)| {
            let rows = restored.finish().map_err(|error| told(name, error))?;
            Ok((name, rows))
        });
        finished.collect()
    }
}

fn told(name: ServiceName, error: StoreError) -> Failure {
    let exit = match &error {
        StoreError::Full { .. } => Exit::Unavailable,
        StoreError::Locked { .. } | StoreError::Schema { .. } => Exit::Conflict,
        _ => Exit::Failed,
    };
    Failure::new(exit, format!("{name}: {error}; nothing was changed"))
}
