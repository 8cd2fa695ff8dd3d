//! What the front door tells monitoring that somebody tried, or that was done to them: the word in
//! [`SecurityNotice::what`](crate::v1::SecurityNotice), and in the events that come of it.

/// They were not let in.
pub const CONNECT_DENIED: &str = "connect-denied";
/// The same, because there was no room, or they had all of their own.
pub const NO_ROOM: &str = "no-room";
/// The same, because their session was taken over too often.
pub const TAKEOVERS: &str = "takeovers";
/// A login in their name failed.
pub const LOGIN_FAILED: &str = "login-failed";
/// They may not publish that.
pub const PUBLISH_DENIED: &str = "publish-denied";
/// They may not subscribe to that.
pub const SUBSCRIBE_DENIED: &str = "subscribe-denied";
/// A packet was none.
pub const MALFORMED: &str = "malformed";
/// A packet or a message was larger than it may be.
pub const TOO_LARGE: &str = "too-large";
/// The policy found a word to say of how they left.
pub const DISCONNECTED: &str = "disconnected";
/// An operator closed their connections.
pub const KICKED: &str = "kicked";

/// All of them.
pub const ALL: [&str; 10] = [
    CONNECT_DENIED,
    NO_ROOM,
    TAKEOVERS,
    LOGIN_FAILED,
    PUBLISH_DENIED,
    SUBSCRIBE_DENIED,
    MALFORMED,
    TOO_LARGE,
    DISCONNECTED,
    KICKED,
];

/// Those that say that somebody was not let in, whoever it was.
pub const NOT_LET_IN: [&str; 3] = [CONNECT_DENIED, NO_ROOM, TAKEOVERS];
