//! The requests of one change, in their order.

use contract::v1::{DeprecateType, PutGroup, RemoveGroup, RemoveQuery, RemoveRule};

use super::{
    calls::{self, Call},
    diff::{Action, Change},
    entry::{Entry, Kind, Type},
};

/// What is asked to make a change. Each but the first expects what the one before it has made.
pub(super) fn of(change: &Change) -> Vec<Call> {
    let (id, version) = (change.id.as_str(), change.version);
    match &change.after {
        Some(Entry::Type(declared)) => device_type(change, declared),
        Some(Entry::Supplier(declared)) => {
            vec![Call::PutSupplier(calls::put_supplier(id, declared, version))]
        }
        Some(Entry::Group(declared)) => vec![Call::PutGroup(calls::put_group(id, declared, version))],
        Some(Entry::Template(declared)) => {
            vec![Call::PutTemplate(calls::put_template(id, declared, version))]
        }
        Some(Entry::Query(declared)) => vec![Call::PutQuery(calls::put_query(id, declared, version))],
        Some(Entry::Rule(declared)) => match &change.before {
            // A rule keeps its metric as long as it is there.
            Some(Entry::Rule(before)) if before.metric != declared.metric => {
                vec![
                    remove_rule(id, version),
                    Call::PutRule(calls::put_rule(id, declared, 0)),
                ]
            }
            _ => vec![Call::PutRule(calls::put_rule(id, declared, version))],
        },
        Some(Entry::Person(declared)) => {
            vec![Call::PutPerson(calls::put_person(
                change.kind,
                id,
                declared,
                version,
            ))]
        }
        None => gone(change),
    }
}

/// Being deprecated has a verb of its own.
fn device_type(change: &Change, declared: &Type) -> Vec<Call> {
    let none = Type::default();
    let before = match &change.before {
        Some(Entry::Type(before)) => before,
        _ => &none,
    };
    let but_that = |kind: &Type| Type {
        deprecated: false,
        ..kind.clone()
    };
    let mut steps = Vec::new();
    let mut version = change.version;
    if change.action == Action::Add || but_that(before) != but_that(declared) {
        steps.push(Call::PutType(calls::put_type(&change.id, declared, version)));
        version += 1;
    }
    if before.deprecated != declared.deprecated {
        steps.push(Call::DeprecateType(DeprecateType {
            request_id: String::new(),
            type_id: change.id.clone(),
            undo: !declared.deprecated,
            expected_version: version,
        }));
    }
    steps
}

fn gone(change: &Change) -> Vec<Call> {
    let id = change.id.clone();
    match (change.kind, &change.before) {
        (Kind::Group, Some(Entry::Group(before))) => {
            let mut steps = Vec::new();
            // Its members leave with its query, each with a version.
            let expected_version = if before.query.is_empty() {
                change.version
            } else {
                0
            };
            if !before.query.is_empty() {
                steps.push(Call::PutGroup(PutGroup {
                    group_id: id.clone(),
                    expected_version: change.version,
                    query: Some(String::new()),
                    ..PutGroup::default()
                }));
            }
            steps.push(Call::RemoveGroup(RemoveGroup {
                group_id: id,
                expected_version,
                ..RemoveGroup::default()
            }));
            steps
        }
        (Kind::Template, _) => vec![Call::RemoveTemplate(calls::remove_template(&id, change.version))],
        (Kind::Query, _) => vec![Call::RemoveQuery(RemoveQuery {
            query_id: id,
            expected_version: change.version,
            ..RemoveQuery::default()
        })],
        (Kind::Rule, _) => vec![remove_rule(&id, change.version)],
        _ => Vec::new(),
    }
}

fn remove_rule(id: &str, expected_version: u64) -> Call {
    Call::RemoveRule(RemoveRule {
        rule_id: id.to_owned(),
        expected_version,
        ..RemoveRule::default()
    })
}
