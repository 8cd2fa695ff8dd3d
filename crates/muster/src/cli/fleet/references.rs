//! Whether what entries name is there afterwards.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    calls,
    entry::{Entries, Entry, Kind, Present, Rest, above, after},
    file::Fault,
    read::Declared,
};

/// Collects what the file names and nobody declares, and what would lie within itself.
pub(super) fn check(present: &Present, declared: &Declared, rest: Rest) -> Vec<Fault> {
    let mut checker = Checker {
        declared,
        faults: Vec::new(),
    };
    let all = |kind| after(present, &declared.fleet, kind, rest);
    let groups = all(Kind::Group);
    checker.twins(present);
    checker.groups(&groups);
    checker.templates(&groups, &all(Kind::Type));
    checker.queries(&all(Kind::Query));
    checker.grants(&groups);
    checker.faults.sort();
    checker.faults
}

struct Checker<'a> {
    declared: &'a Declared,
    faults: Vec<Fault>,
}

impl Checker<'_> {
    fn fault(&mut self, path: String, message: String) {
        let line = self.declared.lines.of(&path);
        self.faults.push(Fault { line, path, message });
    }

    fn of(&self, kind: Kind) -> Vec<(String, Entry)> {
        let entries = self.declared.fleet.sections.get(&kind);
        let pairs = entries.into_iter().flatten();
        pairs.map(|(id, entry)| (id.clone(), entry.clone())).collect()
    }

    fn twins(&mut self, present: &Present) {
        for kind in Kind::ALL {
            let known: BTreeMap<_, _> = present
                .of(kind)
                .map(|(id, _)| (id.to_ascii_lowercase(), id))
                .collect();
            for (id, _) in self.of(kind) {
                if let Some(twin) = known.get(&id.to_ascii_lowercase()).filter(|twin| ***twin != id) {
                    let message = format!("`{twin}` exists; ids that differ in case only are twins");
                    self.fault(format!("{}.{id}", kind.section()), message);
                }
            }
        }
    }

    fn groups(&mut self, groups: &Entries) {
        for (id, entry) in self.of(Kind::Group) {
            let Entry::Group(group) = entry else { continue };
            let path = format!("groups.{id}.parent");
            if !group.parent.is_empty() && !groups.contains_key(&group.parent) {
                self.fault(path, format!("there is no group `{}`", group.parent));
            } else if above(groups, &id).contains(&id) {
                self.fault(path, format!("`{id}` would lie within itself"));
            }
        }
    }

    fn templates(&mut self, groups: &Entries, types: &Entries) {
        for (name, _) in self.of(Kind::Template) {
            let (scope, id) = name.split_once('.').unwrap_or_default();
            let known = if scope == "type" { types } else { groups };
            if !known.contains_key(id) {
                self.fault(format!("templates.{name}"), format!("there is no {scope} `{id}`"));
            }
        }
    }

    fn queries(&mut self, queries: &Entries) {
        let names = names(queries);
        for (id, _) in self.of(Kind::Query) {
            let path = format!("queries.{id}.query");
            for named in names.get(&id).into_iter().flatten() {
                if !queries.contains_key(named) {
                    self.fault(path.clone(), format!("there is no query `{named}`"));
                }
            }
            if closure(&names, &id).contains(&id) {
                self.fault(path, format!("`{id}` would ask for itself"));
            }
        }
    }

    fn grants(&mut self, groups: &Entries) {
        for (id, entry) in self.of(Kind::Operator) {
            let Entry::Person(person) = entry else { continue };
            for (number, grant) in person.grants.iter().enumerate() {
                for group in grant.groups.iter().filter(|group| !groups.contains_key(*group)) {
                    let path = format!("operators.{id}.grants[{number}].groups");
                    self.fault(path, format!("there is no group `{group}`"));
                }
            }
        }
    }
}

/// The queries that each query names.
type Names = BTreeMap<String, BTreeSet<String>>;

fn names(queries: &Entries) -> Names {
    let mut names = Names::new();
    for (id, entry) in queries {
        if let Entry::Query(query) = entry {
            let (_, named) = registry::declared::query(&calls::put_query(id, query, 0));
            names.insert(id.clone(), named);
        }
    }
    names
}

/// Everything that is reached from one name.
fn closure(names: &Names, from: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        for next in names.get(at).into_iter().flatten() {
            if found.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    found
}

/// How many queries each one rests on: whoever is named has fewer than who names it.
pub(super) fn ranks(queries: &Entries) -> BTreeMap<String, usize> {
    let names = names(queries);
    let rank = |id: &String| (id.clone(), closure(&names, id).len());
    names.keys().map(rank).collect()
}
