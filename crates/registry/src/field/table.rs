//! The fields that have a name of their own.

use contract::v1::{Device, DeviceLive, Location};

use super::value::Value;
use crate::choice::Choice;

/// How values of a field are compared, and what may be compared with them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sort {
    Text,
    /// One of these words of the contract, in their order.
    Words(fn() -> Vec<&'static str>),
    Number,
    Time,
    Version,
    Flag,
}

/// How operators write a field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Writer {
    /// They do not.
    Nobody,
    Text(Form, fn(&mut Device) -> &mut String),
    Criticality,
    Addresses,
    Commands,
    SignedCommands,
    CommandDeadline,
    Latitude,
    Longitude,
    Price,
}

/// What a text must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Line,
    Notes,
    Day,
    Id,
    Digest,
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Plain {
    pub(crate) name: &'static str,
    pub(super) sort: Sort,
    pub(super) read: fn(&Device) -> Value<'_>,
    pub(super) writer: Writer,
    /// It belongs to the device's identity: it is set once.
    pub(super) once: bool,
    /// It is what other services know of the device.
    pub(super) live: bool,
}

impl Plain {
    /// Whether operators write it.
    pub(super) fn is_written(&self) -> bool {
        !matches!(self.writer, Writer::Nobody)
    }
}

macro_rules! line {
    ($name:literal, $form:ident, $($path:ident).+) => {
        Plain {
            name: $name,
            sort: Sort::Text,
            read: |d| Value::of_text(&d.$($path).+),
            writer: Writer::Text(Form::$form, |d| &mut d.$($path).+),
            once: false,
            live: false,
        }
    };
}

macro_rules! list {
    ($field:ident, $writer:ident) => {
        Plain {
            name: stringify!($field),
            sort: Sort::Text,
            read: |d| Value::of_list(&d.$field),
            writer: Writer::$writer,
            once: false,
            live: false,
        }
    };
}

macro_rules! day {
    ($field:ident) => {
        Plain {
            name: stringify!($field),
            sort: Sort::Time,
            read: |d| Value::of_day(&d.$field),
            writer: Writer::Text(Form::Day, |d| &mut d.$field),
            once: false,
            live: false,
        }
    };
}

macro_rules! told {
    ($name:literal, $sort:expr, $read:expr) => {
        Plain {
            name: $name,
            sort: $sort,
            read: $read,
            writer: Writer::Nobody,
            once: false,
            live: false,
        }
    };
}

const fn once(plain: Plain) -> Plain {
    Plain { once: true, ..plain }
}

const fn live(plain: Plain) -> Plain {
    Plain { live: true, ..plain }
}

fn words<C: Choice>() -> Vec<&'static str> {
    C::ALL.iter().map(|value| value.name()).collect()
}

use contract::v1::{Connectivity, Criticality, Drift, OpenAlert, Restriction, Severity, Stage};

const TABLE: &[Plain] = &[
    told!("id", Sort::Text, |d| Value::of_text(&d.device_id)),
    line!("name", Line, name),
    once(line!("serial_number", Line, serial_number)),
    once(list!(addresses, Addresses)),
    once(line!("key_fingerprint", Digest, key_fingerprint)),
    line!("type", Id, device_type),
    line!("model", Line, model),
    line!("hardware_revision", Line, hardware_revision),
    told!("firmware", Sort::Version, |d| Value::of_text(&d.firmware_version)),
    Plain {
        name: "criticality",
        sort: Sort::Words(words::<Criticality>),
        read: |d| Value::Name(d.criticality().name()),
        writer: Writer::Criticality,
        once: false,
        live: false,
    },
    line!("owner", Line, owner),
    line!("site", Line, site),
    line!("function", Line, function),
    Plain {
        name: "place",
        sort: Sort::Text,
        read: |d| Value::of_text(d.position.as_ref().map_or("", |p| &p.place)),
        writer: Writer::Text(Form::Line, |d| &mut d.position.get_or_insert_default().place),
        once: false,
        live: false,
    },
    Plain {
        name: "latitude",
        sort: Sort::Number,
        read: |d| coordinate(d.position.as_ref(), |p| p.latitude),
        writer: Writer::Latitude,
        once: false,
        live: false,
    },
    Plain {
        name: "longitude",
        sort: Sort::Number,
        read: |d| coordinate(d.position.as_ref(), |p| p.longitude),
        writer: Writer::Longitude,
        once: false,
        live: false,
    },
    told!("reported_place", Sort::Text, |d| {
        Value::of_text(d.location.as_ref().map_or("", |l| &l.place))
    }),
    list!(commands, Commands),
    list!(signed_commands, SignedCommands),
    Plain {
        name: "command_deadline",
        sort: Sort::Number,
        read: |d| match d.commands_within_ms {
            0 => Value::Absent,
            ms => Value::Number(ms as f64 / 1_000.0),
        },
        writer: Writer::CommandDeadline,
        once: false,
        live: false,
    },
    line!("parent", Id, parent),
    line!("supplier", Id, supplier),
    line!("order", Id, order),
    Plain {
        name: "price",
        sort: Sort::Number,
        read: |d| d.price.as_ref().map_or(Value::Absent, Value::Money),
        writer: Writer::Price,
        once: false,
        live: false,
    },
    day!(purchased_on),
    day!(warranty_until),
    day!(end_of_support),
    line!("notes", Notes, notes),
    told!("maintenance_due", Sort::Time, |d| Value::of_day(
        &d.maintenance_due
    )),
    told!("last_maintained", Sort::Time, |d| Value::of_time(
        d.last_maintained_ms
    )),
    told!("group", Sort::Text, |d| Value::of_list(&d.groups)),
    told!("stage", Sort::Words(words::<Stage>), |d| Value::Name(
        d.stage().name()
    )),
    told!("restriction", Sort::Words(words::<Restriction>), |d| {
        Value::Name(d.restriction().name())
    }),
    told!("restriction_reason", Sort::Text, |d| Value::of_text(
        &d.restriction_reason
    )),
    told!("version", Sort::Number, |d| Value::Number(d.version as f64)),
    told!("registered", Sort::Time, |d| Value::of_time(d.registered_at_ms)),
    told!("stage_since", Sort::Time, |d| Value::of_time(d.stage_since_ms)),
    told!("reported", Sort::Time, |d| Value::of_time(d.reported_at_ms)),
    told!("changed_by", Sort::Text, |d| Value::of_text(&d.changed_by)),
    told!("change_reason", Sort::Text, |d| Value::of_text(&d.change_reason)),
    told!("replaces", Sort::Text, |d| Value::of_text(&d.replaces)),
    told!("replaced_by", Sort::Text, |d| Value::of_text(&d.replaced_by)),
    told!("erased", Sort::Flag, |d| if d.erased {
        Value::Yes
    } else {
        Value::Absent
    }),
    live(told!(
        "connectivity",
        Sort::Words(words::<Connectivity>),
        |d| match watched(d) {
            Some(live) => Value::Name(live.connectivity().name()),
            None => Value::Absent,
        }
    )),
    live(told!("last_seen", Sort::Time, |d| Value::of_time(
        d.live.as_ref().map_or(0, |live| live.last_seen_ms)
    ))),
    live(told!("certificate_until", Sort::Time, |d| Value::of_time(
        certificate_until(d)
    ))),
    live(told!("alert", Sort::Text, |d| {
        let alerts = d.live.iter().flat_map(|live| &live.alerts);
        Value::of_texts(alerts.map(|alert| alert.rule_id.as_str()).collect())
    })),
    live(told!("alert_severity", Sort::Words(words::<Severity>), |d| {
        let alerts = d.live.iter().flat_map(|live| &live.alerts);
        match alerts
            .map(OpenAlert::severity)
            .max_by_key(|severity| *severity as i32)
        {
            Some(severity) => Value::Name(severity.name()),
            None => Value::Absent,
        }
    })),
    live(told!("drift", Sort::Words(words::<Drift>), |d| {
        match d.live.as_ref().map(DeviceLive::drift) {
            None | Some(Drift::Unspecified) => Value::Absent,
            Some(drift) => Value::Name(drift.name()),
        }
    })),
    live(told!("open_alerts", Sort::Number, |d| match watched(d) {
        Some(live) => Value::Number(live.alerts.len() as f64),
        None => Value::Absent,
    })),
];

/// What monitoring has told of a device.
fn watched(device: &Device) -> Option<&DeviceLive> {
    let live = device.live.as_ref()?;
    (live.connectivity() != Connectivity::Unspecified).then_some(live)
}

/// When the last of its certificates ends, milliseconds since 1970; 0: it has none.
fn certificate_until(device: &Device) -> i64 {
    let certificates = device.live.iter().flat_map(|live| &live.certificates);
    certificates
        .map(|certificate| certificate.not_after_ms)
        .max()
        .unwrap_or(0)
}

/// The row of this name.
pub(super) fn find(name: &str) -> Option<&'static Plain> {
    TABLE.iter().find(|plain| plain.name == name)
}

/// Every row.
pub(super) fn all() -> impl Iterator<Item = &'static Plain> {
    TABLE.iter()
}

/// Every name.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|plain| plain.name)
}

/// Whether somewhere is said; 0, 0 lies in the sea.
pub(crate) fn has_coordinates(place: &Location) -> bool {
    place.latitude != 0.0 || place.longitude != 0.0
}

fn coordinate(place: Option<&Location>, axis: fn(&Location) -> f64) -> Value<'static> {
    match place.filter(|place| has_coordinates(place)) {
        Some(place) => Value::Number(axis(place)),
        None => Value::Absent,
    }
}
