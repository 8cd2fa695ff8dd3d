//! A dynamic group gets its members: those devices are walked in pages, each a wake-up of its own, that may fit its query
//! by the narrowest index there is, and its members so far; without an index the whole fleet. What changes meanwhile is
//! judged when it changes, so that at the end everything has been judged once by the new query.

use contract::v1::{Device, Group};
use prost::Message;
use service::{Fault, Outcome};

use super::{Situation, act::Act, turn};
use crate::{
    event::{self, GroupChange},
    language::plan,
    query::search::Search,
    state, tree,
};

/// Begins the name of such wake-ups.
pub(super) const WAKE: &str = "settle/";
/// Devices judged in one decision.
const PAGE: usize = 200;

/// How far a walk has come.
#[derive(Clone, PartialEq, Message)]
struct Walk {
    #[prost(string, tag = "1")]
    after: String,
}

/// Walks from the beginning.
pub(super) fn begin(outcome: &mut Outcome, group: &str, now_ms: i64) {
    outcome.put(walk_key(group), &Walk::default());
    outcome.wake_at(wake_key(group), now_ms);
}

/// The group is gone.
pub(super) fn end(outcome: &mut Outcome, group: &str) {
    outcome.delete(walk_key(group));
    outcome.no_wake(wake_key(group));
}

/// Walks a page on.
pub(super) fn decide(s: &Situation<'_>, group: &str) -> Result<Outcome, Fault> {
    let Some(walk) = s.view.load::<Walk>(walk_key(group))? else {
        return Ok(Outcome::default());
    };
    let after = (!walk.after.is_empty()).then(|| state::fold(&walk.after));
    let page = candidates(s, group)?.read(after.as_deref().map(str::as_bytes), PAGE)?;
    let mut act = Act::new(s);
    let last = page.last().map(|(_, device)| device.device_id.clone());
    let more = page.len() == PAGE;
    for (_, device) in page {
        judge(&mut act, group, device)?;
    }
    let mut outcome = act.finish();
    match last.filter(|_| more) {
        Some(after) => {
            outcome.put(walk_key(group), &Walk { after });
            outcome.wake_at(wake_key(group), s.now_ms);
        }
        None => done(s, &mut outcome, group)?,
    }
    Ok(outcome)
}

/// Where those are that may have to join or leave. Where the query says `now`, each device is to be woken at its own
/// moment, so all are looked at.
fn candidates<'a>(s: &'a Situation<'a>, group: &str) -> Result<Search<'a>, Fault> {
    let search = match s.rules.query(group) {
        None => Search::nowhere(s.view),
        Some(query) if query.is_timed() => Search::new(s.view, Vec::new())?,
        Some(query) => Search::new(s.view, plan::ways(query))?,
    };
    Ok(search.and_members(group))
}

fn judge(act: &mut Act<'_>, group: &str, mut device: Device) -> Result<(), Fault> {
    let fits = act.s.rules.fits(group, &device, act.s.now_ms);
    if device.groups.iter().any(|held| held == group) == fits {
        turn::set(act, &device);
        return Ok(());
    }
    let before = device.clone();
    act.roster.find(act.s.view, "group_id", group)?;
    act.roster.assign(&mut act.outcome, &mut device, group, fits);
    act.follow(&before, &mut device)
}

fn done(s: &Situation<'_>, outcome: &mut Outcome, id: &str) -> Result<(), Fault> {
    let mut group: Group = state::find(&s.view.over(&outcome.changes), "group_id", id)?;
    group.settling = false;
    group.version = group.version.saturating_add(1);
    outcome.delete(walk_key(id));
    outcome.put(state::group_key(id), &group);
    let within = tree::over(s.view, &group.parent)?;
    event::group_changed(outcome, &group, GroupChange::Settled, &within, (&[], &[]));
    Ok(())
}

fn walk_key(group: &str) -> String {
    format!("w{}", state::fold(group))
}

fn wake_key(group: &str) -> String {
    format!("{WAKE}{group}")
}
