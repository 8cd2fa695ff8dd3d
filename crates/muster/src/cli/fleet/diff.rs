//! What would make the fleet as its file says: a function of what there is and what is wanted.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    entry::{Entries, Entry, Fleet, Kind, Live, Person, Present, Rest, above, after, is_empty},
    references,
};

/// What is done to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Action {
    Add,
    Change,
    /// It goes; a type is deprecated, a person is shut out.
    Remove,
}

/// A field that is to be another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct FieldChange {
    pub(super) field: String,
    pub(super) before: Value,
    pub(super) after: Value,
}

/// One entry that is to be another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Change {
    pub(super) kind: Kind,
    pub(super) id: String,
    pub(super) action: Action,
    /// Of the entry as it is; 0: there is none.
    pub(super) version: u64,
    pub(super) fields: Vec<FieldChange>,
    #[serde(skip)]
    pub(super) before: Option<Entry>,
    /// Nothing: it goes.
    #[serde(skip)]
    pub(super) after: Option<Entry>,
}

/// An entry that is there and not in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Unmanaged {
    pub(super) kind: Kind,
    pub(super) id: String,
}

/// What is to be done, in that order.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(super) struct Plan {
    pub(super) changes: Vec<Change>,
    /// What stands in the way, in sentences.
    pub(super) obstacles: Vec<String>,
    pub(super) unmanaged: Vec<Unmanaged>,
}

impl Plan {
    /// Names the plan: another fleet or another file has another one.
    pub(super) fn digest(&self) -> String {
        let bytes = serde_json::to_vec(&(&self.changes, &self.obstacles)).unwrap_or_default();
        hex::encode(&Sha256::digest(bytes)[..8])
    }

    pub(super) fn count(&self, action: Action) -> usize {
        self.changes
            .iter()
            .filter(|change| change.action == action)
            .count()
    }
}

/// Compares. Whoever asks is not shut out for not being in the file: `me`.
pub(super) fn plan(present: &Present, wanted: &Fleet, rest: Rest, me: &(Kind, String)) -> Plan {
    let mut plan = Plan::default();
    for (kind, entries) in &wanted.sections {
        for (id, entry) in entries {
            plan.changes
                .extend(put(*kind, id, present.find(*kind, id), entry));
        }
        for (id, live) in present.of(*kind).filter(|(id, _)| !entries.contains_key(*id)) {
            let kept = rest == Rest::Stays || *kind == Kind::Supplier || (*kind, id) == (me.0, &me.1);
            match kept {
                true => plan.unmanaged.push(Unmanaged {
                    kind: *kind,
                    id: id.clone(),
                }),
                false => plan.changes.extend(take(*kind, id, live)),
            }
        }
    }
    plan.obstacles = obstacles(present, wanted, &plan.changes);
    order(&mut plan.changes, present, wanted, rest);
    plan
}

fn put(kind: Kind, id: &str, live: Option<&Live>, wanted: &Entry) -> Option<Change> {
    let Some(live) = live else {
        // A template that sets nothing is none.
        let is_nothing = matches!(wanted, Entry::Template(template) if *template == Default::default());
        return (!is_nothing).then(|| change(kind, id, Action::Add, None, Some(wanted.clone()), 0));
    };
    let wanted = settled(&live.entry, wanted.clone());
    let before = Some(live.entry.clone());
    (live.entry != wanted).then(|| change(kind, id, Action::Change, before, Some(wanted), live.version))
}

/// The grounds of a vetting stand until it is another.
fn settled(live: &Entry, wanted: Entry) -> Entry {
    match (live, wanted) {
        (Entry::Supplier(live), Entry::Supplier(mut wanted)) if live.vetted == wanted.vetted => {
            wanted.vetting_note.clone_from(&live.vetting_note);
            Entry::Supplier(wanted)
        }
        (_, wanted) => wanted,
    }
}

/// Whoever is not named goes. A type is deprecated, for devices may be of it; a person is shut out and keeps nothing
/// that could come back with them.
fn take(kind: Kind, id: &str, live: &Live) -> Option<Change> {
    let left = match &live.entry {
        Entry::Type(kind) => {
            let mut deprecated = kind.clone();
            deprecated.deprecated = true;
            Some(Entry::Type(deprecated))
        }
        Entry::Person(_) => Some(Entry::Person(Person {
            role: match kind {
                Kind::Integrator => String::new(),
                _ => "viewer".to_owned(),
            },
            disabled: true,
            ..Person::default()
        })),
        _ => None,
    };
    if left.as_ref() == Some(&live.entry) {
        return None;
    }
    let before = Some(live.entry.clone());
    Some(change(kind, id, Action::Remove, before, left, live.version))
}

fn change(
    kind: Kind,
    id: &str,
    action: Action,
    before: Option<Entry>,
    after: Option<Entry>,
    version: u64,
) -> Change {
    let all = |entry: &Option<Entry>| entry.as_ref().map(Entry::fields).unwrap_or_default();
    Change {
        kind,
        id: id.to_owned(),
        action,
        version,
        fields: differences(&all(&before), &all(&after)),
        before,
        after,
    }
}

fn differences(before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>) -> Vec<FieldChange> {
    let mut names: Vec<_> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    let value =
        |fields: &BTreeMap<String, Value>, name: &str| fields.get(name).cloned().unwrap_or(Value::Null);
    let each = names.into_iter().map(|name| FieldChange {
        field: name.clone(),
        before: value(before, name),
        after: value(after, name),
    });
    each.filter(|field| field.before != field.after && !(is_empty(&field.before) && is_empty(&field.after)))
        .collect()
}

/// What the registry would refuse, as far as it can be known beforehand.
fn obstacles(present: &Present, wanted: &Fleet, changes: &[Change]) -> Vec<String> {
    let mut obstacles = Vec::new();
    for change in changes.iter().filter(|change| change.kind == Kind::Group) {
        let Some(live) = present.find(Kind::Group, &change.id) else {
            continue;
        };
        let Entry::Group(before) = &live.entry else {
            continue;
        };
        let goes = change.action == Action::Remove;
        let becomes_dynamic = matches!(&change.after, Some(Entry::Group(group)) if !group.query.is_empty());
        if before.query.is_empty() && live.members > 0 && (goes || becomes_dynamic) {
            obstacles.push(format!(
                "group {}: its {} devices were put into it one by one; take them out first (muster group leave)",
                change.id, live.members
            ));
        }
        if goes {
            obstacles.extend(granted(present, wanted, changes, &change.id));
        }
    }
    obstacles
}

/// Operators whom the file leaves as they are, and who were granted a group that goes.
fn granted(present: &Present, wanted: &Fleet, changes: &[Change], group: &str) -> Vec<String> {
    let is_settled = |id: &str| {
        let declared = wanted.sections.get(&Kind::Operator);
        declared.is_some_and(|operators| operators.contains_key(id))
            || changes
                .iter()
                .any(|change| change.kind == Kind::Operator && change.id == id)
    };
    let has = |live: &Live| {
        matches!(&live.entry, Entry::Person(person)
            if person.grants.iter().any(|grant| grant.groups.iter().any(|granted| granted == group)))
    };
    let left = present
        .of(Kind::Operator)
        .filter(|(id, live)| has(live) && !is_settled(id));
    left.map(|(id, _)| {
        format!("group {group}: `{id}` has grants for it; take them back (muster operator revoke)")
    })
    .collect()
}

/// What is named comes before what names it; what goes, goes last and the other way round.
fn order(changes: &mut [Change], present: &Present, wanted: &Fleet, rest: Rest) {
    let groups = after(present, wanted, Kind::Group, rest);
    let there: Entries = present
        .of(Kind::Group)
        .map(|(id, live)| (id.clone(), live.entry.clone()))
        .collect();
    let ranks = references::ranks(&after(present, wanted, Kind::Query, rest));
    let depth = |change: &Change| match (change.kind, change.action) {
        (Kind::Group, Action::Remove) => above(&there, &change.id).len(),
        (Kind::Group, _) => above(&groups, &change.id).len(),
        (Kind::Query, _) => ranks.get(&change.id).copied().unwrap_or_default(),
        _ => 0,
    };
    changes.sort_by_cached_key(|change| {
        let (kind, depth) = (
            change.kind as isize,
            isize::try_from(depth(change)).unwrap_or(isize::MAX),
        );
        match change.action {
            Action::Remove => (1, -kind, -depth, change.id.clone()),
            Action::Add | Action::Change => (0, kind, depth, change.id.clone()),
        }
    });
}
