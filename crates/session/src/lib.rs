//! The front door's MQTT sessions, windows and policy, sans-I/O.
//!
//! ```text
//! bytes ─► Connection ─ wishes ─► Door ─ lanes ─► frames for a service
//!             ▲                    │ ▲
//!             └──────── posts ─────┘ └───── frames from a service
//! ```
//!
//! A [`Connection`] is one client's protocol: it parses, checks and orders acknowledgements. The [`Door`] is
//! what all connections share: copies of facts, the directory of sessions, one ordered window for each
//! service. Both take time and bytes as arguments; sockets, threads and clocks are the shell's.
//!
//! Invariants:
//! - A publish with a promise is acknowledged only when its service has answered it, or when it is finally
//!   refused: [`Post::Settled`] is the only way to a PUBACK of a request.
//! - Acknowledgements of one connection leave in the order of its publishes to the same service.
//! - What principals may do is decided by one [`Policy`] and nowhere else; it opens nothing that follows.
//! - Nothing reaches a service but what the verb table allows its sender; nothing reaches a session but
//!   what lies under its own `down/` or within its grants as they are now.
//! - A session whose certificate, token or device does not count any more gets nothing after the fact arrives.
#![forbid(unsafe_code)]

mod attempts;
mod bucket;
mod cause;
mod connection;
mod directory;
mod door;
mod enrolments;
mod facts;
mod judge;
mod lane;
mod limits;
mod lobby;
mod login;
mod meter;
mod peer;
mod petition;
mod policy;
mod protocol;
mod roll;
mod service_link;
mod subscriptions;
mod takeovers;
mod transport;

pub use bucket::{Bucket, Rate};
pub use cause::{Cause, Farewell};
pub use connection::{Admission, Connection, Parting, Post, Verified};
pub use door::{Check, Counts, Door, DoorSettings, DoorStatus};
pub use facts::{Change, Copies, KnownBatch, KnownCertificate, KnownDevice, KnownManufacturer, KnownPerson};
pub use judge::{Admitted, Judge, NotGranted};
pub use lane::Leaving;
pub use limits::{Hoard, Limits};
pub use lobby::{Entry, Lobby};
pub use login::{KnownLogin, KnownToken};
pub use meter::{Limit, Meter};
pub use peer::{Caller, Credential, Peer};
pub use petition::{Answer, Asked, Petition};
pub use policy::{Denial, DeviceManagement, Known, Moment, Offer, Policy, Reach, Standing, standing};
pub use protocol::{Delivery, Quality, Reason};
pub use service_link::{LinkEvent, ServiceLink};
pub use transport::{Listener, Transport};
