//! Why a session ended: a closed list that monitoring, and whoever reads its events, may match on.

use crate::protocol::Reason;

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The client said goodbye.
    Clean,
    /// It was silent for too long.
    KeepAlive,
    /// The same client connected again.
    Takeover,
    /// It broke the protocol.
    ProtocolError,
    /// It may not be here: from the start, or not any longer.
    NotAuthorized,
    /// An operator sent it away, or its service did not answer.
    Kicked,
    /// It took what waited for it too slowly.
    Slow,
    /// The front door is going down.
    ServerShutdown,
    /// The connection broke.
    Network,
}

impl Cause {
    /// All of them.
    pub const ALL: [Cause; 9] = [
        Cause::Clean,
        Cause::KeepAlive,
        Cause::Takeover,
        Cause::ProtocolError,
        Cause::NotAuthorized,
        Cause::Kicked,
        Cause::Slow,
        Cause::ServerShutdown,
        Cause::Network,
    ];

    /// The word that travels.
    pub const fn word(self) -> &'static str {
        match self {
            Cause::Clean => "clean",
            Cause::KeepAlive => "keep-alive",
            Cause::Takeover => contract::presence::TAKEOVER,
            Cause::ProtocolError => "protocol-error",
            Cause::NotAuthorized => "not-authorized",
            Cause::Kicked => "kicked",
            Cause::Slow => "slow",
            Cause::ServerShutdown => "server-shutdown",
            Cause::Network => "network",
        }
    }

    /// Whether the client ended it itself, so that it needs no last words.
    pub const fn is_the_clients(self) -> bool {
        matches!(self, Cause::Clean | Cause::Network)
    }

    /// Whether the server ended it for what is told to the client: presence says that, too.
    pub(crate) const fn has_reason(self) -> bool {
        matches!(
            self,
            Cause::ProtocolError | Cause::NotAuthorized | Cause::Kicked | Cause::Slow
        )
    }
}

/// How a client is let go: what it is told, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Farewell {
    /// MQTT 5's reason code.
    pub reason: Reason,
    /// For the presence record.
    pub cause: Cause,
    /// A sentence for people.
    pub text: String,
}

impl Farewell {
    /// A farewell.
    pub fn new(reason: Reason, cause: Cause, text: impl Into<String>) -> Farewell {
        Farewell {
            reason,
            cause,
            text: text.into(),
        }
    }
}
