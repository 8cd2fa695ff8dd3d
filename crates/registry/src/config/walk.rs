//! A template reaches the devices that it is for: in pages, each a wake-up of its own with a pause behind it, so
//! that a fleet is told over some time and the registry answers others meanwhile. A device that comes or goes during
//! the walk is looked at by itself.

use contract::v1::ConfigScope;
use prost::Message;
use service::{Fault, Outcome};

use super::{
    event,
    follow::{self, wake_key},
    state,
};
use crate::{decide::Situation, index, state as records};

/// Devices looked at in one decision.
const PAGE: usize = 100;
/// Between two pages: 2,000 devices a second at most.
const PAUSE_MS: i64 = 50;

/// How far a walk has come.
#[derive(Clone, PartialEq, Message)]
struct Walk {
    /// The key of the last device.
    #[prost(bytes = "vec", tag = "1")]
    after: Vec<u8>,
}

/// Walks from the beginning, also where a walk is under way.
pub(super) fn begin(outcome: &mut Outcome, scope: ConfigScope, id: &str, now_ms: i64) {
    outcome.put(state::walk_key(scope, id), &Walk::default());
    outcome.wake_at(wake_key(state::word(scope), id), now_ms);
}

/// There is nothing to walk for.
pub(super) fn end(outcome: &mut Outcome, scope: ConfigScope, id: &str) {
    outcome.delete(state::walk_key(scope, id));
    outcome.no_wake(wake_key(state::word(scope), id));
}

/// Walks a page on.
pub(super) fn decide(s: &Situation<'_>, scope: ConfigScope, id: &str) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let Some(walk) = s.view.load::<Walk>(state::walk_key(scope, id))? else {
        return Ok(outcome);
    };
    let range = range(scope, id);
    let after = (!walk.after.is_empty()).then_some(walk.after.as_slice());
    let page = s.view.scan(&range, after, PAGE)?;
    let cause = format!("{} {id}", state::word(scope));
    for (key, _) in &page {
        let folded = String::from_utf8_lossy(&key[range.len()..]).into_owned();
        if let Some(device) = records::device_or_twin(s.view, &folded)? {
            follow::renew(s, &mut outcome, &device, &cause)?;
        }
    }
    match page.last().filter(|_| page.len() == PAGE) {
        Some((after, _)) => {
            let after = after.clone();
            outcome.put(state::walk_key(scope, id), &Walk { after });
            outcome.wake_at(wake_key(state::word(scope), id), s.now_ms + PAUSE_MS);
        }
        None => done(s, &mut outcome, scope, id)?,
    }
    Ok(outcome)
}

/// The keys that end in the ids of the devices it is for.
fn range(scope: ConfigScope, id: &str) -> Vec<u8> {
    match scope {
        ConfigScope::Group => records::members(id).into_bytes(),
        _ => index::of("type", id).unwrap_or_default(),
    }
}

fn done(s: &Situation<'_>, outcome: &mut Outcome, scope: ConfigScope, id: &str) -> Result<(), Fault> {
    outcome.delete(state::walk_key(scope, id));
    if let Some(mut template) = state::template(s.view, scope, id)? {
        template.settling = false;
        outcome.put(state::template_key(scope, id), &template);
        event::template_changed(outcome, &template, "settled");
    }
    Ok(())
}
