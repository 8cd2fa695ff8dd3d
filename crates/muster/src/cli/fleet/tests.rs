use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    diff::{self, Action, Plan},
    entry::{
        Entry, Fleet, Grant, Group, Kind, Live, Person, Present, Query, Rest, Rule, Template, Type, above,
    },
    read, references, steps,
    write::write,
};

const FLEET: &str = r#"
[types.pump]
description = "what pumps"
schema = '''
{ "properties": { "tags": { "required": ["line"] } } }
'''
checks = ["burn-in=attested", "fw=firmware-at-least:1.4.0"]
commands = ["logs", "diagnose"]
signed_commands = ["*"]
command_deadline = "90s"
commands_at_once = 5

[suppliers.acme]
name = "ACME"
vetted = true
vetting_note = "audit of March"

[groups.hall-3]
parent = "berlin"

[groups.berlin]
description = "the works"

[groups.old]
query = "type = pump and firmware < 1.4"

[templates.type.pump]
settings = { heartbeat = "60s", limits = [1, 2.5] }

[templates.group.hall-3]
priority = 10
settings.log.level = "debug"

[queries.ageing]
query = "end_of_support < now+90d"

[rules.hot]
metric = "temperature"
comparison = "above"
threshold = 80

[operators.eve]
role = "viewer"
[[operators.eve.grants]]
role = "operator"
groups = ["berlin"]

[integrators.erp]
events = ["registry/#"]
"#;

fn declared(text: &str) -> read::Declared {
    read::read(text).unwrap_or_else(|faults| panic!("{faults:?}"))
}

/// What a file declares, as if it were there.
fn present_of(fleet: &Fleet) -> Present {
    let live = |entry: &Entry| Live {
        entry: entry.clone(),
        version: 1,
        members: 0,
    };
    let of = |entries: &BTreeMap<String, Entry>| {
        entries
            .iter()
            .map(|(id, entry)| (id.clone(), live(entry)))
            .collect::<BTreeMap<_, _>>()
    };
    Present {
        sections: fleet
            .sections
            .iter()
            .map(|(kind, entries)| (*kind, of(entries)))
            .collect(),
    }
}

fn present(text: &str) -> Present {
    present_of(&declared(text).fleet)
}

fn me() -> (Kind, String) {
    (Kind::Operator, "admin".into())
}

/// The plan in a few words: `+group.hall-3(parent)`.
fn plan(there: &Present, text: &str, rest: Rest) -> (Plan, String) {
    let declared = declared(text);
    let faults = references::check(there, &declared, rest);
    assert!(faults.is_empty(), "{faults:?}");
    let plan = diff::plan(there, &declared.fleet, rest, &me());
    let one = |change: &diff::Change| {
        let sign = match change.action {
            Action::Add => "+",
            Action::Change => "~",
            Action::Remove => "-",
        };
        let fields: Vec<_> = change.fields.iter().map(|field| field.field.as_str()).collect();
        let fields = match change.action {
            Action::Change => format!("({})", fields.join(",")),
            _ => String::new(),
        };
        format!("{sign}{}.{}{fields}", change.kind.word(), change.id)
    };
    let words = plan.changes.iter().map(one).collect::<Vec<_>>().join(" ");
    (plan, words)
}

#[test]
fn what_is_there_as_declared_needs_nothing_and_is_written_as_it_is_read() {
    let there = present(FLEET);
    let (same, words) = plan(&there, FLEET, Rest::Goes);
    assert_eq!((words.as_str(), same.unmanaged.len()), ("", 0));
    let written = write(&there);
    let (_, words) = plan(&there, &written, Rest::Goes);
    assert_eq!(words, "", "{written}");
    assert_eq!(present(&written), there);
}

#[test]
fn what_is_missing_is_made_in_the_order_of_what_names_what() {
    let (all, words) = plan(&Present::default(), FLEET, Rest::Stays);
    assert_eq!(
        words,
        "+type.pump +supplier.acme +group.berlin +group.old +group.hall-3 +template.group.hall-3 \
         +template.type.pump +query.ageing +rule.hot +operator.eve +integrator.erp"
    );
    let verbs: Vec<_> = all
        .changes
        .iter()
        .flat_map(steps::of)
        .map(|call| call.verb().1)
        .collect();
    assert_eq!(verbs.len(), 11, "{verbs:?}");
}

#[test]
fn a_difference_is_told_field_by_field() {
    let there = present(FLEET);
    for (from, to, expected) in [
        ("what pumps", "that pumps", "~type.pump(description)"),
        (r#""logs", "diagnose""#, r#""diagnose", "logs""#, ""),
        (r#""90s""#, r#""1m 30s""#, ""),
        (r#""90s""#, r#""2m""#, "~type.pump(command_deadline)"),
        ("commands_at_once = 5", "", "~type.pump(commands_at_once)"),
        (r#"{ "properties""#, r#"{"properties""#, ""),
        ("audit of March", "audit of May", ""),
        ("vetted = true", "vetted = false", "~supplier.acme(vetted)"),
        (r#"parent = "berlin""#, "", "~group.hall-3(parent)"),
        ("2.5", "2", "~template.type.pump(settings.limits)"),
        (
            r#""debug""#,
            r#""info""#,
            "~template.group.hall-3(settings.log.level)",
        ),
        ("priority = 10", "", "~template.group.hall-3(priority)"),
        ("threshold = 80", "threshold = 80.0", ""),
        (
            "threshold = 80",
            "threshold = 81\npoints = 3",
            "~rule.hot(points,threshold)",
        ),
        (
            r#"groups = ["berlin"]"#,
            r#"groups = ["old"]"#,
            "~operator.eve(grants)",
        ),
        ("registry/#", "monitoring/#", "~integrator.erp(events)"),
    ] {
        assert!(FLEET.contains(from), "{from}");
        let (_, words) = plan(&there, &FLEET.replace(from, to), Rest::Stays);
        assert_eq!(words, expected, "{from} → {to}");
    }
    let (_, words) = plan(
        &there,
        "[templates.type.pump]\n[templates.group.old]",
        Rest::Stays,
    );
    assert_eq!(
        words, "~template.type.pump(settings.heartbeat,settings.limits)",
        "an empty one is none"
    );
}

#[test]
fn what_is_not_named_stays_unless_it_is_to_go_and_then_only_in_sections_that_are_there() {
    let there = present(FLEET);
    let file = "[groups.berlin]\ndescription = \"the works\"\n[types]\n[suppliers]\n[operators]";
    let (kept, words) = plan(&there, file, Rest::Stays);
    assert_eq!((words.as_str(), kept.unmanaged.len()), ("", 5));
    let (gone, words) = plan(&there, file, Rest::Goes);
    assert_eq!(words, "-operator.eve -group.hall-3 -group.old -type.pump");
    assert_eq!(gone.unmanaged.len(), 1, "a supplier is never removed");
    let verbs: Vec<_> = gone
        .changes
        .iter()
        .flat_map(steps::of)
        .map(|call| call.verb().1)
        .collect();
    assert_eq!(
        verbs,
        [
            "put-person",
            "remove-group",
            "put-group",
            "remove-group",
            "deprecate-type"
        ]
    );
    // Whoever asks is not shut out for not being named.
    let admin = "[operators.admin]\nrole = \"admin\"";
    assert_eq!(plan(&present(admin), "[operators]", Rest::Goes).1, "");
    // Once is enough.
    let shut = "[operators.eve]\nrole = \"viewer\"\ndisabled = true\n[types.pump]\ndeprecated = true";
    assert_eq!(plan(&present(shut), "[operators]\n[types]", Rest::Goes).1, "");
}

#[test]
fn what_would_be_refused_is_said_before() {
    let mut there = present(FLEET);
    there
        .sections
        .get_mut(&Kind::Group)
        .unwrap()
        .get_mut("hall-3")
        .unwrap()
        .members = 3;
    let (plan_, _) = plan(&there, "[groups.hall-3]\nquery = \"site = rome\"", Rest::Stays);
    assert!(
        plan_.obstacles[0].contains("its 3 devices"),
        "{:?}",
        plan_.obstacles
    );
    let (plan_, _) = plan(&there, "[groups.old]\nquery = \"site = rome\"", Rest::Goes);
    assert!(
        plan_.obstacles[0].contains("`eve` has grants"),
        "{:?}",
        plan_.obstacles
    );
    assert!(
        plan_.obstacles[1].contains("its 3 devices"),
        "{:?}",
        plan_.obstacles
    );
    // The same file settles it.
    let (plan_, _) = plan(
        &there,
        "[groups.hall-3]\n[groups.old]\nquery = \"site = rome\"\n[operators]",
        Rest::Goes,
    );
    assert!(plan_.obstacles.is_empty(), "{:?}", plan_.obstacles);
}

#[test]
fn a_rule_of_another_metric_is_made_anew() {
    let there = present(FLEET);
    let (plan, _) = plan(
        &there,
        &FLEET.replace("\"temperature\"", "\"pressure\""),
        Rest::Stays,
    );
    let verbs: Vec<_> = plan
        .changes
        .iter()
        .flat_map(steps::of)
        .map(|call| call.verb().1)
        .collect();
    assert_eq!(verbs, ["remove-rule", "put-rule"]);
}

/// Each fault as `line path: message`.
fn faults(text: &str) -> Vec<String> {
    let faults = match read::read(text) {
        Err(faults) => faults,
        Ok(declared) => references::check(&present(FLEET), &declared, Rest::Goes),
    };
    faults
        .iter()
        .map(|fault| format!("{} {}: {}", fault.line, fault.path, fault.message))
        .collect()
}

#[test]
fn every_fault_is_named_with_its_line() {
    let text = r#"[types.pump]
description = 7
schema = "{"
colour = "red"
checks = ["burn-in", "fw=firmware-at-least:new"]

[groups]
hall-3 = "berlin"
"a/b" = {}

[groups.old]
query = "firmwear < 1.4"

[rules.hot]
comparison = "beside"

[rules.cold]
metric = "a b"
comparison = "below"
threshold = nan
points = -1

[operators.eve]
role = "king"
[[operators.eve.grants]]
role = "operator"
verbs = ["registry/fly"]
[[operators.kim.grants]]
role = "viewer"

[templates.site.berlin]
[templates.type.pump.settings]
a = 2026-01-01

[queries.x]
query = "site ="
[queries.X]
query = ""

[fleet]
"#;
    let found = faults(text);
    for expected in [
        "2 types.pump.description: this is a text, not 7",
        "3 types.pump.schema: this is no JSON",
        "4 types.pump.colour: there is no such field",
        "5 types.pump.checks: `burn-in`: a check is written as",
        "8 groups.hall-3: this is a table, not \"berlin\"",
        "9 groups.a/b: ",
        "12 groups.old.query: at character",
        "14 rules.hot: a rule has a `threshold`",
        "15 rules.hot.comparison: `beside` is none of above, below",
        "21 rules.cold.points: this is a whole number from 0 on, not -1",
        "24 operators.eve.role: `king` is none of viewer",
        "28 operators.kim.grants[0]: a grant names groups, verbs or commands",
        "31 templates.site: a template is for a type or a group",
        "32 templates.type.pump.settings: JSON has no times",
        "36 queries.x.query: at character",
        "35 queries.x: `X` is there already",
        "40 fleet: there is no such section",
    ] {
        assert!(
            found.iter().any(|fault| fault.starts_with(expected)),
            "{expected} in {found:#?}"
        );
    }
    assert_eq!(found.len(), 17, "{found:#?}");
    let no_toml = faults("[types.pump]\n\nschema = \n");
    assert!(no_toml.len() == 1 && no_toml[0].starts_with("3 :"), "{no_toml:?}");
    assert!(faults("types = 1")[0].starts_with("1 types: "));
}

#[test]
fn what_is_named_and_not_there_is_a_fault() {
    for (text, expected) in [
        (
            "[groups.x]\nparent = \"y\"",
            "2 groups.x.parent: there is no group `y`",
        ),
        // It would go.
        (
            "[groups.x]\nparent = \"berlin\"",
            "2 groups.x.parent: there is no group `berlin`",
        ),
        (
            "[groups.a]\nparent = \"b\"\n[groups.b]\nparent = \"a\"",
            "2 groups.a.parent: `a` would lie within itself",
        ),
        ("[groups.Berlin]", "1 groups.Berlin: `berlin` exists"),
        (
            "[templates.type.valve]",
            "1 templates.type.valve: there is no type `valve`",
        ),
        (
            "[queries.a]\nquery = \"@b\"",
            "2 queries.a.query: there is no query `b`",
        ),
        (
            "[queries.a]\nquery = \"site = x or @a\"",
            "2 queries.a.query: `a` would ask for itself",
        ),
        (
            "[operators.kim]\n[[operators.kim.grants]]\nrole = \"viewer\"\ngroups = [\"x\"]",
            "4 operators.kim.grants[0].groups: there is no group `x`",
        ),
    ] {
        let found = faults(text);
        assert!(
            found.iter().any(|fault| fault.starts_with(expected)),
            "{expected} in {found:?}"
        );
    }
}

#[test]
fn numbers_that_toml_does_not_have_are_written_as_json() {
    let text =
        "[types.pump]\n[templates.type.pump]\ndocument = '{\"big\":18446744073709551615,\"t\":{\"a\":[{}]}}'";
    let there = present(text);
    assert_eq!(present(&write(&there)), there);
}

const IDS: [&str; 5] = ["a", "b", "c", "d", "e"];

prop_compose! {
    /// Groups of which each may lie within any before it in a shuffled order, queries likewise, and what names them.
    fn fleet()(
        order in Just(IDS.to_vec()).prop_shuffle(),
        groups in prop::collection::vec(prop::option::of(0usize..5), 0..=5),
        queries in prop::collection::vec(prop::option::of(0usize..5), 0..=5),
        templates in prop::collection::vec((0usize..5, 0u32..3), 0..4),
        grants in prop::collection::vec(0usize..5, 0..4),
        metric in prop::option::of("[mn]"),
        deprecated in any::<bool>(),
    ) -> Fleet {
        let before = |n: usize, of: Option<usize>| of.filter(|of| *of < n).map(|of| order[of].to_owned());
        let count = groups.len();
        let mut fleet = Fleet::default();
        let mut put = |kind, id: String, entry| drop(fleet.sections.entry(kind).or_default().insert(id, entry));
        put(Kind::Type, "t".into(), Entry::Type(Type { deprecated, ..Type::default() }));
        for (n, parent) in groups.iter().enumerate() {
            let parent = before(n, *parent).unwrap_or_default();
            put(Kind::Group, order[n].into(), Entry::Group(Group { parent, ..Group::default() }));
        }
        for (n, named) in queries.iter().enumerate() {
            let query = before(n, *named).map(|named| format!("@{named}")).unwrap_or_default();
            put(Kind::Query, order[n].into(), Entry::Query(Query { query, ..Query::default() }));
        }
        for (group, priority) in templates.into_iter().filter(|(group, _)| *group < count) {
            let settings = serde_json::json!({"p": priority}).as_object().cloned().unwrap_or_default();
            put(Kind::Template, format!("group.{}", order[group]), Entry::Template(Template { priority, settings }));
        }
        for group in grants.into_iter().filter(|group| *group < count) {
            let grant = Grant { role: "operator".into(), groups: vec![order[group].into()], verbs: Vec::new(), commands: Vec::new() };
            let eve = Person { grants: vec![grant], ..Person::default() };
            put(Kind::Operator, order[group].into(), Entry::Person(eve));
        }
        if let Some(metric) = metric {
            put(Kind::Rule, "r".into(), Entry::Rule(Rule { metric, comparison: "above".into(), severity: "low".into(), response: "none".into(), points: 1, clear_points: 1, ..Rule::default() }));
        }
        for kind in Kind::ALL {
            fleet.sections.entry(kind).or_default();
        }
        fleet
    }
}

/// What the services would refuse of this state.
fn holds(there: &Present) -> Result<(), String> {
    let entries = |kind| -> BTreeMap<String, Entry> {
        there
            .of(kind)
            .map(|(id, live)| (id.clone(), live.entry.clone()))
            .collect()
    };
    let (groups, queries) = (entries(Kind::Group), entries(Kind::Query));
    for (id, entry) in &groups {
        let Entry::Group(group) = entry else { continue };
        if !group.parent.is_empty() && !groups.contains_key(&group.parent) {
            return Err(format!("{id} lies within nothing"));
        }
        if above(&groups, id).contains(id) {
            return Err(format!("{id} lies within itself"));
        }
    }
    for (id, entry) in &queries {
        let Entry::Query(query) = entry else { continue };
        // One that goes may be named for a moment by one that goes too; nobody is asked then.
        if query.query == format!("@{id}") {
            return Err(format!("{id} asks for itself"));
        }
    }
    for (id, _) in there.of(Kind::Template) {
        if id
            .strip_prefix("group.")
            .is_some_and(|group| !groups.contains_key(group))
        {
            return Err(format!("the template {id} is for nothing"));
        }
    }
    for (id, live) in there.of(Kind::Operator) {
        let Entry::Person(person) = &live.entry else {
            continue;
        };
        let mut granted = person.grants.iter().flat_map(|grant| &grant.groups);
        if !granted.all(|group| groups.contains_key(group)) {
            return Err(format!("{id} was granted nothing"));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn each_step_of_a_plan_is_one_that_the_services_take_and_its_end_is_the_file(
        from in fleet(), to in fleet(), interrupted in 0usize..20
    ) {
        let mut there = present_of(&from);
        for stop in [interrupted, usize::MAX] {
            let plan = diff::plan(&there, &to, Rest::Goes, &me());
            prop_assert!(plan.obstacles.is_empty(), "{:?}", plan.obstacles);
            for change in plan.changes.iter().take(stop) {
                let section = there.sections.entry(change.kind).or_default();
                match &change.after {
                    Some(entry) => drop(section.insert(
                        change.id.clone(),
                        Live { entry: entry.clone(), version: change.version + 1, members: 0 },
                    )),
                    None => drop(section.remove(&change.id)),
                }
                prop_assert_eq!(holds(&there), Ok(()), "after {:?} of {:?}", change, plan.changes);
                prop_assert!(!steps::of(change).is_empty());
            }
        }
        let again = diff::plan(&there, &to, Rest::Goes, &me());
        prop_assert!(again.changes.is_empty(), "{:?}", again.changes);
        let written = write(&there);
        prop_assert_eq!(read::read(&written).map(|read| diff::plan(&there, &read.fleet, Rest::Goes, &me()).changes), Ok(Vec::new()));
    }
}
