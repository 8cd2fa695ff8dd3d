//! Groups within groups. A device's record names the groups that it was put into; that they lie within others is looked
//! up here: upwards where others are told of a device, downwards where somebody asks for a group.

use std::collections::BTreeSet;

use contract::{Code, Refusal, v1::Group};
use service::{Caller, Fault, Outcome, Sight, View, store::StoreError};

use crate::state::{self, fold};

/// Levels of groups, the first and the last included.
pub(crate) const LEVELS_MAX: usize = 8;
/// Groups within one that lies within none, itself included: a query for it looks into all of them.
pub(crate) const GROUPS_MAX: usize = 256;

/// The groups that one lies within, the nearest first.
pub(crate) fn above(view: &View<'_>, group: &str) -> Result<Vec<String>, StoreError> {
    let mut above: Vec<String> = Vec::new();
    while above.len() < LEVELS_MAX {
        let at = above.last().map_or(group, String::as_str);
        let found: Option<Group> = view.load(state::group_key(at))?;
        match found
            .map(|group| group.parent)
            .filter(|parent| !parent.is_empty())
        {
            Some(parent) => above.push(parent),
            None => break,
        }
    }
    Ok(above)
}

/// A group's parent and all above it, the nearest first; nothing where it has none.
pub(crate) fn over(view: &View<'_>, parent: &str) -> Result<Vec<String>, StoreError> {
    if parent.is_empty() {
        return Ok(Vec::new());
    }
    let mut over = vec![parent.to_owned()];
    over.extend(above(view, parent)?);
    Ok(over)
}

/// These groups and all that they lie within, in order.
pub(crate) fn with_above(view: &View<'_>, groups: &[String]) -> Result<Vec<String>, StoreError> {
    let mut all: BTreeSet<String> = groups.iter().cloned().collect();
    for group in groups {
        all.extend(above(view, group)?);
    }
    Ok(all.into_iter().collect())
}

/// A group and all that lie within it, level by level.
fn levels(view: &View<'_>, group: &str) -> Result<Vec<BTreeSet<String>>, StoreError> {
    let mut levels = vec![BTreeSet::from([group.to_owned()])];
    while levels.len() <= LEVELS_MAX {
        let mut next = BTreeSet::new();
        for parent in levels.last().into_iter().flatten() {
            let within = view.scan(children(parent).as_bytes(), None, GROUPS_MAX)?;
            next.extend(
                within
                    .into_iter()
                    .map(|(_, id)| String::from_utf8_lossy(&id).into_owned()),
            );
        }
        if next.is_empty() {
            break;
        }
        levels.push(next);
    }
    Ok(levels)
}

/// A group and all that lie within it.
pub(crate) fn below(view: &View<'_>, group: &str) -> Result<BTreeSet<String>, StoreError> {
    Ok(levels(view, group)?.into_iter().flatten().collect())
}

/// The same for a name that somebody asks by; what is no group has nothing within it.
pub(crate) fn named(view: &View<'_>, name: &str) -> Result<BTreeSet<String>, StoreError> {
    let found: Option<Group> = view.load(state::group_key(name))?;
    match found.filter(|group| group.group_id == name) {
        Some(_) => below(view, name),
        None => Ok(BTreeSet::from([name.to_owned()])),
    }
}

/// What whoever was granted a group sees: what lies within it as well.
pub(crate) fn sight(view: &View<'_>, sight: &Sight) -> Result<Sight, StoreError> {
    let Sight::Groups(groups) = sight else {
        return Ok(Sight::Everything);
    };
    let mut all = BTreeSet::new();
    for group in groups {
        all.extend(named(view, group)?);
    }
    Ok(Sight::Groups(all))
}

/// Whoever asks, with that sight.
pub(crate) fn caller(view: &View<'_>, by: &Caller) -> Result<Caller, StoreError> {
    Ok(Caller {
        sight: sight(view, &by.sight)?,
        ..by.clone()
    })
}

/// Up to `limit` folded ids of devices in any of these groups, after one of them.
pub(crate) fn members(
    view: &View<'_>,
    groups: &BTreeSet<String>,
    after: &[u8],
    limit: usize,
) -> Result<BTreeSet<Vec<u8>>, StoreError> {
    let mut ids = BTreeSet::new();
    for group in groups {
        let prefix = state::members(group).into_bytes();
        let from = [prefix.as_slice(), after].concat();
        let keys = view.scan(&prefix, Some(&from), limit)?;
        ids.extend(keys.into_iter().map(|(key, _)| key[prefix.len()..].to_vec()));
        while ids.len() > limit {
            ids.pop_last();
        }
    }
    Ok(ids)
}

/// Refuses a parent that is not there, that lies within the group, or below which there is no room.
pub(crate) fn may(view: &View<'_>, group: &str, parent: &str) -> Result<(), Fault> {
    state::group(view, "parent", parent)?;
    let mut chain = vec![parent.to_owned()];
    chain.extend(above(view, parent)?);
    let refuse = |code, message: String| Err(Refusal::new(code, message).at("parent").into());
    if chain.iter().any(|above| fold(above) == fold(group)) {
        return refuse(Code::Invalid, format!("`{group}` would lie within itself"));
    }
    let own = levels(view, group)?;
    if chain.len() + own.len() > LEVELS_MAX {
        return refuse(
            Code::Limit,
            format!("groups lie within one another {LEVELS_MAX} levels deep at most"),
        );
    }
    let root = chain.last().map_or(parent, String::as_str);
    let (all, own) = (
        below(view, root)?,
        own.into_iter().flatten().collect::<BTreeSet<_>>(),
    );
    if all.union(&own).count() > GROUPS_MAX {
        return refuse(
            Code::Limit,
            format!("`{root}` would be more than {GROUPS_MAX} groups, those within it included"),
        );
    }
    Ok(())
}

/// Takes a group out of one, and puts it into another; either may be empty.
pub(crate) fn put(outcome: &mut Outcome, group: &str, from: &str, to: &str) {
    if !from.is_empty() {
        outcome.delete(child_key(from, group));
    }
    if !to.is_empty() {
        outcome
            .changes
            .put(child_key(to, group), group.as_bytes().to_vec());
    }
}

/// Whether any group lies within this one.
pub(crate) fn has_children(view: &View<'_>, group: &str) -> Result<bool, StoreError> {
    Ok(!view.scan(children(group).as_bytes(), None, 1)?.is_empty())
}

fn children(group: &str) -> String {
    format!("f{}\0", fold(group))
}

fn child_key(parent: &str, group: &str) -> String {
    format!("{}{}", children(parent), fold(group))
}
