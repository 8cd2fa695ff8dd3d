//! Exit codes that mean something, and the errors that carry them.

use std::fmt;

use contract::Code;
use service::store::StoreError;

/// What the process says at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Something failed that has no code of its own.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// There is no such thing.
    NotFound = 3,
    /// It exists already, has another version, or its state does not allow this.
    Conflict = 4,
    /// You may not.
    Denied = 5,
    /// Nobody answers; try again.
    Unavailable = 6,
    /// What is on the disk is not what was written.
    Damaged = 7,
    /// It waits for another person.
    Waiting = 8,
    /// What is compared is not the same.
    Differs = 9,
}

impl Exit {
    /// The end that a code stands for.
    pub fn of(code: u8) -> Exit {
        use Exit::{Conflict, Damaged, Denied, Differs, Failed, NotFound, Unavailable, Usage, Waiting};
        let known = [
            Usage,
            NotFound,
            Conflict,
            Denied,
            Unavailable,
            Damaged,
            Waiting,
            Differs,
        ];
        known
            .into_iter()
            .find(|exit| *exit as u8 == code)
            .unwrap_or(Failed)
    }
}

impl From<Code> for Exit {
    fn from(code: Code) -> Exit {
        match code {
            Code::NotFound => Exit::NotFound,
            Code::Exists | Code::Conflict | Code::NotAllowed | Code::Precondition => Exit::Conflict,
            Code::Denied | Code::Untrusted => Exit::Denied,
            Code::Limit | Code::Busy => Exit::Unavailable,
            Code::Malformed | Code::Invalid | Code::TooLarge | Code::UnknownVerb => Exit::Usage,
            Code::AwaitingApproval => Exit::Waiting,
            Code::Internal => Exit::Failed,
        }
    }
}

/// An error that knows how the process ends.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    message: String,
}

impl Failure {
    /// A failure with this end.
    pub fn new(exit: Exit, message: impl Into<String>) -> Failure {
        Failure {
            exit,
            message: message.into(),
        }
    }

    /// The command line or the configuration is wrong.
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure::new(Exit::Usage, message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// How the process ends on this error.
pub fn code_of(error: &anyhow::Error) -> u8 {
    let told = error.downcast_ref::<Failure>().map(|failure| failure.exit);
    // A service that does not start says why in its store's words.
    let damaged =
        || matches!(error.downcast_ref(), Some(StoreError::Damaged { .. })).then_some(Exit::Damaged);
    told.or_else(damaged).unwrap_or(Exit::Failed) as u8
}
