//! Why a device cannot run at all. What may pass is tried again and told as an event.

use std::path::PathBuf;

/// Why a device cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither a certificate nor anything to ask for one with.
    #[error(
        "the device has no certificate, and neither a claim nor a factory certificate to ask for one with"
    )]
    NoIdentity,
    /// The certificate in the folder is of no use, and there is nothing to ask for another one with.
    #[error("the device's certificate is of no use: {why}")]
    Identity {
        /// Why not.
        why: String,
    },
    /// A file of the device's folder cannot be read or written.
    #[error("{path}: {doing} failed", path = path.display())]
    Files {
        /// Which.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file of the device's folder does not say what it should. It is not acted upon.
    #[error("{path} is damaged: {why}", path = path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// In what way.
        why: String,
    },
    /// Another process runs this device.
    #[error("{path} is in use by another process", path = path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A setting makes no sense.
    #[error("{setting}: {why}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// Why not.
        why: String,
    },
}
