//! A principal's connection: mTLS, requests and replies, subscriptions.
//!
//! A request is published at QoS 1 with a fresh name as its correlation data. If the connection is lost it
//! is sent again under the same name, so that it takes effect once, and the reply is waited for.
#![forbid(unsafe_code)]

mod backoff;
mod clock;
mod connection;
mod error;
mod identity;
mod keeper;
mod line;
mod mqtt;
mod options;
mod pending;
mod subscriptions;

pub use backoff::Backoff;
pub use connection::{Client, Delivery, Inbox, Trouble};
pub use error::{AskError, Cause, ConnectError};
pub use identity::{Identity, IdentityError};
pub use line::{Ear, Internet, Line, Met, Network, Soon, Unsaid, chance};
pub use options::{Endpoint, Options};
