//! `muster manufacturer`

use std::path::PathBuf;

use anyhow::Result;
use contract::{
    Id,
    id::ServiceName,
    v1::{
        self, Changed, Done, FactoryIdentity, FactoryRefused, ListManufacturers, ManufacturersListed,
        PutManufacturer, RefuseFactory, RemoveManufacturer,
    },
};

use super::{
    Global,
    confirm::{Confirm, Consent},
    list::Limit,
    print, whole,
    words::{self, say},
};
use crate::folder::read_text;

/// Manufacturers whose certificates let devices in.
#[derive(clap::Subcommand)]
pub(super) enum Manufacturer {
    /// Let devices in by the certificates that their manufacturer gave them (IDevID, IEEE 802.1AR)
    ///
    /// Such a certificate opens the device that is registered with the serial number in it, once, and nothing else. The
    /// manufacturer's CAs count for that alone.
    #[command(after_help = "Examples:
  muster manufacturer add acme --ca acme-root.pem
  muster manufacturer add acme --ca acme-2031.pem --type pump --per-minute 60 --replace
  muster manufacturer add other --ca other.pem --identity common-name")]
    Add(Add),
    /// List manufacturers
    #[command(after_help = "Examples:\n  muster manufacturer list")]
    List(List),
    /// Show one manufacturer
    #[command(after_help = "Examples:
  muster manufacturer show acme
  muster manufacturer show acme --pem > acme.pem")]
    Show(Show),
    /// Let nobody in any more by a manufacturer's certificates
    ///
    /// The devices that came in by them keep what they got; `muster cert revoke --of-batch NAME` takes that too.
    #[command(after_help = "Examples:\n  muster manufacturer remove acme --yes")]
    Remove(Remove),
    /// Take a manufacturer's revocation lists: a certificate in them lets nobody in any more
    ///
    /// They stay until newer ones come. Fetch them from the manufacturer as often as it makes them.
    #[command(after_help = "Examples:\n  muster manufacturer crl acme acme.crl.pem")]
    Crl(Crl),
    /// Let one device in no more by its factory certificate, or again
    #[command(after_help = "Examples:
  muster manufacturer refuse acme SN-0042 --yes
  muster manufacturer refuse acme SN-0042 --lift --yes")]
    Refuse(Refuse),
}

#[derive(clap::Args)]
pub(super) struct Add {
    /// Its name; no claim has the same
    name: Id,
    /// Its CA certificates, PEM: a root, or those that sign its devices' certificates
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// Only devices of this type; may be given several times [default: of any]
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<Id>,
    /// Where the device's serial number stands in the certificate's subject
    #[arg(long, default_value = "serial-number", value_parser = words::parser::<FactoryIdentity>())]
    identity: FactoryIdentity,
    /// Certificates a minute [default: 3000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    per_minute: Option<u32>,
    /// In the place of what is there of this name
    #[arg(long)]
    replace: bool,
}

#[derive(clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    limit: Limit,
}

#[derive(clap::Args)]
pub(super) struct Show {
    /// The manufacturer
    name: Id,
    /// Only its CA certificates
    #[arg(long)]
    pem: bool,
}

#[derive(clap::Args)]
pub(super) struct Remove {
    /// The manufacturer
    name: Id,
    #[command(flatten)]
    confirm: Confirm,
}

#[derive(clap::Args)]
pub(super) struct Crl {
    /// The manufacturer
    name: Id,
    /// The lists of its CAs, one after the other, PEM
    file: PathBuf,
}

#[derive(clap::Args)]
pub(super) struct Refuse {
    /// The manufacturer
    name: Id,
    /// What names the device in the certificate
    serial_number: String,
    /// Take it back
    #[arg(long)]
    lift: bool,
    #[command(flatten)]
    confirm: Confirm,
}

impl Manufacturer {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Manufacturer::Add(command) => command.run(global),
            Manufacturer::List(command) => command.run(global),
            Manufacturer::Show(command) => command.run(global),
            Manufacturer::Remove(command) => command.run(global),
            Manufacturer::Refuse(command) => command.run(global),
            Manufacturer::Crl(command) => command.run(global),
        }
    }
}

impl Add {
    fn run(self, global: &Global) -> Result<()> {
        let request = PutManufacturer {
            request_id: String::new(),
            name: self.name.to_string(),
            ca: read_text(&self.ca)?,
            types: self.types.iter().map(Id::to_string).collect(),
            identity: self.identity.into(),
            per_minute: self.per_minute.unwrap_or_default(),
            replace: self.replace,
            crl: String::new(),
        };
        let changed: Changed = global.ask(ServiceName::Provisioning, "put-manufacturer", &request)?;
        print::changed(global.json, &changed)
    }
}

impl List {
    fn run(self, global: &Global) -> Result<()> {
        let listed = self.limit.collect(
            global,
            (ServiceName::Provisioning, "manufacturers"),
            |page| ListManufacturers {
                page_size: page.size,
                page: page.token,
                ..ListManufacturers::default()
            },
            |reply: ManufacturersListed| (reply.manufacturers, reply.next_page),
        )?;
        let headings = [
            "name", "used", "identity", "types", "refused", "a minute", "added",
        ];
        listed.print(global, &headings, row)
    }
}

fn row(one: &v1::Manufacturer) -> Vec<String> {
    vec![
        one.name.clone(),
        one.used.to_string(),
        say(one.identity()),
        one.types.join(", "),
        one.refused.len().to_string(),
        pace(one.per_minute),
        print::time(one.added_at_ms),
    ]
}

fn pace(per_minute: u32) -> String {
    match per_minute {
        0 => String::new(),
        set => set.to_string(),
    }
}

impl Show {
    fn run(self, global: &Global) -> Result<()> {
        let found = find(global, &self.name)?;
        if self.pem {
            return print::line(found.ca.trim_end());
        }
        if global.json {
            return print::json(&found);
        }
        print::fields(&[
            ("name", found.name.clone()),
            ("version", found.version.to_string()),
            ("used", found.used.to_string()),
            ("identity", say(found.identity())),
            ("types", found.types.join(", ")),
            ("a minute", pace(found.per_minute)),
            ("refused", found.refused.join(", ")),
            ("revoked", found.revoked.to_string()),
            ("added", print::time(found.added_at_ms)),
        ])
    }
}

fn find(global: &Global, name: &Id) -> Result<v1::Manufacturer> {
    let all = global.block_on(async {
        let (client, _inbox) = global.connect().await?;
        let all = whole::manufacturers(&client).await;
        client.disconnect().await;
        all
    })?;
    whole::pick(all, ("manufacturer", name.as_str()), |one| &one.name)
}

impl Crl {
    fn run(self, global: &Global) -> Result<()> {
        let crl = read_text(&self.file)?;
        let present = find(global, &self.name)?;
        let request = PutManufacturer {
            request_id: String::new(),
            identity: present.identity,
            name: present.name,
            ca: present.ca,
            types: present.types,
            per_minute: present.per_minute,
            replace: true,
            crl,
        };
        let changed: Changed = global.ask(ServiceName::Provisioning, "put-manufacturer", &request)?;
        print::changed(global.json, &changed)
    }
}

impl Remove {
    fn run(self, global: &Global) -> Result<()> {
        let what = format!("let nobody in any more by the certificates of {}", self.name);
        if self.confirm.ask(global, &what)? == Consent::NotWanted {
            return Ok(());
        }
        let request = RemoveManufacturer {
            request_id: String::new(),
            name: self.name.to_string(),
        };
        let done: Done = global.ask(ServiceName::Provisioning, "remove-manufacturer", &request)?;
        let sentence = format!("the certificates of {} let nobody in any more", self.name);
        print::done(global.json, &done, &sentence)
    }
}

impl Refuse {
    fn run(self, global: &Global) -> Result<()> {
        let certificate = format!("the factory certificate {} of {}", self.serial_number, self.name);
        let what = match self.lift {
            true => format!("accept {certificate} again"),
            false => format!("refuse {certificate}"),
        };
        if self.confirm.ask(global, &what)? == Consent::NotWanted {
            return Ok(());
        }
        let request = RefuseFactory {
            request_id: String::new(),
            manufacturer: self.name.to_string(),
            serial_number: self.serial_number.clone(),
            lift: self.lift,
        };
        let refused: FactoryRefused = global.ask(ServiceName::Provisioning, "refuse-factory", &request)?;
        if global.json {
            return print::json(&refused);
        }
        print::line(match self.lift {
            true => format!("{certificate} is accepted again"),
            false => format!("{certificate} is refused"),
        })?;
        if !self.lift && !refused.device_id.is_empty() {
            print::note(format!(
                "{0} came in by it and has a certificate of its own: muster cert revoke --device {0}",
                refused.device_id
            ));
        }
        Ok(())
    }
}
