//! The work on files that follows a commit: checking and sealing an image, discarding a part.

use std::sync::Arc;

use artifact::{ImageCheck, ImageError};
use contract::{Code, Refusal, limits, v1::Manifest};
use prost::Message;
use service::{
    Effect,
    store::{Blobs, StoreError},
};

/// Checks an image against its manifest and makes it available.
pub(crate) const SEAL: &str = "seal-artifact";
/// Throws away an image that nobody completed.
pub(crate) const DISCARD: &str = "discard-artifact";

/// What an executor is told.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Order {
    #[prost(string, tag = "1")]
    pub(crate) artifact_id: String,
    #[prost(uint64, tag = "2")]
    pub(crate) size: u64,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) sha256: Vec<u8>,
}

/// What it came to.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Sealed {
    #[prost(string, tag = "1")]
    pub(crate) artifact_id: String,
    /// A rejection code; empty when the image is sealed.
    #[prost(string, tag = "2")]
    pub(crate) code: String,
    #[prost(string, tag = "3")]
    pub(crate) message: String,
}

/// Carries out the service's effects. Doing one again comes to the same.
pub struct SealExecutor {
    /// The service's files.
    pub blobs: Arc<dyn Blobs>,
}

impl Order {
    /// The order for an artifact.
    pub(crate) fn new(artifact_id: &str, manifest: &Manifest) -> Order {
        Order {
            artifact_id: artifact_id.into(),
            size: manifest.size,
            sha256: manifest.sha256.clone(),
        }
    }
}

impl SealExecutor {
    /// Does it, and says what it came to.
    pub fn run(&self, effect: &Effect) -> Vec<u8> {
        let Ok(order) = Order::decode(effect.payload.as_slice()) else {
            return Vec::new();
        };
        let outcome = match effect.kind.as_str() {
            SEAL => self.seal(&order),
            DISCARD => self.blobs.discard_part(&order.artifact_id).map_err(disk),
            _ => return Vec::new(),
        };
        let (code, message) = match outcome {
            Ok(()) => Default::default(),
            Err(refusal) => (refusal.code.word().to_owned(), refusal.message),
        };
        Sealed {
            artifact_id: order.artifact_id,
            code,
            message,
        }
        .encode_to_vec()
    }

    fn seal(&self, order: &Order) -> Result<(), Refusal> {
        let Some((length, digest)) = self.blobs.digest_part(&order.artifact_id).map_err(disk)? else {
            // Sealed by the run before this one, or nothing was ever uploaded.
            return self.check_sealed(order);
        };
        if length < order.size {
            let message = format!(
                "{length} of {} bytes have come; put the missing blocks and seal again",
                order.size
            );
            return Err(Refusal::new(Code::Invalid, message));
        }
        if length == order.size && digest == order.sha256.as_slice() {
            return self.blobs.seal(&order.artifact_id).map_err(disk);
        }
        self.blobs.discard_part(&order.artifact_id).map_err(disk)?;
        Err(mismatch())
    }

    fn check_sealed(&self, order: &Order) -> Result<(), Refusal> {
        let digest: [u8; 32] = order.sha256.as_slice().try_into().map_err(|_| mismatch())?;
        let mut check = ImageCheck::new(order.size, digest).map_err(unlike)?;
        let mut offset = 0;
        loop {
            let piece = self
                .blobs
                .read(&order.artifact_id, offset, limits::PAYLOAD_BYTES)
                .map_err(disk)?;
            let Some(piece) = piece else {
                return Err(Refusal::new(
                    Code::Invalid,
                    "nothing of the image has come; put its blocks first",
                ));
            };
            if piece.is_empty() {
                return check.finish().map_err(unlike);
            }
            check.update(&piece).map_err(|_| mismatch())?;
            offset += piece.len() as u64;
        }
    }
}

fn unlike(_: ImageError) -> Refusal {
    mismatch()
}

fn mismatch() -> Refusal {
    let message = "the image is not the one its manifest describes (size or SHA-256); it was thrown away, upload it again";
    Refusal::new(Code::Untrusted, message)
}

/// The request was taken already, so the disk's failure is its answer; a new one may fare better.
fn disk(error: StoreError) -> Refusal {
    Refusal::new(
        Code::Busy,
        format!("{error}; seal it again under a new request id"),
    )
}
