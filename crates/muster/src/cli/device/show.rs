//! `muster device show` and `list`

use anyhow::Result;
use contract::{
    Id,
    id::ServiceName,
    v1::{
        Criticality, Device, DeviceShown, DevicesListed, ListDevices, Location, Restriction, ShowDevice,
        Stage,
    },
};

use super::super::{
    Global,
    list::Limit,
    print,
    words::{self, say},
};

#[derive(clap::Args)]
pub(crate) struct Show {
    /// The device
    id: Id,
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
    limit: Limit,
}

impl Show {
    pub(super) fn run(self, global: &Global) -> Result<()> {
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
    let attributes = device
        .attributes
        .iter()
        .map(|(key, value)| format!("{key}={value}"));
    print::fields(&[
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
        ("name", device.name.clone()),
        ("serial number", device.serial_number.clone()),
        ("criticality", say(device.criticality())),
        ("owner", device.owner.clone()),
        ("site", device.site.clone()),
        ("groups", device.groups.join(", ")),
        ("model", device.model.clone()),
        ("hardware", device.hardware_revision.clone()),
        ("firmware", device.firmware_version.clone()),
        (
            "location",
            device.location.as_ref().map(place).unwrap_or_default(),
        ),
        ("attributes", attributes.collect::<Vec<_>>().join(", ")),
        ("registered", print::time(device.registered_at_ms)),
        ("reported", print::time(device.reported_at_ms)),
        ("changed by", device.changed_by.clone()),
        ("reason", device.change_reason.clone()),
        ("retired at the latest", deadline(device)),
        (
            "keys erased",
            if device.erased {
                "yes, by the device's own receipt".into()
            } else {
                String::new()
            },
        ),
    ])
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
