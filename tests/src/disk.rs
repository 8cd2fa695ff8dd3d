//! A disk in trouble: slow, or one that fails what it is asked to write or to sync.

use std::path::{Path, PathBuf};

use crate::preload;

/// What the disk does wrong.
#[derive(Debug, Clone, Copy)]
pub enum Trouble {
    /// Each sync takes so many milliseconds longer.
    Slow(u32),
    /// Writes fail, as on a file system that was mounted read-only after an error (EROFS).
    ReadOnly,
    /// Writes fail (EIO).
    Writes,
    /// Syncs fail (EIO), and what was written stays in the machine's cache.
    Syncs,
}

/// The rig around a process.
pub struct SickDisk {
    library: PathBuf,
    trouble: PathBuf,
    state: PathBuf,
}

impl SickDisk {
    /// For the state below `state`; the rig's files are put into `folder`. `None`: there is no C compiler.
    pub fn around(state: &Path, folder: &Path) -> Option<SickDisk> {
        Some(SickDisk {
            library: preload::build("src/disk/trouble.c", folder)?,
            trouble: folder.join("trouble"),
            state: state.to_owned(),
        })
    }

    /// What the process's environment must say.
    pub fn settings(&self) -> [(&'static str, &str); 3] {
        [
            ("LD_PRELOAD", self.library.to_str().unwrap()),
            ("DISK_TROUBLE", self.trouble.to_str().unwrap()),
            ("DISK_FOLDER", self.state.to_str().unwrap()),
        ]
    }

    /// From now on the disk is in this trouble.
    pub fn fall_ill(&self, trouble: Trouble) {
        const EIO: i32 = 5;
        const EROFS: i32 = 30;
        let said = match trouble {
            Trouble::Slow(milliseconds) => format!("slow {milliseconds}"),
            Trouble::ReadOnly => format!("writes {EROFS}"),
            Trouble::Writes => format!("writes {EIO}"),
            Trouble::Syncs => format!("syncs {EIO}"),
        };
        // Renamed, so that it is never half written.
        let next = self.trouble.with_extension("next");
        std::fs::write(&next, said).unwrap();
        std::fs::rename(&next, &self.trouble).unwrap();
    }

    /// The disk is well again.
    pub fn recover(&self) {
        std::fs::remove_file(&self.trouble).unwrap();
    }
}
