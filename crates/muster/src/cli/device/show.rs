//! `muster device show` and `list`

use anyhow::Result;
use contract::{
    Id,
    id::ServiceName,
    v1::{
        Connectivity, Criticality, Device, DeviceShown, DevicesListed, ListDevices, Location, Restriction,
        ShowDevice, Stage,
    },
};

use super::super::{
    Global,
    list::Limit,
    matching::Matching,
    print,
    words::{self, say},
};

#[derive(clap::Args)]
pub(crate) struct Show {
    /// The device
    id: Id,
    /// As it was: so long ago, or at a date. From the events that are kept
    #[arg(long, value_name = "TIME|DATE", value_parser = super::past::ago)]
    at: Option<i64>,
}

#[derive(clap::Args)]
pub(crate) struct List {
    /// In this stage
    #[arg(long, value_parser = words::parser::<Stage>())]
    stage: Option<Stage>,
    /// With this restriction
    #[arg(long, value_parser = words::parser::<Restriction>())]
    restriction: Option<Restriction>,
    /// Of this criticality
    #[arg(long, value_parser = words::parser::<Criticality>())]
    criticality: Option<Criticality>,
    /// In this group
    #[arg(long)]
    group: Option<Id>,
    /// Of this model
    #[arg(long)]
    model: Option<String>,
    /// With this firmware
    #[arg(long, value_name = "VERSION")]
    firmware: Option<String>,
    /// At this site
    #[arg(long)]
    site: Option<String>,
    /// Whose id begins with this
    #[arg(long)]
    prefix: Option<String>,
    #[command(flatten)]
    matching: Matching,
    /// In the order of this field of docs/registry.md; `-FIELD` turns it round
    #[arg(
        long,
        value_name = "FIELD",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    order_by: String,
    #[command(flatten)]
    limit: Limit,
}

impl Show {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        if let Some(at_ms) = self.at {
            return super::past::show(global, self.id.as_str(), at_ms);
        }
        let request = ShowDevice {
            device_id: self.id.to_string(),
            ..ShowDevice::default()
        };
        let shown: DeviceShown = global.ask(ServiceName::Registry, "show", &request)?;
        let device = shown.device.unwrap_or_default();
        if global.json {
            print::json(&device)
        } else {
            print_device(&device)
        }
    }
}

impl List {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let wanted = ListDevices {
            stage: self.stage.unwrap_or_default().into(),
            restriction: self.restriction.unwrap_or_default().into(),
            criticality: self.criticality.unwrap_or_default().into(),
            group: self.group.map(|group| group.to_string()).unwrap_or_default(),
            model: self.model.unwrap_or_default(),
            firmware_version: self.firmware.unwrap_or_default(),
            site: self.site.unwrap_or_default(),
            prefix: self.prefix.unwrap_or_default(),
            r#where: self.matching.query,
            sort: self.order_by,
            ..ListDevices::default()
        };
        let listed = self.limit.collect(
            global,
            (ServiceName::Registry, "list"),
            |page| ListDevices {
                page_size: page.size,
                page: page.token,
                ..wanted.clone()
            },
            |reply: DevicesListed| (reply.devices, reply.next_page),
        )?;
        let headings = [
            "id",
            "stage",
            "restriction",
            "criticality",
            "model",
            "firmware",
            "site",
            "groups",
        ];
        listed.print(global, &headings, row)
    }
}

fn row(device: &Device) -> Vec<String> {
    vec![
        device.device_id.clone(),
        say(device.stage()),
        say(device.restriction()),
        say(device.criticality()),
        device.model.clone(),
        device.firmware_version.clone(),
        device.site.clone(),
        device.groups.join(", "),
    ]
}

fn print_device(device: &Device) -> Result<()> {
    // What operators have written is said in the words in which they write it.
    let written = registry::written(device);
    let mut fields = vec![
        ("id", device.device_id.clone()),
        ("version", device.version.to_string()),
        (
            "stage",
            format!(
                "{} since {}",
                say(device.stage()),
                print::time(device.stage_since_ms)
            ),
        ),
        ("restriction", restriction(device)),
    ];
    fields.extend(written.iter().map(|(name, value)| (name.as_str(), value.clone())));
    let system = pairs(device.system.iter());
    let components = device.components.iter().map(|c| (&c.name, &c.version));
    fields.extend([
        ("groups", device.groups.join(", ")),
        ("firmware", device.firmware_version.clone()),
        (
            "location",
            device.location.as_ref().map(place).unwrap_or_default(),
        ),
        ("attributes", pairs(device.attributes.iter())),
        ("components", pairs(components)),
        ("system", system),
        ("checks", checks(device)),
        ("connectivity", connectivity(device)),
        ("not let in", not_let_in(device)),
        ("certificate until", certificate(device)),
        ("open alerts", alerts(device)),
        ("drift", drift(device)),
        ("last maintained", print::time(device.last_maintained_ms)),
        ("maintenance due", device.maintenance_due.clone()),
        ("registered", print::time(device.registered_at_ms)),
        ("reported", print::time(device.reported_at_ms)),
        ("changed by", device.changed_by.clone()),
        ("reason", device.change_reason.clone()),
        ("replaces", device.replaces.clone()),
        ("replaced by", device.replaced_by.clone()),
        ("retired at the latest", deadline(device)),
        (
            "keys erased",
            if device.erased {
                "yes, by the device's own receipt".into()
            } else {
                String::new()
            },
        ),
    ]);
    print::fields(&fields)
}

fn pairs<'a>(pairs: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    pairs
        .map(|(key, value)| format!("{key}={value}"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn checks(device: &Device) -> String {
    let said = device.checks.iter().map(|(name, result)| {
        let word = if result.passed { "passed" } else { "failed" };
        format!("{name} {word}, says {}", result.by)
    });
    said.collect::<Vec<_>>().join("; ")
}

/// As the registry has heard last.
fn connectivity(device: &Device) -> String {
    let live = device.live.clone().unwrap_or_default();
    match live.connectivity() {
        Connectivity::Unspecified => String::new(),
        Connectivity::Offline => format!("offline since {}", print::time(live.last_seen_ms)),
        other => say(other),
    }
}

/// The last time since it was let in.
fn not_let_in(device: &Device) -> String {
    let refused = device.live.as_ref().and_then(|live| live.refused.as_ref());
    refused.map(words::refused).unwrap_or_default()
}

fn certificate(device: &Device) -> String {
    let certificates = device.live.iter().flat_map(|live| &live.certificates);
    let last = certificates.map(|certificate| certificate.not_after_ms).max();
    last.map(print::time).unwrap_or_default()
}

fn alerts(device: &Device) -> String {
    let alerts = device.live.iter().flat_map(|live| &live.alerts);
    let said = alerts.map(|alert| format!("{} ({})", alert.rule_id, say(alert.severity())));
    said.collect::<Vec<_>>().join(", ")
}

/// What it does not have of what it is to be set to.
fn drift(device: &Device) -> String {
    device
        .live
        .as_ref()
        .map(|live| say(live.drift()))
        .unwrap_or_default()
}

fn restriction(device: &Device) -> String {
    match device.restriction_reason.as_str() {
        "" => say(device.restriction()),
        reason => format!("{}: {reason}", say(device.restriction())),
    }
}

fn place(location: &Location) -> String {
    let coordinates = if location.latitude == 0.0 && location.longitude == 0.0 {
        String::new()
    } else {
        format!("{:.5}, {:.5}", location.latitude, location.longitude)
    };
    [location.place.clone(), coordinates]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" at ")
}

/// When a retiring device is retired at the latest.
fn deadline(device: &Device) -> String {
    if device.stage() == Stage::Retiring {
        print::time(device.retire_deadline_ms)
    } else {
        String::new()
    }
}
