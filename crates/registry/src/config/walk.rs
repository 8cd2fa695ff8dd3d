//! A template reaches the devices that it is for: in pages, each a wake-up of its own with a pause behind it, so
//! that a fleet is told over some time and the registry answers others meanwhile. A device that comes or goes during
//! the walk is looked at by itself.

use std::collections::BTreeSet;

use contract::v1::ConfigScope;
use prost::Message;
use service::{Fault, Outcome, View, store::StoreError};

use super::{
    event,
    follow::{self, wake_key},
    state,
};
use crate::{decide::Situation, index, state as records, tree};

/// Devices looked at in one decision.
const PAGE: usize = 100;
/// Between two pages: 2,000 devices a second at most.
const PAUSE_MS: i64 = 50;

/// How far a walk has come.
#[derive(Clone, PartialEq, Message)]
struct Walk {
    /// The last device, folded.
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
    let page = devices(s.view, scope, id, &walk.after)?;
    let cause = format!("{} {id}", state::word(scope));
    for folded in &page {
        if let Some(device) = records::device_or_twin(s.view, &String::from_utf8_lossy(folded))? {
            follow::renew(s, &mut outcome, &device, &cause)?;
        }
    }
    match page.last().filter(|_| page.len() == PAGE) {
        Some(after) => {
            let after = after.clone();
            outcome.put(state::walk_key(scope, id), &Walk { after });
            outcome.wake_at(wake_key(state::word(scope), id), s.now_ms + PAUSE_MS);
        }
        None => done(s, &mut outcome, scope, id)?,
    }
    Ok(outcome)
}

/// The next devices that it is for.
fn devices(
    view: &View<'_>,
    scope: ConfigScope,
    id: &str,
    after: &[u8],
) -> Result<BTreeSet<Vec<u8>>, StoreError> {
    if scope == ConfigScope::Group {
        return tree::members(view, &tree::below(view, id)?, after, PAGE);
    }
    let range = index::of("type", id).unwrap_or_default();
    let keys = view.scan(&range, Some(&[range.as_slice(), after].concat()), PAGE)?;
    Ok(keys
        .into_iter()
        .map(|(key, _)| key[range.len()..].to_vec())
        .collect())
}

fn done(s: &Situation<'_>, outcome: &mut Outcome, scope: ConfigScope, id: &str) -> Result<(), Fault> {
    outcome.delete(state::walk_key(scope, id));
    if let Some(mut template) = state::template(s.view, scope, id)? {
        template.settling = false;
        outcome.put(state::template_key(scope, id), &template);
        event::template_changed(outcome, s.view, &template, "settled")?;
    }
    Ok(())
}
