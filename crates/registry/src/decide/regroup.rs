//! A group was put within another: what others know of its devices names the groups above as well, and what they are
//! set to may come from there. So its devices are walked in pages, each a wake-up of its own.

use contract::v1::Group;
use prost::Message;
use service::{Fault, Outcome};

use super::Situation;
use crate::{
    config,
    event::{self, GroupChange},
    state, tree,
};

/// Begins the name of such wake-ups.
pub(super) const WAKE: &str = "regroup/";
/// Devices in one decision.
const PAGE: usize = 100;
/// Between two pages, so that others are answered meanwhile: 5,000 devices a second at most.
const PAUSE_MS: i64 = 20;

/// How far a walk has come.
#[derive(Clone, PartialEq, Message)]
struct Walk {
    /// The last device, folded.
    #[prost(bytes = "vec", tag = "1")]
    after: Vec<u8>,
}

/// Walks from the beginning, also where a walk is under way.
pub(super) fn begin(outcome: &mut Outcome, group: &str, now_ms: i64) {
    outcome.put(walk_key(group), &Walk::default());
    outcome.wake_at(wake_key(group), now_ms);
}

/// The group is gone; nothing lay within it, and it had no members.
pub(super) fn end(outcome: &mut Outcome, group: &str) {
    outcome.delete(walk_key(group));
    outcome.no_wake(wake_key(group));
}

/// Walks a page on.
pub(super) fn decide(s: &Situation<'_>, group: &str) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let Some(walk) = s.view.load::<Walk>(walk_key(group))? else {
        return Ok(outcome);
    };
    let page = tree::members(s.view, &tree::below(s.view, group)?, &walk.after, PAGE)?;
    for id in &page {
        if let Some(device) = state::device_or_twin(s.view, &String::from_utf8_lossy(id))? {
            event::device_fact(&mut outcome, s.view, &device)?;
            config::renew(s, &mut outcome, &device, "place")?;
        }
    }
    match page.last().filter(|_| page.len() == PAGE) {
        Some(after) => {
            let after = after.clone();
            outcome.put(walk_key(group), &Walk { after });
            outcome.wake_at(wake_key(group), s.now_ms + PAUSE_MS);
        }
        None => done(s, &mut outcome, group)?,
    }
    Ok(outcome)
}

fn done(s: &Situation<'_>, outcome: &mut Outcome, id: &str) -> Result<(), Fault> {
    let mut group: Group = state::find(s.view, "group_id", id)?;
    group.moving = false;
    group.version = group.version.saturating_add(1);
    outcome.delete(walk_key(id));
    outcome.put(state::group_key(id), &group);
    let within = tree::over(s.view, &group.parent)?;
    event::group_changed(outcome, &group, GroupChange::Arrived, &within, (&[], &[]));
    Ok(())
}

fn walk_key(group: &str) -> String {
    format!("b{}", state::fold(group))
}

fn wake_key(group: &str) -> String {
    format!("{WAKE}{group}")
}
