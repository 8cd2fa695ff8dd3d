//! What happens to a device, for whoever watches it.

/// What has happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// It has no identity and asks for one.
    Claiming,
    /// It has its first certificate.
    Enrolled {
        /// The certificate's serial, hex.
        serial: String,
        /// Its last instant, milliseconds since 1970.
        not_after_ms: i64,
    },
    /// It is connected, and subscribed.
    Connected {
        /// The serial of the certificate it connected with, hex.
        serial: String,
    },
    /// Its connection is gone, or none could be made; it tries again.
    Disconnected {
        /// What the network, TLS or the server says.
        why: String,
    },
    /// What it says of itself has been acknowledged.
    Reported,
    /// It has its next certificate, and has connected with it.
    Renewed {
        /// The certificate's serial, hex.
        serial: String,
        /// Its last instant, milliseconds since 1970.
        not_after_ms: i64,
    },
    /// It trusts another root from now on: one that it trusted vouches for it.
    RootTaken {
        /// The SHA-256 of the root's certificate, hex.
        fingerprint: String,
    },
    /// Its update went a step on.
    Update {
        /// The rollout it belongs to.
        rollout_id: String,
        /// The firmware's version, as far as known.
        version: String,
        /// How far it is.
        step: UpdateStep,
        /// Why, where it did not go well.
        detail: String,
        /// How much of the image is there.
        percent: u32,
    },
    /// It was given a configuration.
    Configured {
        /// Its version.
        version: u64,
        /// Why it was not applied; nothing if it was.
        error: Option<String>,
    },
    /// A command went a step on.
    Command {
        /// Which.
        command_id: String,
        /// What is done.
        name: String,
        /// How far it is.
        step: CommandStep,
        /// Why, where it did not go well.
        error: String,
    },
    /// It has been ordered to retire.
    RetireOrdered,
    /// Its keys are gone.
    Retired,
    /// It has wiped itself: its keys and what it was told are gone.
    Wiped,
    /// Something did not go well and is tried again.
    Problem {
        /// What, and why.
        what: String,
    },
}

/// How far a command is. The last three are ends, which the server knows of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CommandStep {
    /// It is begun.
    Running,
    /// It is done.
    Succeeded,
    /// It could not be done.
    Failed,
    /// The device does not do this.
    Rejected,
}

/// How far an update is. The last five are ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UpdateStep {
    /// Blocks arrive.
    Downloading,
    /// The image is whole and the one that was signed.
    Verified,
    /// It is put into its slot and tried.
    Installing,
    /// It is confirmed.
    Succeeded,
    /// It could not be fetched or stored.
    Failed,
    /// It did not prove itself; the old image runs.
    RolledBack,
    /// It may not be installed here.
    Refused,
    /// The server called it off in time.
    CalledOff,
}

/// Why a device stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It was told to.
    Shutdown,
    /// It is retired: its keys are erased, and it will not start again from this folder.
    Retired,
    /// It has wiped itself, as it was told to. With a claim it can ask for another identity.
    Wiped,
    /// This process is to be started again, with another image or because it was told to.
    Restart,
}
