//! Other issuing authorities have taken their places: that is told, and the lists of all that are trusted now are made.

use service::{Fault, Outcome};

use super::{Situation, list};
use crate::{
    event,
    state::{self, Trusted},
};

/// The wake-up after other authorities took their places; it looks which there are.
pub const LOOK: &str = "issuers";

pub(super) fn look(s: &Situation<'_>) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let now = Trusted {
        signing: s.authorities.signing.id.clone(),
        all: s.authorities.all().map(|one| one.id.clone()).collect(),
    };
    let before: Option<Trusted> = s.view.load(state::TRUSTED)?;
    if before.as_ref() == Some(&now) {
        return Ok(outcome);
    }
    outcome.put(state::TRUSTED, &now);
    // What an installation begins with is no change.
    let Some(before) = before else {
        return Ok(outcome);
    };
    let gone = before.all.iter().filter(|id| !now.all.contains(id));
    for id in now.all.iter().chain(gone) {
        if before.place(id) != now.place(id) {
            event::authority_changed(&mut outcome, id, now.place(id));
        }
    }
    list::make_anew(s, &mut outcome)?;
    Ok(outcome)
}
