//! Mistakes on purpose, behind a feature that no program for use has: what the invariants of the simulator find of
//! a device is what they are worth. Without the feature [`is`] is constantly false.

/// A mistake that can be planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// Images are taken, put into their slot and tried without a look at their digest.
    Unverified,
    /// Blocks are noted, and the image is marked to be tried, before the disk has them.
    MarkedBeforeSynced,
    /// An image that finds itself unwell is confirmed.
    UnwellConfirmed,
}

impl Mistake {
    /// All of them.
    pub const ALL: &'static [Mistake] = &[
        Mistake::Unverified,
        Mistake::MarkedBeforeSynced,
        Mistake::UnwellConfirmed,
    ];

    /// Its name on a command line, and what goes wrong.
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Mistake::Unverified => (
                "device-unverified",
                "A device puts an image into its slot and tries it without checking its digest.",
            ),
            Mistake::MarkedBeforeSynced => (
                "device-marked-before-synced",
                "A device marks an image to be tried before its bytes are synced.",
            ),
            Mistake::UnwellConfirmed => (
                "device-unwell-confirmed",
                "A device confirms an image that finds itself unwell.",
            ),
        }
    }
}

#[cfg(feature = "planted-bugs")]
mod active {
    use std::cell::Cell;

    use super::Mistake;

    thread_local! {
        static PLANTED: Cell<Option<Mistake>> = const { Cell::new(None) };
    }

    /// Plants a mistake on this thread; `None` takes it away.
    pub fn plant(mistake: Option<Mistake>) {
        PLANTED.set(mistake);
    }

    /// Whether this mistake is to be made.
    pub fn is(mistake: Mistake) -> bool {
        PLANTED.get() == Some(mistake)
    }
}

#[cfg(not(feature = "planted-bugs"))]
mod active {
    use super::Mistake;

    /// Without the feature there is nothing to plant.
    pub fn plant(_mistake: Option<Mistake>) {}

    /// Never.
    #[inline(always)]
    pub const fn is(_mistake: Mistake) -> bool {
        false
    }
}

pub use active::{is, plant};
