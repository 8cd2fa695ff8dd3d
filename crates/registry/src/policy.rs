//! The bounds of what callers may say.

use std::collections::{BTreeMap, BTreeSet};

use contract::{
    Code, Id, Refusal, Root, grant,
    id::{Kind, ServiceName},
    limits::{ENTRIES_MAX, GROUPS_MAX, KEY_CHARS, TEXT_CHARS, VALUE_CHARS},
    login,
    text::misleads,
    v1::{Component, Grant, Location, Role},
    verb::{EventKind, VERBS, Verb},
};

use crate::choice;

/// All attributes of one device together, so that its record and its events fit the store's 64 KiB
/// even when JSON escapes every character.
pub(crate) const ATTRIBUTES_BYTES: usize = 16 * 1024;
/// Rows of one request.
pub(crate) const ROWS_MAX: usize = 500;
/// Event filters of one person.
pub(crate) const FILTERS_MAX: usize = 32;
/// Grants of one person: their fact and their event fit a record.
const GRANTS_MAX: usize = 16;
/// Groups, verbs, and commands of one grant.
const GRANTED_MAX: usize = 16;
/// Longest wait for a retiring device's receipt: a year.
pub(crate) const RETIRE_WAIT_MAX_MS: u64 = 365 * 24 * 3_600_000;

/// Longest time that an offer to another owner is open.
const TRANSFER_LIFETIME_MAX_MS: i64 = 90 * 86_400_000;

/// An id.
pub(crate) fn id(field: &str, text: &str) -> Result<Id, Refusal> {
    text.parse()
        .map_err(|e: contract::id::BadId| Refusal::invalid(field, e.to_string()))
}

/// One line of free text.
pub(crate) fn text(field: &str, text: &str) -> Result<(), Refusal> {
    bounded(field, text, TEXT_CHARS)?;
    if text.contains(misleads) {
        return Err(Refusal::invalid(
            field,
            "this is one line, without characters that steer a terminal or turn the direction of writing",
        ));
    }
    Ok(())
}

/// A reason that must be given.
pub(crate) fn reason(reason: &str) -> Result<(), Refusal> {
    if reason.is_empty() {
        return Err(Refusal::invalid("reason", "say why; it is part of the record"));
    }
    text("reason", reason)
}

/// Several lines of free text, by field.
pub(crate) fn texts(fields: &[(&str, &str)]) -> Result<(), Refusal> {
    fields.iter().try_for_each(|(field, value)| text(field, value))
}

/// A list with an end, and for requests that name things, with a beginning.
pub(crate) fn rows(field: &str, len: usize) -> Result<(), Refusal> {
    match len {
        0 => Err(Refusal::invalid(field, format!("`{field}` is empty"))),
        n if n > ROWS_MAX => Err(too_many(field, n, ROWS_MAX)),
        _ => Ok(()),
    }
}

/// A list with an end.
pub(crate) fn list(field: &str, len: usize, most: usize) -> Result<(), Refusal> {
    if len > most {
        Err(too_many(field, len, most))
    } else {
        Ok(())
    }
}

/// The groups that a device is to join, without repeats.
pub(crate) fn groups(names: &[String]) -> Result<BTreeSet<Id>, Refusal> {
    if names.len() > GROUPS_MAX {
        return Err(too_many("groups", names.len(), GROUPS_MAX));
    }
    names.iter().map(|name| id("groups", name)).collect()
}

/// Coordinates that are on this planet.
pub(crate) fn location(location: &Location) -> Result<(), Refusal> {
    text("location.place", &location.place)?;
    let within = |field, degrees: f64, bound: f64| {
        if degrees.is_finite() && degrees.abs() <= bound {
            return Ok(());
        }
        let message = format!("a {field} lies between -{bound} and {bound} degrees");
        Err(Refusal::invalid(format!("location.{field}"), message))
    };
    within("latitude", location.latitude, 90.0)?;
    within("longitude", location.longitude, 180.0)
}

/// The attributes of one report.
pub(crate) fn attributes(attributes: &BTreeMap<String, String>) -> Result<(), Refusal> {
    if attributes.len() > ENTRIES_MAX {
        return Err(too_many("attributes", attributes.len(), ENTRIES_MAX));
    }
    attributes
        .iter()
        .try_for_each(|(key, value)| attribute(key, value))
}

/// A device's components, those of one report or all.
pub(crate) fn components(components: &[Component]) -> Result<(), Refusal> {
    if components.len() > ENTRIES_MAX {
        return Err(too_many("components", components.len(), ENTRIES_MAX));
    }
    components.iter().try_for_each(|component| {
        let (name, version) = (&component.name, &component.version);
        if name.is_empty() {
            return Err(Refusal::invalid("components", "a component has a name"));
        }
        for value in [name, version] {
            text("components", value)?;
            bounded("components", value, KEY_CHARS)?;
        }
        Ok(())
    })
}

/// All attributes of one device, after a report was merged.
pub(crate) fn attributes_in_all(attributes: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let bytes: usize = attributes
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    let message = if attributes.len() > ENTRIES_MAX {
        format!(
            "the device would have {} attributes, the limit is {ENTRIES_MAX}",
            attributes.len()
        )
    } else if bytes > ATTRIBUTES_BYTES {
        format!("the device's attributes would have {bytes} bytes, the limit is {ATTRIBUTES_BYTES}")
    } else {
        return Ok(());
    };
    let message = format!("{message}; remove some by giving them an empty value");
    Err(Refusal::new(Code::Limit, message).at("attributes"))
}

/// What a device says it has erased.
pub(crate) fn receipt(erased: &[String]) -> Result<(), Refusal> {
    if erased.len() > ENTRIES_MAX {
        return Err(too_many("erased", erased.len(), ENTRIES_MAX));
    }
    erased.iter().try_for_each(|what| {
        text("erased", what)?;
        bounded("erased", what, KEY_CHARS)
    })
}

/// Devices whose data somebody may read, without repeats.
pub(crate) fn data_devices(devices: &[String]) -> Result<Vec<String>, Refusal> {
    if devices.len() > FILTERS_MAX {
        return Err(too_many("data_devices", devices.len(), FILTERS_MAX));
    }
    let (root, mut kept) = (Root::default(), Vec::new());
    for device in devices {
        if root.data_grant(device).is_none() {
            let message = "say a device's id, or `+` for all devices";
            return Err(Refusal::invalid("data_devices", message));
        }
        if !kept.contains(device) {
            kept.push(device.clone());
        }
    }
    Ok(kept)
}

/// MQTT filters below `events/`, without repeats.
pub(crate) fn event_filters(filters: &[String]) -> Result<Vec<String>, Refusal> {
    if filters.len() > FILTERS_MAX {
        return Err(too_many("event_filters", filters.len(), FILTERS_MAX));
    }
    let (root, mut kept) = (Root::default(), Vec::new());
    for filter in filters {
        let parses = !filter.is_empty() && !filter.contains(misleads);
        if !parses || root.event_grant(filter).is_none() {
            let message = "an event filter is an MQTT filter below `events/`, for example `registry/#`";
            return Err(Refusal::invalid("event_filters", message));
        }
        if !filter.parse().is_ok_and(|filter| EventKind::any(&filter)) {
            let message = format!(
                "no event is for `{filter}`: a filter begins with the service, as in `registry/devices/#`; docs/topics.md has \
                 all events"
            );
            return Err(Refusal::invalid("event_filters", message));
        }
        if !kept.contains(filter) {
            kept.push(filter.clone());
        }
    }
    Ok(kept)
}

/// What an operator is granted besides a role for the whole fleet.
pub(crate) fn grants(grants: &[Grant]) -> Result<(), Refusal> {
    list("grants", grants.len(), GRANTS_MAX)?;
    for grant in grants {
        choice::required::<Role>("grants.role", grant.role)?;
        list("grants.groups", grant.groups.len(), GRANTED_MAX)?;
        list("grants.verbs", grant.verbs.len(), GRANTED_MAX)?;
        for group in &grant.groups {
            id("grants.groups", group)?;
        }
        for pattern in &grant.verbs {
            granted_verb(grant.role(), pattern)?;
        }
        granted_commands(grant)?;
        if grant.groups.is_empty() && grant.verbs.is_empty() && grant.commands.is_empty() {
            let message = "a grant names groups, verbs or commands; a role for the whole fleet and all its verbs is `role`";
            return Err(Refusal::invalid("grants", message));
        }
    }
    Ok(())
}

/// Commands for whoever orders any.
fn granted_commands(grant: &Grant) -> Result<(), Refusal> {
    let field = "grants.commands";
    list(field, grant.commands.len(), GRANTED_MAX)?;
    for command in &grant.commands {
        id(field, command)?;
    }
    let orders = |verb: &&Verb| {
        let names = ["command-run", "job-run"];
        verb.service == ServiceName::Registry && names.contains(&verb.name) && grant::opens(grant, verb)
    };
    if grant.commands.is_empty() || VERBS.iter().any(|verb| orders(&verb)) {
        return Ok(());
    }
    let message = "a grant that names commands has a role that orders them, and `registry/command-run` or `registry/job-run`";
    Err(Refusal::invalid(field, message))
}

/// A verb that the role has.
fn granted_verb(role: Role, pattern: &str) -> Result<(), Refusal> {
    let mut named = VERBS.iter().filter(|verb| grant::names(pattern, verb)).peekable();
    let field = "grants.verbs";
    if named.peek().is_none() {
        let message = format!("`{pattern}` is no verb; say `registry/suspend`, or `registry/*`");
        return Err(Refusal::invalid(field, message));
    }
    if !named.any(|verb| verb.allows(role)) {
        let message = format!("the role {} has no verb `{pattern}`", role.words());
        return Err(Refusal::invalid(field, message));
    }
    Ok(())
}

/// The two kinds of people.
pub(crate) fn person_kind(word: &str) -> Result<Kind, Refusal> {
    let kind = Kind::from_word(word).filter(|kind| matches!(kind, Kind::Operator | Kind::Integrator));
    kind.ok_or_else(|| {
        let allowed = [Kind::Operator, Kind::Integrator].map(Kind::word);
        Refusal::invalid("kind", "a person is one of `operators` or `integrators`").allowing(allowed)
    })
}

/// How long a retiring device is waited for.
pub(crate) fn retire_wait(asked_ms: u64, configured_ms: u64) -> Result<i64, Refusal> {
    let wait = if asked_ms == 0 {
        configured_ms.min(RETIRE_WAIT_MAX_MS)
    } else {
        asked_ms
    };
    if wait > RETIRE_WAIT_MAX_MS {
        let message = format!("a device is waited for up to a year ({RETIRE_WAIT_MAX_MS} ms)");
        return Err(Refusal::invalid("wait_ms", message));
    }
    i64::try_from(wait).map_err(|_| Refusal::invalid("wait_ms", "the wait is too long"))
}

/// How long a token lasts from now, at most so many milliseconds.
pub(crate) fn token_lifetime(expires_ms: i64, now_ms: i64, most_ms: u64) -> Result<(), Refusal> {
    let most_ms = i64::try_from(most_ms)
        .unwrap_or(i64::MAX)
        .min(login::TOKEN_LIFETIME_MAX_MS);
    match expires_ms.checked_sub(now_ms) {
        Some(..1_000) => Err(Refusal::invalid("expires_ms", "a token lasts a second at least")),
        Some(lasts_ms) if lasts_ms <= most_ms => Ok(()),
        _ => {
            let message = format!("a token lasts {} at most", in_words(most_ms));
            Err(Refusal::invalid("expires_ms", message))
        }
    }
}

/// How long an offer to another owner is open: two parties agree within a quarter of a year, or begin again.
pub(crate) fn transfer_lifetime(expires_ms: i64, now_ms: i64) -> Result<(), Refusal> {
    match expires_ms.checked_sub(now_ms) {
        Some(1_000..=TRANSFER_LIFETIME_MAX_MS) => Ok(()),
        Some(..1_000) => Err(Refusal::invalid(
            "expires_ms",
            "an offer is open for a second at least",
        )),
        _ => Err(Refusal::invalid(
            "expires_ms",
            "an offer is open for 90 days at most",
        )),
    }
}

/// A time in the largest unit of which it is several.
fn in_words(ms: i64) -> String {
    let units = [
        (86_400_000, "days"),
        (3_600_000, "hours"),
        (60_000, "minutes"),
        (1_000, "seconds"),
    ];
    let whole = units.into_iter().find(|(unit, _)| ms % unit == 0 && ms > *unit);
    let (unit, name) = whole.unwrap_or((1, "ms"));
    format!("{} {name}", ms / unit)
}

/// An expected version, where one was given.
pub(crate) fn version(what: &str, expected: u64, present: u64) -> Result<(), Refusal> {
    if expected != 0 && expected != present {
        return Err(Refusal::stale(what, expected, present));
    }
    Ok(())
}

/// An attribute of any scope.
pub(crate) fn attribute(key: &str, value: &str) -> Result<(), Refusal> {
    let field = "attributes";
    bounded(field, key, KEY_CHARS)?;
    bounded(field, value, VALUE_CHARS)?;
    if key.is_empty() || key.contains(misleads) {
        let message = "an attribute's key has at least one character, and none that steers a terminal or turns the direction";
        return Err(Refusal::invalid(field, message));
    }
    if value.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')) {
        let message = format!("the attribute `{key}` has control characters other than newline and tab");
        return Err(Refusal::invalid(field, message));
    }
    Ok(())
}

fn bounded(field: &str, text: &str, chars: usize) -> Result<(), Refusal> {
    // Bytes bound characters from above, so the usual text is not counted.
    if text.len() <= chars {
        return Ok(());
    }
    match text.chars().count() {
        n if n <= chars => Ok(()),
        n => Err(Refusal::new(
            Code::TooLarge,
            format!("{n} characters where {chars} are the limit"),
        )
        .at(field)),
    }
}

fn too_many(field: &str, n: usize, limit: usize) -> Refusal {
    Refusal::new(
        Code::TooLarge,
        format!("`{field}` has {n} entries, the limit is {limit}"),
    )
    .at(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(latitude: f64, longitude: f64) -> Location {
        Location {
            place: "hall-3".into(),
            latitude,
            longitude,
        }
    }

    #[test]
    fn a_token_lasts_as_long_as_is_set_and_never_longer_than_any_may() {
        const HOUR: i64 = 3_600_000;
        for (lasts_ms, most_ms, expected) in [
            (HOUR, 3_600_000, None),
            (HOUR + 1, 3_600_000, Some("60 minutes at most")),
            (HOUR, 90_000, Some("90 seconds at most")),
            (999, 90_000, Some("a second at least")),
            (31 * 24 * HOUR, u64::MAX, None),
            (31 * 24 * HOUR + 1, u64::MAX, Some("31 days at most")),
        ] {
            let refused = token_lifetime(lasts_ms + 5, 5, most_ms).err();
            match (refused, expected) {
                (None, None) => {}
                (Some(refusal), Some(words)) => {
                    assert!(refusal.message.contains(words), "{}", refusal.message)
                }
                (found, _) => panic!("{lasts_ms} of {most_ms}: {found:?}"),
            }
        }
    }

    #[test]
    fn coordinates_are_finite_and_in_range() {
        for (latitude, longitude) in [(0.0, 0.0), (90.0, -180.0), (-90.0, 180.0)] {
            assert!(location(&place(latitude, longitude)).is_ok());
        }
        for (latitude, longitude, field) in [
            (90.1, 0.0, "location.latitude"),
            (f64::NAN, 0.0, "location.latitude"),
            (0.0, -180.5, "location.longitude"),
            (0.0, f64::INFINITY, "location.longitude"),
        ] {
            assert_eq!(location(&place(latitude, longitude)).unwrap_err().field, field);
        }
    }

    #[test]
    fn text_is_one_bounded_line() {
        assert!(text("name", "").is_ok());
        assert!(text("name", &"é".repeat(TEXT_CHARS)).is_ok());
        assert_eq!(
            text("name", &"x".repeat(TEXT_CHARS + 1)).unwrap_err().code,
            Code::TooLarge
        );
        for bad in ["a\nb", "\u{1b}[31m", "\0", "a\u{202e}b"] {
            assert_eq!(text("name", bad).unwrap_err().code, Code::Invalid, "{bad:?}");
        }
    }

    #[test]
    fn attributes_are_bounded_each_and_in_all() {
        let one = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
        assert!(attributes(&one("a", "line\nline")).is_ok());
        assert!(attributes(&one("", "x")).is_err());
        assert!(attributes(&one("a", "\u{7}")).is_err());
        assert!(attributes(&one(&"k".repeat(KEY_CHARS + 1), "x")).is_err());
        assert!(attributes(&one("k", &"v".repeat(VALUE_CHARS + 1))).is_err());
        let many = |n, value: String| (0..n).map(|n| (n.to_string(), value.clone())).collect();
        assert_eq!(
            attributes(&many(65, "x".into())).unwrap_err().code,
            Code::TooLarge
        );
        assert_eq!(
            attributes_in_all(&many(65, "x".into())).unwrap_err().code,
            Code::Limit
        );
        assert_eq!(
            attributes_in_all(&many(17, "x".repeat(1024))).unwrap_err().code,
            Code::Limit
        );
    }

    #[test]
    fn whose_data_is_ids_or_all() {
        let parse = |device: &str| data_devices(&[device.to_owned()]);
        for good in ["+", "pump-7"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in ["", "#", "pump-+", "a/b", "../x", "+/+"] {
            assert_eq!(parse(bad).unwrap_err().field, "data_devices", "{bad:?}");
        }
        assert_eq!(data_devices(&["+".into(), "+".into()]).unwrap(), ["+"]);
    }

    #[test]
    fn event_filters_are_mqtt_filters() {
        let parse = |filter: &str| event_filters(&[filter.to_owned()]);
        for good in ["#", "registry/#", "+/devices/+/moved"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in ["", "registry/#/x", "a+/b", "\0", &"x".repeat(600)] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        let twice = ["#".to_owned(), "#".to_owned()];
        assert_eq!(event_filters(&twice).unwrap(), ["#"]);
    }

    #[test]
    fn waits_and_versions() {
        assert_eq!(retire_wait(0, 7).unwrap(), 7);
        assert_eq!(retire_wait(9, 7).unwrap(), 9);
        assert!(retire_wait(RETIRE_WAIT_MAX_MS + 1, 7).is_err());
        assert!(version("device", 0, 7).is_ok());
        assert_eq!(version("device", 6, 7).unwrap_err().present_version, 7);
    }
}
