//! `muster device register`

use anyhow::Result;
use contract::{
    Id,
    id::ServiceName,
    v1::{Changed, Criticality, RegisterDevice},
};

use super::{
    super::{Global, words},
    Fields,
};

#[derive(clap::Args)]
pub(crate) struct Register {
    /// The device's id: letters, digits, `.`, `_` and `-`
    id: Id,
    /// A name for people
    #[arg(long)]
    name: Option<String>,
    /// The maker's serial number
    #[arg(long, value_name = "NUMBER")]
    serial: Option<String>,
    /// The model; firmware names the models it is for
    #[arg(long)]
    model: Option<String>,
    /// The hardware's revision
    #[arg(long, value_name = "REVISION")]
    hardware: Option<String>,
    /// How much depends on it; critical devices are updated last
    #[arg(long, value_parser = words::parser::<Criticality>())]
    criticality: Option<Criticality>,
    /// Who answers for it
    #[arg(long)]
    owner: Option<String>,
    /// Where it is
    #[arg(long)]
    site: Option<String>,
    /// A group it belongs to; may be given several times
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<Id>,
    /// Known, but not to be provisioned yet
    #[arg(long)]
    planned: bool,
    /// The type, as `muster type list` shows it
    #[arg(long = "type", value_name = "TYPE")]
    device_type: Option<Id>,
    /// What is set for it alone, a JSON document
    #[arg(long, value_name = "JSON", default_value = "", hide_default_value = true)]
    settings: String,
    #[command(flatten)]
    fields: Fields,
}

impl Register {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let request = self.request();
        let changed: Changed = global.ask(ServiceName::Registry, "register", &request)?;
        super::changed(global, &changed)
    }

    fn request(self) -> RegisterDevice {
        RegisterDevice {
            request_id: String::new(),
            device_id: self.id.to_string(),
            name: self.name.unwrap_or_default(),
            serial_number: self.serial.unwrap_or_default(),
            model: self.model.unwrap_or_default(),
            criticality: self.criticality.unwrap_or_default().into(),
            owner: self.owner.unwrap_or_default(),
            site: self.site.unwrap_or_default(),
            groups: self.groups.iter().map(Id::to_string).collect(),
            planned: self.planned,
            hardware_revision: self.hardware.unwrap_or_default(),
            settings: self.settings,
            fields: self
                .device_type
                .map(|kind| ("type".to_owned(), kind.to_string()))
                .into_iter()
                .chain(self.fields.set)
                .collect(),
        }
    }
}
