#![forbid(unsafe_code)]
//! Signed firmware metadata: envelope, keys, verification.
//!
//! A release is a manifest and an image. The manifest's bytes are signed offline, as they are, by release
//! keys; the server that hands them out cannot sign. A device that is offered a release asks in this order,
//! and the server asks the first and the last at upload:
//!
//! 1. [`Keyring::verify`]: have enough active keys signed exactly these bytes, of this type? Only then is the
//!    manifest decoded, from the same bytes.
//! 2. [`admit`]: is it for this device, and newer than anything it has had?
//! 3. [`BlockMap`]: which blocks are still to fetch? It outlives a restart.
//! 4. [`ImageCheck`]: is the image exactly as long as stated, with the digest stated? Only then is
//!    it installed.
//!
//! Nothing here reads a file, a clock or the network, or knows how a manifest is encoded.

mod blocks;
mod gate;
mod image;
mod key;
mod keyring;
mod pae;
mod signature;

pub use blocks::{BLOCK_SIZES, BLOCKS_MAX, BlockError, BlockMap};
pub use gate::{DeviceState, Refusal, Requirements, SEQUENCE_STEP_MAX, admit};
pub use image::{ImageCheck, ImageError, TooLong};
pub use key::{KeyError, KeyId, PublicKey, SigningKey};
pub use keyring::{
    KeyState, Keyring, KeyringError, MANIFEST_MAX_BYTES, SIGNATURES_MAX, TrustedKey, VerifyError,
};
pub use pae::{COMMAND_TYPE, MANIFEST_TYPE, RETIREMENT_TYPE, pae};
pub use signature::{Signature, sign};
