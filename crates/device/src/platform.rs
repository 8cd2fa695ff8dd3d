//! What only the integrator knows.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use contract::document::Document;
use tokio::sync::watch;

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

    /// The next that is to be said to whoever listens to this device, in any bytes, at most 256 KiB. Asked for only
    /// while the device is connected; what is said is lost with the connection. The future is dropped whenever
    /// something else happens, and made anew: it must lose nothing by that.
    fn data(&self) -> impl Future<Output = Vec<u8>> + Send {
        std::future::pending()
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

    /// The names of the commands that it can do, at most 64; each as an id is. With none, the server lets operators try,
    /// and [`Platform::command`] says what it does not know.
    fn commands(&self) -> Vec<String> {
        Vec::new()
    }

    /// Does what an operator orders. It is begun once at most: if the process ends meanwhile, the command is told as
    /// failed. Dropped when its time is over.
    fn command(&self, order: &Order, progress: &Progress) -> impl Future<Output = Ended> + Send {
        let _ = progress;
        let why = format!("this device knows no command `{}`", order.name);
        async { Ended::Rejected { why } }
    }

    /// Restarts the whole machine, for a command that [`Ended::Reboot`] ended; its end is on the disk then, and is told
    /// after the start. Returns only if it came to nothing, and why: the command is told as failed then.
    fn reboot(&self) -> impl Future<Output = String> + Send {
        async { "this device cannot restart its machine".to_owned() }
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

/// What the device is to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Names it; no two are named alike.
    pub command_id: String,
    /// What to do.
    pub name: String,
    /// How.
    pub arguments: Document,
}

/// What became of a command. Of an output 256 KiB are told, of a reason 512 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It is done.
    Succeeded {
        /// What came of it.
        output: String,
    },
    /// It is done once this process has ended and is started again: [`Ending::Restart`](crate::Ending::Restart). It is
    /// told then.
    Restart {
        /// What came of it.
        output: String,
    },
    /// It is done once the machine has gone down and is up again: [`Platform::reboot`] is asked for that. It is told then,
    /// once.
    Reboot {
        /// What came of it.
        output: String,
    },
    /// Keys and settings are to be wiped, and this process is to end: [`Ending::Wiped`](crate::Ending::Wiped). What else
    /// there is, the platform wipes when it hears [`Event::Wiped`].
    Wipe,
    /// It could not be done.
    Failed {
        /// What came of it all the same.
        output: String,
        /// Why not.
        why: String,
    },
    /// The device does not do this.
    Rejected {
        /// Why not.
        why: String,
    },
}

/// Tells how far a command is; of what is told within a second, the newest counts.
#[derive(Debug)]
pub struct Progress(pub(crate) watch::Sender<(u32, String)>);

impl Progress {
    /// So many of a hundred are done, and this is under way now.
    pub fn tell(&self, percent: u32, note: impl Into<String>) {
        self.0.send_replace((percent.min(100), note.into()));
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
