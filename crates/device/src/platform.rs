//! What only the integrator knows.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use contract::document::Document;

use crate::event::Event;

/// How images are started and judged, and what is measured.
pub trait Platform: Send + Sync + 'static {
    /// Starts an image that is verified, in its slot, and marked as the one to try. Asked again after each
    /// start of the process, until the image is confirmed or three starts were in vain.
    fn boot(&self, image: &Image) -> impl Future<Output = Boot> + Send;

    /// Whether the image that is being tried is well. An error is the reason for going back.
    fn check(&self, image: &Image) -> impl Future<Output = Result<(), String>> + Send;

    /// The image did not prove itself: the old one is to run again; `None` is the one the device was
    /// delivered with. Asked until the answer is [`Boot::Running`].
    fn roll_back(&self, old: Option<&Image>) -> impl Future<Output = Boot> + Send {
        let _ = old;
        async { Boot::Running }
    }

    /// What the next heartbeat tells, at most 64 finite values.
    fn metrics(&self) -> BTreeMap<String, f64> {
        BTreeMap::new()
    }

    /// Applies a configuration: the whole of it, also what is as before. At each start it is the one that was kept, before
    /// there is a connection. An error is told to the operators, and the configuration is not tried again before the
    /// next start; what is in effect then is the platform's choice.
    fn configure(&self, document: &Document) -> impl Future<Output = Result<(), String>> + Send {
        let _ = document;
        async { Err("this device takes no configuration".to_owned()) }
    }

    /// How often to say that it is alive, where that is not as in the settings.
    fn heartbeat(&self) -> Option<Duration> {
        None
    }

    /// Something has happened. Must not block.
    fn heard(&self, event: Event) {
        let _ = event;
    }
}

/// How an image comes to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boot {
    /// It runs already: this process goes on with it.
    Running,
    /// This process must end for it: [`Ending::Restart`](crate::Ending::Restart).
    Restart,
}

/// An image in its slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The file that holds it.
    pub path: PathBuf,
    /// The firmware's name.
    pub name: String,
    /// Its version, for people.
    pub version: String,
    /// Its place in the order of releases.
    pub sequence: u64,
    /// Its length.
    pub size: u64,
    /// Its SHA-256, hex.
    pub sha256: String,
}
