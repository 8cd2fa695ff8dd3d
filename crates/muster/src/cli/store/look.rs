//! What is found when a service's database and its files are read.

use contract::id::ServiceName;
use rollout::{Image, Images};
use service::store::StoreError;
use store::{FilesVerified, Needed, Verified, verify_files};

use super::place::{Place, told};
use crate::exit::Failure;

/// What was found of one service.
pub(super) struct Found {
    pub(super) rows: Verified,
    pub(super) files: FilesVerified,
}

impl Found {
    /// Reads all of it. A store that does not open since it is damaged is a finding, no failure.
    pub(super) fn of(place: &Place) -> Result<Found, Failure> {
        let mut images = Images::default();
        let verified = place.store.verify_each(&mut |key, value| {
            if place.name == ServiceName::Rollout {
                images.take(key, Some(value));
            }
        });
        let rows = match verified {
            Err(error @ (StoreError::Damaged { .. } | StoreError::Engine(_))) => Verified {
                damaged: 1,
                named: vec![error.to_string()],
                ..Verified::default()
            },
            outcome => outcome.map_err(|error| told(place.name, error))?,
        };
        let needed: Vec<_> = images.all().map(needed).collect();
        let files = verify_files(&place.files, &needed).map_err(|error| told(place.name, error))?;
        Ok(Found { rows, files })
    }

    pub(super) fn named(&self) -> Vec<String> {
        let rows = self.rows.named.iter();
        rows.chain(&self.files.damaged).cloned().collect()
    }

    pub(super) fn is_sound(&self) -> bool {
        self.rows.damaged == 0 && self.files.damaged.is_empty()
    }
}

fn needed(image: Image) -> Needed {
    Needed {
        what: format!("the image {}", image.release),
        name: image.id,
        bytes: image.size,
    }
}
