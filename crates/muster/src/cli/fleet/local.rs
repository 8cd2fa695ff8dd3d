//! What can be said of an entry by itself: the services' own rules, asked before anything is sent.

use contract::Refusal;

use super::{
    calls,
    entry::{Entry, Kind},
    file::File,
};

/// Collects what is wrong with an entry.
pub(super) fn check(file: &mut File<'_>, kind: Kind, (path, id): (&str, &str), entry: &Entry) {
    for refusal in refusals(kind, id, entry) {
        let at = format!("{path}.{}", field(&refusal.field));
        file.fault(at.trim_end_matches('.'), refusal.message);
    }
    if let Entry::Person(person) = entry {
        for (number, grant) in person.grants.iter().enumerate() {
            if let Some(refusal) = registry::declared::grant(&calls::grant(grant)) {
                file.fault(&format!("{path}.grants[{number}]"), refusal.message);
            }
        }
    }
}

fn refusals(kind: Kind, id: &str, entry: &Entry) -> Vec<Refusal> {
    match entry {
        Entry::Type(declared) => registry::declared::device_type(&calls::put_type(id, declared, 0)),
        Entry::Supplier(declared) => registry::declared::supplier(&calls::put_supplier(id, declared, 0)),
        Entry::Group(declared) => registry::declared::group(&calls::put_group(id, declared, 0)),
        Entry::Template(declared) => registry::declared::template(&calls::put_template(id, declared, 0)),
        Entry::Query(declared) => registry::declared::query(&calls::put_query(id, declared, 0)).0,
        Entry::Rule(declared) => monitoring::rule(calls::rule(id, declared))
            .err()
            .into_iter()
            .collect(),
        Entry::Person(declared) => registry::declared::person(&calls::put_person(kind, id, declared, 0)),
    }
}

/// A message's field as the file names it.
fn field(name: &str) -> &str {
    let name = name.strip_prefix("rule.").unwrap_or(name);
    match name {
        "where" => "query",
        "event_filters" => "events",
        "data_devices" => "data",
        "points_to_raise" => "points",
        "points_to_clear" => "clear_points",
        "commands_within_ms" => "command_deadline",
        "note" => "vetting_note",
        "document" => "settings",
        "id" | "rule_id" => "",
        name => name.split('.').next().unwrap_or_default(),
    }
}
