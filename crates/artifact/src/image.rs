//! The image against its manifest: exactly as long as stated, and with the digest stated.

use sha2::{Digest, Sha256};

/// Checks an image as its bytes arrive, in order.
#[derive(Clone, Debug)]
pub struct ImageCheck {
    size: u64,
    sha256: [u8; 32],
    seen: u64,
    hasher: Sha256,
    overrun: bool,
}

/// More bytes have come than the manifest states. Stop reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the image is longer than its manifest says")]
pub struct TooLong;

/// Why an image is not the one of its manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// The manifest states an image of no bytes.
    #[error("an image has at least one byte")]
    Empty,
    /// The image ends too early.
    #[error("the image is {missing} bytes shorter than its manifest says")]
    Short {
        /// How many bytes are missing.
        missing: u64,
    },
    /// More bytes came than the manifest states.
    #[error("the image is longer than its manifest says")]
    Long,
    /// The length is right and the contents are not.
    #[error("the digest of the image is not the one in its manifest")]
    DigestMismatch,
}

impl ImageCheck {
    /// Starts a check against the size and digest of a verified manifest.
    pub fn new(size: u64, sha256: [u8; 32]) -> Result<ImageCheck, ImageError> {
        if size == 0 {
            return Err(ImageError::Empty);
        }
        Ok(ImageCheck {
            size,
            sha256,
            seen: 0,
            hasher: Sha256::new(),
            overrun: false,
        })
    }

    /// Takes the bytes that follow. Once too many have come, the check can no longer succeed.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        let room = self.size - self.seen;
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if self.overrun || len > room {
            self.overrun = true;
            return Err(TooLong);
        }
        self.hasher.update(bytes);
        self.seen += len;
        Ok(())
    }

    /// Ends the check.
    pub fn finish(self) -> Result<(), ImageError> {
        if self.overrun {
            return Err(ImageError::Long);
        }
        if self.seen < self.size {
            return Err(ImageError::Short {
                missing: self.size - self.seen,
            });
        }
        let matches = self.hasher.finalize().as_slice() == self.sha256;
        if matches {
            Ok(())
        } else {
            Err(ImageError::DigestMismatch)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(image: &[u8], arriving: &[u8], step: usize) -> Result<(), ImageError> {
        let mut check = ImageCheck::new(image.len() as u64, Sha256::digest(image).into())?;
        for piece in arriving.chunks(step) {
            // What comes after too much must not heal the check.
            let _ = check.update(piece);
        }
        check.finish()
    }

    #[test]
    fn wrong_lengths() {
        assert_eq!(check(b"", b"", 1), Err(ImageError::Empty));
        assert_eq!(check(b"image", b"", 1), Err(ImageError::Short { missing: 5 }));
        assert_eq!(check(b"image", b"imag", 1), Err(ImageError::Short { missing: 1 }));
        assert_eq!(
            check(b"image", b"image!", 1),
            Err(ImageError::Long),
            "a trailing byte"
        );
        assert_eq!(check(b"image", b"image!", 3), Err(ImageError::Long));
    }

    #[test]
    fn a_piece_too_long_cannot_be_followed_by_one_that_fits() {
        let mut check = ImageCheck::new(2, Sha256::digest(b"ok").into()).unwrap();
        assert_eq!(check.update(b"far too long"), Err(TooLong));
        assert_eq!(check.update(b"ok"), Err(TooLong));
        assert_eq!(check.finish(), Err(ImageError::Long));
    }

    proptest! {
        #[test]
        fn any_division_into_pieces_is_accepted(
            image in prop::collection::vec(any::<u8>(), 1..200),
            step in 1usize..50,
        ) {
            prop_assert_eq!(check(&image, &image, step), Ok(()));
        }

        #[test]
        fn any_flipped_bit_is_noticed(
            image in prop::collection::vec(any::<u8>(), 1..200),
            at: prop::sample::Index,
        ) {
            let mut flipped = image.clone();
            let bit = at.index(image.len() * 8);
            flipped[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(check(&image, &flipped, 16), Err(ImageError::DigestMismatch));
        }
    }
}
