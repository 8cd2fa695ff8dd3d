//! The device SDK: keys, enrolment, reports, updates, retirement.
//!
//! A device is a folder and a [`Platform`]. The folder holds its keys and how far its update is; the
//! platform is what only the integrator knows: how to start an image, whether it is well, what it measures.
//! [`Device::run`] does the rest until it is told to stop, and may be killed at any instant: the next run
//! goes on where this one was.
//!
//! ```no_run
//! use device::{Boot, Device, Endpoint, Image, Platform, Settings};
//!
//! struct Pump;
//!
//! impl Platform for Pump {
//!     async fn boot(&self, image: &Image) -> Boot {
//!         let running = std::env::current_exe().ok();
//!         if running.as_deref() == Some(&image.path) { Boot::Running } else { Boot::Restart }
//!     }
//!
//!     async fn check(&self, _image: &Image) -> Result<(), String> {
//!         Ok(())
//!     }
//! }
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Endpoint { host: "muster.example".into(), port: 8883 };
//! let roots = std::fs::read_to_string("/etc/pump/roots.pem")?;
//! let mut settings = Settings::new("/var/lib/pump", "pump-7".parse()?, server, roots);
//! settings.about.model = "pump".into();
//! settings.about.firmware_version = "1.0.0".into();
//! let ending = Device::open(settings, Pump)?.run(Default::default()).await?;
//! println!("{ending:?}");
//! # Ok(())
//! # }
//! ```
//!
//! # Starting images
//!
//! The folder's file `active` says what a start script is to start: `a` or `b`, the image in `slot-a` or `slot-b`,
//! with ` try` behind it while that one is only tried. Where there is no such slot, it is the image that the device
//! was delivered with. Starts are counted by [`Device::run`], three of them; an image that dies before it gets there
//! is not counted, so a start script that has started a ` try` three times in vain starts the other one. That one,
//! once it runs, finds that the update has failed and tells the server.
//!
//! # What can be relied on
//!
//! What holds at every instant, whatever is cut off:
//!
//! - A private key is on disk before its request is sent, and a certificate is used only once it is on disk.
//! - An image runs only if a pinned release key signed its manifest, the manifest is for this model and newer
//!   than anything confirmed before, and the image has exactly its length and digest.
//! - The slot that runs is not touched until the other one has been confirmed; the sequence floor rises then,
//!   and never falls.
//! - The end of an update is reported until the server has acknowledged it.
//! - Keys are erased only after the server has acknowledged the receipt, or refuses a device that it had ordered
//!   to retire; then they go, whatever else fails. What marks this takes no room on the disk, and a device whose
//!   key went before that could be marked is retired all the same.
//! - A configuration is on disk before it is applied, and what became of it is told until the server knows. It is
//!   applied at each start, before there is a server; applying the same again must be harmless.
//! - A command is noted on the disk before it begins, and is begun once at most; its end is told until the server
//!   knows. One that was cut off is told as failed.
//! - A command that is to be signed ([`Settings::signed_commands`]) is begun only with an operator's own signature
//!   over just this order, within its time, and once for each signature. Wiping is done once it has been told, or
//!   after half a minute in vain, and goes on after a cut.
//! - A full disk stops an update and nothing else: the device comes up, says so, and goes on once there is room. Only
//!   an image that is being tried or undone is waited with: it is not started before the marker names it.
//! - The clock is believed only from the beginning of the device's certificate on.
#![forbid(unsafe_code)]

mod clock;
mod command;
mod configuration;
mod device;
mod edge;
mod error;
mod event;
mod files;
mod ground;
mod identity;
pub mod planted;
mod platform;
mod settings;
mod update;
mod warrant;

pub use artifact::PublicKey;
pub use client::{Endpoint, Identity, Network};
pub use contract::{Id, Root};

pub use contract::document::Document;
pub use device::Device;
pub use error::Error;
pub use event::{CommandStep, Ending, Event, UpdateStep};
pub use ground::{Disk, DiskFile, Ground};
pub use pki::KeyKind;
pub use platform::{Boot, Ended, Image, Order, Platform, Progress};
pub use settings::{About, Claim, Factory, Location, Settings};
