//! Other authorities have taken their places: that is told, and the lists of all that are trusted now are made.

use service::{Fault, Outcome};

use super::{Situation, list};
use crate::{
    event,
    state::{self, Trusted},
    told,
};

/// The wake-up after other authorities took their places; it looks which there are.
pub const LOOK: &str = "issuers";

pub(super) fn look(s: &Situation<'_>) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let now = Trusted {
        signing: s.authorities.signing.id.clone(),
        all: s.authorities.all().map(|one| one.id.clone()).collect(),
        roots: s.authorities.roots(),
        linked: s.authorities.linked(),
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
    let moved = before.differing(&now);
    for one in &moved {
        event::authority_changed(&mut outcome, one.id, one.is());
    }
    if !moved.is_empty() {
        outcome.audits.push(told::authorities(&moved));
    }
    list::make_anew(s, &mut outcome)?;
    Ok(outcome)
}
