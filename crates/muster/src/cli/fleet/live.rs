//! What there is, read from the services.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use client::Client;
use contract::{
    document,
    id::{Kind as Whose, ServiceName},
    v1::{
        self, ConfigTemplate, ConfigTemplatesListed, DeviceType, GroupsListed, ListConfigTemplates,
        ListGroups, ListQueries, ListRules, ListSuppliers, ListTypes, QueriesListed, RulesListed, SavedQuery,
        SuppliersListed, TypesListed,
    },
};

use super::{
    super::{list::Page, rule as command_rule, types, whole, words::say},
    entry::{
        Entry, Fleet, Grant, Group, Kind, Live, Person, Present, Query, Rule, Supplier, Template, Type, some,
    },
    read::{compact, sorted},
};

type Entries = BTreeMap<String, Live>;

/// The kinds that a file speaks of, and those that what it speaks of may name.
pub(super) fn needed(wanted: &Fleet) -> BTreeSet<Kind> {
    let mut kinds: BTreeSet<Kind> = wanted.sections.keys().copied().collect();
    if kinds.contains(&Kind::Template) {
        kinds.extend([Kind::Type, Kind::Group]);
    }
    if kinds.contains(&Kind::Operator) {
        kinds.insert(Kind::Group);
    }
    // Groups that go must be granted to nobody.
    if wanted.sections.contains_key(&Kind::Group) {
        kinds.insert(Kind::Operator);
    }
    kinds
}

/// Reads these kinds.
pub(super) async fn present(client: &Client, kinds: &BTreeSet<Kind>) -> Result<Present> {
    let mut present = Present::default();
    for kind in kinds {
        let entries = match kind {
            Kind::Type => types(client).await,
            Kind::Supplier => suppliers(client).await,
            Kind::Group => groups(client).await,
            Kind::Template => templates(client).await,
            Kind::Query => queries(client).await,
            Kind::Rule => rules(client).await,
            Kind::Operator => people(client, Whose::Operator).await,
            Kind::Integrator => people(client, Whose::Integrator).await,
        };
        let what = || format!("the {} of the fleet cannot be read", kind.section());
        present
            .sections
            .insert(*kind, entries.map_err(|error| error.context(what()))?);
    }
    Ok(present)
}

macro_rules! listed {
    ($client:expr, $service:ident/$verb:literal, $request:ident, $reply:ident.$items:ident) => {
        whole::all(
            $client,
            (ServiceName::$service, $verb),
            |Page { size, token }| $request {
                page_size: size,
                page: token,
                ..$request::default()
            },
            |reply: $reply| (reply.$items, reply.next_page),
        )
        .await?
        .into_iter()
    };
}

fn live(entry: Entry, version: u64) -> Live {
    Live {
        entry,
        version,
        members: 0,
    }
}

async fn types(client: &Client) -> Result<Entries> {
    let each = |kind: DeviceType| {
        let entry = Type {
            schema: compact(&kind.schema).unwrap_or(kind.schema),
            checks: kind.checks.iter().map(types::word).collect(),
            description: kind.description,
            commands: sorted(kind.commands),
            signed_commands: sorted(kind.signed_commands),
            command_deadline: command_rule::deadline(kind.commands_within_ms),
            commands_at_once: some(kind.commands_at_once),
            deprecated: kind.deprecated,
        };
        (kind.type_id, live(Entry::Type(entry), kind.version))
    };
    Ok(listed!(client, Registry / "types", ListTypes, TypesListed.types)
        .map(each)
        .collect())
}

async fn suppliers(client: &Client) -> Result<Entries> {
    let each = |supplier: v1::Supplier| {
        let entry = Supplier {
            name: supplier.name,
            contact: supplier.contact,
            vetted: supplier.vetted,
            vetting_note: supplier.vetting_note,
        };
        (
            supplier.supplier_id,
            live(Entry::Supplier(entry), supplier.version),
        )
    };
    let all = listed!(
        client,
        Registry / "suppliers",
        ListSuppliers,
        SuppliersListed.suppliers
    );
    Ok(all.map(each).collect())
}

async fn groups(client: &Client) -> Result<Entries> {
    let each = |group: v1::Group| {
        let entry = Group {
            description: group.description,
            parent: group.parent,
            query: group.query,
            commands: sorted(group.commands),
            signed_commands: sorted(group.signed_commands),
            command_deadline: command_rule::deadline(group.commands_within_ms),
            commands_at_once: some(group.commands_at_once),
        };
        let live = Live {
            members: group.members,
            ..live(Entry::Group(entry), group.version)
        };
        (group.group_id, live)
    };
    Ok(
        listed!(client, Registry / "groups", ListGroups, GroupsListed.groups)
            .map(each)
            .collect(),
    )
}

async fn templates(client: &Client) -> Result<Entries> {
    let each = |template: ConfigTemplate| {
        let entry = Template {
            priority: template.priority,
            settings: document::from_text(&template.document),
        };
        let id = format!("{}.{}", say(template.scope()), template.id);
        (id, live(Entry::Template(entry), template.version))
    };
    let all = listed!(
        client,
        Registry / "config-templates",
        ListConfigTemplates,
        ConfigTemplatesListed.templates
    );
    Ok(all.map(each).collect())
}

async fn queries(client: &Client) -> Result<Entries> {
    let each = |query: SavedQuery| {
        let entry = Query {
            query: query.r#where,
            description: query.description,
        };
        (query.query_id, live(Entry::Query(entry), query.version))
    };
    Ok(
        listed!(client, Registry / "queries", ListQueries, QueriesListed.queries)
            .map(each)
            .collect(),
    )
}

async fn rules(client: &Client) -> Result<Entries> {
    let each = |rule: v1::Rule| {
        let entry = Rule {
            comparison: say(rule.comparison()),
            severity: say(rule.severity()),
            response: say(rule.response()),
            metric: rule.metric,
            threshold: rule.threshold,
            points: rule.points_to_raise,
            clear_points: rule.points_to_clear,
        };
        (rule.rule_id, live(Entry::Rule(entry), rule.version))
    };
    Ok(
        listed!(client, Monitoring / "rules", ListRules, RulesListed.rules)
            .map(each)
            .collect(),
    )
}

async fn people(client: &Client, whose: Whose) -> Result<Entries> {
    let people = whole::people(client).await?;
    let these = people.into_iter().filter(|person| person.kind == whose.word());
    Ok(these.map(person).collect())
}

fn person(person: v1::Person) -> (String, Live) {
    let grant = |grant: &v1::Grant| Grant {
        role: say(grant.role()),
        groups: sorted(grant.groups.clone()),
        verbs: sorted(grant.verbs.clone()),
        commands: sorted(grant.commands.clone()),
    };
    let entry = Person {
        role: say(person.role()),
        grants: person.grants.iter().map(grant).collect(),
        events: sorted(person.event_filters),
        data: sorted(person.data_devices),
        disabled: person.disabled,
    };
    (person.id, live(Entry::Person(entry), person.version))
}
