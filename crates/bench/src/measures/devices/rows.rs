//! The same devices for Muster and for its peer.

use std::fmt::Write as _;

use contract::v1::Criticality;

/// Devices of one site: what the query returns.
pub(super) const OF_A_SITE: usize = 50;
const MODELS: usize = 20;
const LINES: usize = 10;

/// What a table of devices has.
pub(super) const COLUMNS: &str =
    "device_id,serial_number,name,model,site,owner,criticality,warranty_until,tags.line";

/// A device by its number, among so many sites.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    number: usize,
    sites: usize,
}

/// All devices of a fleet of this size.
pub(super) fn rows(devices: usize) -> impl Iterator<Item = Row> {
    let sites = sites(devices);
    (0..devices).map(move |number| Row { number, sites })
}

/// How many sites a fleet has.
pub(super) fn sites(devices: usize) -> usize {
    (devices / OF_A_SITE).max(1)
}

/// The id of a device.
pub(super) fn id(number: usize) -> String {
    format!("dev-{number:07}")
}

/// The name of a site.
pub(super) fn site(number: usize) -> String {
    format!("site-{number}")
}

impl Row {
    fn criticality(self) -> Criticality {
        [Criticality::Low, Criticality::Medium, Criticality::High][self.number % 3]
    }

    fn serial_number(self) -> String {
        format!("SN-{:07}", self.number)
    }

    fn name(self) -> String {
        format!("Pump number {} of the north", self.number)
    }

    fn model(self) -> String {
        format!("model-{}", self.number % MODELS)
    }

    fn warranty(self) -> String {
        format!("20{}-{:02}-28", 27 + self.number % 9, 1 + self.number % 12)
    }

    fn line(self) -> String {
        (self.number % LINES).to_string()
    }

    /// As it stands in a table, under [`COLUMNS`].
    pub(super) fn cells(self) -> String {
        let Row { number, sites } = self;
        let criticality = match self.criticality() {
            Criticality::Low => "low",
            Criticality::High => "high",
            _ => "medium",
        };
        [
            &id(number),
            &self.serial_number(),
            &self.name(),
            &self.model(),
            &site(number % sites),
            "plant",
            criticality,
            &self.warranty(),
            &self.line(),
        ]
        .join(",")
    }

    /// As it stands in an INSERT.
    pub(super) fn write(self, into: &mut String) {
        let Row { number, sites } = self;
        let (id, serial, name, model) = (id(number), self.serial_number(), self.name(), self.model());
        let (site, criticality, warranty) =
            (site(number % sites), self.criticality() as i32, self.warranty());
        let tags = format!("{{\"line\":\"{}\"}}", self.line());
        // Writing into a text cannot fail.
        let _ = write!(
            into,
            "('{id}','{serial}','{name}','{model}','{site}','plant',{criticality},'{warranty}','{tags}',1)"
        );
    }
}
