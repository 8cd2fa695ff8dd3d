//! What can be said of a declaration by itself, before anybody asks for it: the verbs' own rules, without the records.
//! Each function names all that is wrong, with the request's field.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    slice,
};

use contract::{
    Refusal,
    document::{self, DOCUMENT_BYTES, Form},
    v1::{
        CommandNames, ConfigScope, Criticality, Device, Grant, PutConfigTemplate, PutGroup, PutPerson,
        PutQuery, PutSupplier, PutType, RegisterDevice,
    },
};
use service::Fault;

use crate::{
    choice, command, config,
    decide::{put_person, put_type, register},
    field,
    language::{Query, Surroundings},
    policy, schema,
};

/// A type of device.
pub fn device_type(m: &PutType) -> Vec<Refusal> {
    let checks = m.checks.iter().map(slice::from_ref).map(put_type::checks);
    let names = put_type::checks(&m.checks);
    let mut found = faults([
        policy::id("type_id", &m.type_id).map(drop),
        policy::text("description", &m.description),
        schema::parse(&m.schema).map(drop),
        put_type::commands(m.commands.clone()).map(drop),
        put_type::signed_commands(m.signed_commands.clone()).map(drop),
        command::rule_within(m.commands_within_ms).map(drop),
        command::rule_at_once(m.commands_at_once).map(drop),
    ]);
    let each = faults(checks);
    // What is wrong with all of them together is told when each of them is right.
    found.extend(if each.is_empty() { faults([names]) } else { each });
    found
}

/// A supplier.
pub fn supplier(m: &PutSupplier) -> Vec<Refusal> {
    let text = |field, value: &Option<String>| policy::text(field, value.as_deref().unwrap_or_default());
    faults([
        policy::id("supplier_id", &m.supplier_id).map(drop),
        text("name", &m.name),
        text("contact", &m.contact),
        policy::text("note", &m.note),
    ])
}

/// A group.
pub fn group(m: &PutGroup) -> Vec<Refusal> {
    let query = m.query.as_deref().filter(|query| !query.is_empty());
    let parent = m.parent.as_deref().filter(|parent| !parent.is_empty());
    let names = |said: &Option<CommandNames>| said.clone().unwrap_or_default().names;
    faults([
        policy::id("group_id", &m.group_id).map(drop),
        policy::text("description", m.description.as_deref().unwrap_or_default()),
        put_type::commands(names(&m.commands)).map(drop),
        put_type::signed_commands(names(&m.signed_commands)).map(drop),
        command::rule_within(m.commands_within_ms.unwrap_or_default()).map(drop),
        command::rule_at_once(m.commands_at_once.unwrap_or_default()).map(drop),
        query.map_or(Ok(()), |query| {
            let at_query = |refusal: Refusal| refusal.at("query");
            Query::parse_lasting(query).map(drop).map_err(at_query)
        }),
        parent.map_or(Ok(()), |parent| policy::id("parent", parent).map(drop)),
    ])
}

/// The settings of a type or a group.
pub fn template(m: &PutConfigTemplate) -> Vec<Refusal> {
    let scope = choice::required::<ConfigScope>("scope", m.scope);
    faults([
        policy::id("id", &m.id).map(drop),
        document::parse("document", &m.document, Form::Document, DOCUMENT_BYTES).map(drop),
        scope.and_then(|scope| config::priority(scope, m.priority)),
    ])
}

/// A query, and the queries that it names.
pub fn query(m: &PutQuery) -> (Vec<Refusal>, BTreeSet<String>) {
    let named = RefCell::new(BTreeSet::new());
    let around = Surroundings {
        now_ms: 0,
        saved: &|name| {
            named.borrow_mut().insert(name.to_owned());
            Ok("has id".to_owned())
        },
        below: &|group| Ok(BTreeSet::from([group.to_owned()])),
    };
    let read = Query::parse(&m.r#where, &around)
        .map(drop)
        .map_err(|fault| match fault {
            Fault::Refused(refusal) => refusal,
            other => Refusal::invalid("where", other.to_string()),
        });
    let found = faults([
        policy::id("query_id", &m.query_id).map(drop),
        policy::text("description", &m.description),
        read,
    ]);
    (found, named.into_inner())
}

/// What a row says of a device, by field and in the words in which [`crate::written`] tells it, and all that is wrong
/// with it. An empty text is a field that is to be removed.
pub fn row(m: &RegisterDevice) -> (BTreeMap<String, String>, Vec<Refusal>) {
    let criticality = choice::optional::<Criticality>("criticality", m.criticality);
    let said = criticality.and_then(|criticality| register::fields(m.clone(), criticality));
    let mut found = faults([
        policy::id("device_id", &m.device_id).map(drop),
        policy::groups(&m.groups).map(drop),
        config::read_settings(&m.settings).map(drop),
        said.clone().map(drop),
    ]);
    let mut all = said.unwrap_or_default();
    let removed = m.fields.iter().filter(|(_, text)| text.is_empty());
    all.extend(removed.map(|(name, text)| (name.clone(), text.clone())));
    let mut device = Device::default();
    found.extend(faults(all.iter().map(|(name, text)| {
        field::write(&mut device, &BTreeMap::from([(name.clone(), text.clone())]))
    })));
    let written = field::written(&device);
    let words = |name: String| {
        let text = written.get(&name).cloned().unwrap_or_default();
        (name, text)
    };
    (all.into_keys().map(words).collect(), found)
}

/// An operator or an integrator; [`grant`] judges each grant.
pub fn person(m: &PutPerson) -> Vec<Refusal> {
    let filters = policy::event_filters(&m.event_filters).map(drop);
    let devices = policy::data_devices(&m.data_devices).map(drop);
    let found = faults([filters, devices]);
    match found.is_empty() && m.grants.iter().all(|one| grant(one).is_none()) {
        true => faults([put_person::read(m.clone()).map(drop)]),
        false => found,
    }
}

/// What is wrong with a grant.
pub fn grant(grant: &Grant) -> Option<Refusal> {
    policy::grants(slice::from_ref(grant)).err()
}

fn faults(results: impl IntoIterator<Item = Result<(), Refusal>>) -> Vec<Refusal> {
    results.into_iter().filter_map(Result::err).collect()
}
