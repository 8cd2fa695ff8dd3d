//! Where an installation is brought back to, and how it takes its place there.
//!
//! All of it is made aside, below `restore.new` in the installation's folder and in its state folder. Then what
//! was there is moved below `replaced-{seconds}`, the configuration first, and the new moved in, the
//! configuration last: between the two nothing can start there, and the same command goes on.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use contract::id::ServiceName;
use host::clock::wall_ms;
use service::store::StoreError;
use store::Held;

use super::part::{CONFIG, FOLDERS};
use crate::{
    config::Config,
    exit::{Exit, Failure},
    folder::{demand_owner, make_private},
};

/// What is brought back lies below it until it is whole.
pub(crate) const STAGED: &str = "restore.new";

/// What was there lies below it, with the seconds since 1970.
const ASIDE: &str = "replaced-";

/// What is to happen to an installation that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Former {
    /// There must be none.
    Refuse,
    /// It is moved aside.
    Replace,
}

/// An installation's folder that is about to be filled.
pub(super) struct Target {
    pub(super) folder: PathBuf,
    /// Known once the configuration is.
    state: Option<PathBuf>,
    /// Whether the state's folder was not there before.
    is_new: bool,
    /// The configuration of the one that is there, if it can be read.
    former: Option<Config>,
    /// Databases that nobody may open meanwhile.
    held: Vec<Held>,
}

impl Target {
    /// Refuses a folder that is not free, or where Muster runs.
    pub(super) fn claim(folder: &Path, former: Former) -> Result<Target> {
        let mut target = Target {
            folder: folder.to_owned(),
            state: None,
            is_new: false,
            former: Config::read(folder).ok(),
            held: Vec::new(),
        };
        if target.is_taken() && former == Former::Refuse {
            let message = format!(
                "{} holds an installation; nothing was changed. --replace moves it aside",
                folder.display()
            );
            return Err(Failure::new(Exit::Conflict, message).into());
        }
        if folder.exists() {
            demand_owner(folder)?;
        }
        let state = target.former.as_ref().map(|former| former.path(&former.state));
        target.hold(&state.unwrap_or_else(|| folder.join("state")))?;
        clear(&folder.join(STAGED))?;
        Ok(target)
    }

    fn is_taken(&self) -> bool {
        let names = FOLDERS.iter().chain(&[CONFIG, "state"]);
        names.into_iter().any(|name| self.folder.join(name).exists())
    }

    fn hold(&mut self, state: &Path) -> Result<()> {
        for name in ServiceName::KEEPERS {
            let database = state.join(name.word()).join("db");
            let held = Held::take(&database).map_err(|error| match error {
                StoreError::Locked { .. } => Failure::new(
                    Exit::Conflict,
                    format!("{error}: `muster restore` works while Muster is stopped"),
                ),
                error => Failure::new(Exit::Failed, error.to_string()),
            })?;
            self.held.extend(held);
        }
        Ok(())
    }

    /// Where files of the installation's folder are made.
    pub(super) fn staged(&self) -> PathBuf {
        self.folder.join(STAGED)
    }

    /// Reads the configuration that was brought back: it says where the state is to lie.
    pub(super) fn configured(&mut self, former: Former) -> Result<Config> {
        let mut config = Config::read(&self.staged())?;
        let state = std::path::absolute(self.folder.join(&config.state))?;
        let is_taken = |name: &ServiceName| state.join(name.word()).exists();
        if former == Former::Refuse && ServiceName::KEEPERS.iter().any(is_taken) {
            let message = format!("{} holds databases; nothing was changed", state.display());
            return Err(Failure::new(Exit::Conflict, message).into());
        }
        let is_formers = self.former.as_ref().is_some_and(|former| {
            std::path::absolute(former.path(&former.state)).is_ok_and(|path| path == state)
        });
        if !is_formers && state != std::path::absolute(self.folder.join("state"))? {
            self.hold(&state)?;
        }
        self.is_new = !state.exists();
        config.state = state.join(STAGED);
        clear(&config.state)?;
        self.state = Some(state);
        Ok(config)
    }

    /// The revocation lists that installations have published which are there, or were moved aside before: of a
    /// restoring that was cut off, too.
    pub(super) fn published(&self) -> Vec<PathBuf> {
        let former = self.former.as_ref().map(|former| former.path(&former.state));
        let mut states: Vec<_> = former.into_iter().chain(self.state.clone()).collect();
        for state in states.clone() {
            let entries = fs::read_dir(state).into_iter().flatten().flatten();
            let aside = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(ASIDE));
            states.extend(aside.map(|entry| entry.path()));
        }
        let list = |state: PathBuf| state.join(ServiceName::Provisioning.word()).join("files/crl.pem");
        let mut lists: Vec<_> = states
            .into_iter()
            .map(list)
            .filter(|list| list.exists())
            .collect();
        lists.sort();
        lists.dedup_by(|one, other| one.canonicalize().ok() == other.canonicalize().ok());
        lists
    }

    /// Moves what was there aside, and what was made into its place. Where the former lies, if there was one.
    pub(super) fn fill(self) -> Result<Vec<PathBuf>> {
        let state = self.state.as_ref().context("the backup has no configuration")?;
        let aside = self.free_name(state);
        let mut kept = Vec::new();
        // Without it nothing starts here.
        self.aside(&self.folder, &aside, CONFIG, &mut kept)?;
        for name in FOLDERS {
            self.aside(&self.folder, &aside, name, &mut kept)?;
            move_in(&self.staged().join(name), &self.folder.join(name))?;
        }
        for name in ServiceName::KEEPERS.map(ServiceName::word) {
            self.aside(state, &aside, name, &mut kept)?;
            move_in(&state.join(STAGED).join(name), &state.join(name))?;
        }
        // An installation that has never run has none.
        if state.is_dir() {
            sync(state)?;
        }
        move_in(&self.staged().join(CONFIG), &self.folder.join(CONFIG))?;
        sync(&self.folder)?;
        clear(&self.staged())?;
        clear(&state.join(STAGED))?;
        Ok(kept)
    }

    /// A name under which nothing lies yet, in neither folder.
    fn free_name(&self, state: &Path) -> String {
        let name = format!("{ASIDE}{}", wall_ms() / 1_000);
        let names = std::iter::once(name.clone()).chain((2_u32..).map(|n| format!("{name}-{n}")));
        let is_free = |name: &String| !self.folder.join(name).exists() && !state.join(name).exists();
        names.into_iter().find(is_free).unwrap_or_default()
    }

    fn aside(&self, from: &Path, aside: &str, name: &str, kept: &mut Vec<PathBuf>) -> Result<()> {
        let path = from.join(name);
        if !path.exists() {
            return Ok(());
        }
        let folder = from.join(aside);
        make_private(&folder)?;
        fs::rename(&path, folder.join(name)).with_context(|| format!("cannot move {}", path.display()))?;
        sync(&folder)?;
        sync(from)?;
        if !kept.contains(&folder) {
            kept.push(folder);
        }
        Ok(())
    }

    /// Takes away what was made and is not wanted.
    pub(super) fn discard(&self) {
        // What is left over is removed by the next attempt.
        let _ = clear(&self.staged());
        if let Some(state) = &self.state {
            let _ = clear(&state.join(STAGED));
            if self.is_new {
                let _ = fs::remove_dir(state);
            }
        }
    }
}

fn move_in(from: &Path, to: &Path) -> Result<()> {
    if !from.exists() {
        return Ok(());
    }
    fs::rename(from, to).with_context(|| format!("cannot move {} to {}", from.display(), to.display()))
}

fn sync(folder: &Path) -> Result<()> {
    Ok(File::open(folder)?.sync_all()?)
}

fn clear(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
