//! From entries to the requests that make them so.

use contract::{
    document,
    id::{Kind as Whose, ServiceName},
    v1::{
        self, Check, CommandNames, ConfigMode, ConfigScope, DeprecateType, PutConfigTemplate, PutGroup,
        PutPerson, PutQuery, PutRule, PutSupplier, PutType, RemoveConfigTemplate, RemoveGroup, RemoveQuery,
        RemoveRule,
    },
};

use super::{
    super::{commands::millis, types, words},
    entry::{Grant, Group, Kind, Person, Query, Rule, Supplier, Template, Type},
};

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Call {
    PutType(PutType),
    DeprecateType(DeprecateType),
    PutSupplier(PutSupplier),
    PutGroup(PutGroup),
    RemoveGroup(RemoveGroup),
    PutTemplate(PutConfigTemplate),
    RemoveTemplate(RemoveConfigTemplate),
    PutQuery(PutQuery),
    RemoveQuery(RemoveQuery),
    PutRule(PutRule),
    RemoveRule(RemoveRule),
    PutPerson(PutPerson),
}

impl Call {
    /// Whom it asks, and for what.
    pub(super) fn verb(&self) -> (ServiceName, &'static str) {
        use ServiceName::{Monitoring, Registry};
        match self {
            Call::PutType(_) => (Registry, "put-type"),
            Call::DeprecateType(_) => (Registry, "deprecate-type"),
            Call::PutSupplier(_) => (Registry, "put-supplier"),
            Call::PutGroup(_) => (Registry, "put-group"),
            Call::RemoveGroup(_) => (Registry, "remove-group"),
            Call::PutTemplate(_) => (Registry, "put-config-template"),
            Call::RemoveTemplate(_) => (Registry, "remove-config-template"),
            Call::PutQuery(_) => (Registry, "put-query"),
            Call::RemoveQuery(_) => (Registry, "remove-query"),
            Call::PutRule(_) => (Monitoring, "put-rule"),
            Call::RemoveRule(_) => (Monitoring, "remove-rule"),
            Call::PutPerson(_) => (Registry, "put-person"),
        }
    }
}

pub(super) fn put_type(id: &str, declared: &Type, expected_version: u64) -> PutType {
    let checks = declared
        .checks
        .iter()
        .filter_map(|check| types::check(check).ok());
    PutType {
        request_id: String::new(),
        type_id: id.to_owned(),
        description: declared.description.clone(),
        schema: declared.schema.clone(),
        checks: checks.collect::<Vec<Check>>(),
        expected_version,
        commands: declared.commands.clone(),
        signed_commands: declared.signed_commands.clone(),
        commands_within_ms: span(&declared.command_deadline),
        commands_at_once: declared.commands_at_once.unwrap_or_default(),
    }
}

pub(super) fn put_supplier(id: &str, declared: &Supplier, expected_version: u64) -> PutSupplier {
    PutSupplier {
        request_id: String::new(),
        supplier_id: id.to_owned(),
        name: Some(declared.name.clone()),
        contact: Some(declared.contact.clone()),
        vetted: Some(declared.vetted),
        note: declared.vetting_note.clone(),
        expected_version,
    }
}

pub(super) fn put_group(id: &str, declared: &Group, expected_version: u64) -> PutGroup {
    PutGroup {
        request_id: String::new(),
        group_id: id.to_owned(),
        description: Some(declared.description.clone()),
        expected_version,
        query: Some(declared.query.clone()),
        parent: Some(declared.parent.clone()),
        commands: Some(names(&declared.commands)),
        signed_commands: Some(names(&declared.signed_commands)),
        commands_within_ms: Some(span(&declared.command_deadline)),
        commands_at_once: Some(declared.commands_at_once.unwrap_or_default()),
    }
}

/// A time as it is declared, in milliseconds; none: 0.
fn span(text: &str) -> u64 {
    humantime::parse_duration(text).map_or(0, millis)
}

fn names(names: &[String]) -> CommandNames {
    CommandNames {
        names: names.to_vec(),
    }
}

/// `type.pump` in two.
fn whose(id: &str) -> (ConfigScope, &str) {
    let (scope, id) = id.split_once('.').unwrap_or_default();
    (words::find(scope).unwrap_or_default(), id)
}

pub(super) fn put_template(id: &str, declared: &Template, expected_version: u64) -> PutConfigTemplate {
    let (scope, id) = whose(id);
    PutConfigTemplate {
        request_id: String::new(),
        scope: scope.into(),
        id: id.to_owned(),
        mode: ConfigMode::Replace.into(),
        document: document::to_text(&declared.settings),
        // A type has none; what is said of it all the same is refused.
        priority: (scope == ConfigScope::Group || declared.priority != 0).then_some(declared.priority),
        expected_version,
    }
}

pub(super) fn remove_template(id: &str, expected_version: u64) -> RemoveConfigTemplate {
    let (scope, id) = whose(id);
    RemoveConfigTemplate {
        request_id: String::new(),
        scope: scope.into(),
        id: id.to_owned(),
        expected_version,
    }
}

pub(super) fn put_query(id: &str, declared: &Query, expected_version: u64) -> PutQuery {
    PutQuery {
        request_id: String::new(),
        query_id: id.to_owned(),
        r#where: declared.query.clone(),
        description: declared.description.clone(),
        expected_version,
    }
}

pub(super) fn rule(id: &str, declared: &Rule) -> v1::Rule {
    v1::Rule {
        rule_id: id.to_owned(),
        version: 0,
        metric: declared.metric.clone(),
        comparison: words::find::<v1::Comparison>(&declared.comparison).map_or(0, Into::into),
        threshold: declared.threshold,
        points_to_raise: declared.points,
        points_to_clear: declared.clear_points,
        severity: words::find::<v1::Severity>(&declared.severity).map_or(0, Into::into),
        response: words::find::<v1::Response>(&declared.response).map_or(0, Into::into),
    }
}

pub(super) fn put_rule(id: &str, declared: &Rule, expected_version: u64) -> PutRule {
    PutRule {
        request_id: String::new(),
        rule: Some(rule(id, declared)),
        expected_version,
    }
}

pub(super) fn grant(declared: &Grant) -> v1::Grant {
    v1::Grant {
        role: words::find::<v1::Role>(&declared.role).map_or(0, Into::into),
        groups: declared.groups.clone(),
        verbs: declared.verbs.clone(),
        commands: declared.commands.clone(),
    }
}

pub(super) fn put_person(kind: Kind, id: &str, declared: &Person, expected_version: u64) -> PutPerson {
    let whose = match kind {
        Kind::Integrator => Whose::Integrator,
        _ => Whose::Operator,
    };
    PutPerson {
        request_id: String::new(),
        id: id.to_owned(),
        kind: whose.word().to_owned(),
        role: words::find::<v1::Role>(&declared.role).map_or(0, Into::into),
        event_filters: declared.events.clone(),
        disabled: declared.disabled,
        expected_version,
        data_devices: declared.data.clone(),
        grants: declared.grants.iter().map(grant).collect(),
    }
}
