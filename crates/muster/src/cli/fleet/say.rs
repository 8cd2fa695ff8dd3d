//! A plan as a person reads it.

use anyhow::Result;
use serde_json::Value;

use super::{
    super::{Global, print},
    diff::{Action, Change, FieldChange, Plan, Unmanaged},
    entry::is_empty,
};

/// Prints the plan: a document, or the changes field by field.
pub(super) fn plan(global: &Global, plan: &Plan) -> Result<()> {
    if global.json {
        let mut document = serde_json::to_value(plan)?;
        document["digest"] = Value::String(plan.digest());
        return print::json(&document);
    }
    for change in &plan.changes {
        self::change(change)?;
    }
    for obstacle in &plan.obstacles {
        print::line(format!("! {}", print::clean(obstacle)))?;
    }
    print::line(summary(plan))
}

fn change(change: &Change) -> Result<()> {
    let sign = match change.action {
        Action::Add => '+',
        Action::Change => '~',
        Action::Remove => '-',
    };
    print::line(format!("{sign} {}{}", name(change), remark(change)))?;
    if change.action == Action::Remove && change.after.is_none() {
        return Ok(());
    }
    let width = change
        .fields
        .iter()
        .map(|field| field.field.len())
        .max()
        .unwrap_or_default();
    for field in &change.fields {
        let shown = shown(change.action, field);
        print::line(format!(
            "    {:width$}  {}",
            print::clean(&field.field),
            print::clean(&shown)
        ))?;
    }
    Ok(())
}

/// `group hall-3`
pub(super) fn name(change: &Change) -> String {
    format!("{} {}", change.kind.word(), change.id)
}

fn remark(change: &Change) -> &'static str {
    let is_metric = |field: &FieldChange| field.field == "metric" && change.action == Action::Change;
    match (change.action, change.kind.word()) {
        (Action::Remove, "type") => " (is deprecated)",
        (Action::Remove, "operator" | "integrator") => " (is shut out)",
        (_, "rule") if change.fields.iter().any(is_metric) => " (made anew; its alerts are cleared)",
        _ => "",
    }
}

fn shown(action: Action, field: &FieldChange) -> String {
    match action {
        Action::Add => value(&field.after),
        _ => format!("{} → {}", value(&field.before), value(&field.after)),
    }
}

fn value(value: &Value) -> String {
    match value {
        empty if is_empty(empty) && !empty.is_boolean() => "(none)".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(item).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn item(value: &Value) -> String {
    let list = |name: &str| {
        let items = value[name].as_array().into_iter().flatten();
        items.filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
    };
    match (value, value["role"].as_str()) {
        (Value::String(text), _) => text.clone(),
        (_, Some(role)) => format!("{role} [{}] [{}]", list("groups"), list("verbs")),
        (other, None) => other.to_string(),
    }
}

fn summary(plan: &Plan) -> String {
    let left = match plan.unmanaged.len() {
        0 => String::new(),
        _ => format!(
            "; not in the file, and left alone: {}",
            unmanaged(&plan.unmanaged)
        ),
    };
    if plan.changes.is_empty() {
        return format!("the fleet is as the file says{left}");
    }
    let [add, change, remove] =
        [Action::Add, Action::Change, Action::Remove].map(|action| plan.count(action));
    format!(
        "{add} to add, {change} to change, {remove} to remove{left}\nplan {}",
        plan.digest()
    )
}

/// A few of them by name.
fn unmanaged(all: &[Unmanaged]) -> String {
    const NAMED: usize = 8;
    let names = all
        .iter()
        .take(NAMED)
        .map(|one| format!("{} {}", one.kind.word(), one.id));
    let named = names.collect::<Vec<_>>().join(", ");
    match all.len().checked_sub(NAMED) {
        None | Some(0) => named,
        Some(more) => format!("{named}, and {more} more"),
    }
}
