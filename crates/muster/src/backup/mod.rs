//! Backups: one file that holds all of an installation, and bringing one back.
//!
//! ```text
//! FILE = zstd(tar):  backup.json · muster.toml · pki/… people/… release/… bootstrap/…
//!                    state/{service}/rows/000000 … · state/{service}/writes/000000 … · state/{service}/files/…
//!                    manifest.json: all of these with their lengths and SHA-256
//! ```
//!
//! Rows and then writes come to a service's database as it was at its cut (`store::copy`); the four are cut one
//! right after the other. What a service knew of another one that the other one has forgotten, facts heal: each
//! restored database begins a new epoch. Keys lie in the file as they lie on the disk: those that are encrypted
//! stay so.

mod archive;
mod create;
mod images;
mod manifest;
mod part;
mod place;
mod restore;
mod revocations;
mod source;
mod verify;

pub(crate) use self::{
    create::{Created, create},
    images::images,
    manifest::Manifest,
    place::STAGED,
    restore::{Order, Report, restore},
    verify::verify,
};
