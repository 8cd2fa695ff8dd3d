//! `muster supplier`

use anyhow::Result;
use contract::{
    Id,
    id::ServiceName,
    v1::{Changed, ListSuppliers, PutSupplier, Supplier as Listed, SuppliersListed},
};

use super::{
    Global,
    list::{Limit, Page},
    print, whole,
};

/// Where the list comes from.
const ALL: (ServiceName, &str) = (ServiceName::Registry, "suppliers");

/// From whom devices come.
#[derive(clap::Subcommand)]
pub(super) enum Supplier {
    /// Make a supplier, or change it
    #[command(
        after_help = "Examples:\n  muster supplier put acme --name 'ACME Pumps' --contact sales@acme.example"
    )]
    Put(Put),
    /// Write down that a supplier was looked into: orders are placed with such only
    #[command(after_help = "Examples:
  muster supplier vet acme --note 'ISO 27001 seen, audit of March'
  muster supplier vet acme --withdraw --note 'owner changed'")]
    Vet(Vet),
    /// Show one supplier
    #[command(after_help = "Examples:\n  muster supplier show acme")]
    Show(Show),
    /// List suppliers
    #[command(after_help = "Examples:\n  muster supplier list\n  muster device count --by supplier")]
    List(List),
}

#[derive(clap::Args)]
pub(super) struct Put {
    /// The supplier
    id: Id,
    /// Its name
    #[arg(long)]
    name: Option<String>,
    /// Whom to ask
    #[arg(long)]
    contact: Option<String>,
    /// Only if the supplier has this version
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "VERSION")]
    expected_version: u64,
}

#[derive(clap::Args)]
pub(super) struct Vet {
    /// The supplier
    id: Id,
    /// Take it back
    #[arg(long)]
    withdraw: bool,
    /// On what grounds; part of the record
    #[arg(long)]
    note: String,
}

#[derive(clap::Args)]
pub(super) struct Show {
    /// The supplier
    id: Id,
}

#[derive(clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    limit: Limit,
}

impl Supplier {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Supplier::Put(command) => command.run(global),
            Supplier::Vet(command) => command.run(global),
            Supplier::Show(command) => command.run(global),
            Supplier::List(command) => command.run(global),
        }
    }
}

impl Put {
    fn run(self, global: &Global) -> Result<()> {
        put(
            global,
            PutSupplier {
                supplier_id: self.id.to_string(),
                name: self.name,
                contact: self.contact,
                expected_version: self.expected_version,
                ..PutSupplier::default()
            },
        )
    }
}

impl Vet {
    fn run(self, global: &Global) -> Result<()> {
        put(
            global,
            PutSupplier {
                supplier_id: self.id.to_string(),
                vetted: Some(!self.withdraw),
                note: self.note,
                ..PutSupplier::default()
            },
        )
    }
}

fn put(global: &Global, request: PutSupplier) -> Result<()> {
    let changed: Changed = global.ask(ServiceName::Registry, "put-supplier", &request)?;
    print::changed(global.json, &changed)
}

impl Show {
    fn run(self, global: &Global) -> Result<()> {
        let called = ("supplier", self.id.as_str());
        let supplier = whole::one(global, called, ALL, page, taken, |one| &one.supplier_id)?;
        if global.json {
            return print::json(&supplier);
        }
        print::fields(&[
            ("id", supplier.supplier_id.clone()),
            ("version", supplier.version.to_string()),
            ("name", supplier.name.clone()),
            ("contact", supplier.contact.clone()),
            ("vetted", vetted(&supplier)),
            ("by", supplier.vetted_by.clone()),
            ("grounds", supplier.vetting_note.clone()),
        ])
    }
}

impl List {
    fn run(self, global: &Global) -> Result<()> {
        let listed = self.limit.collect(global, ALL, page, taken)?;
        listed.print(global, &["id", "name", "contact", "vetted", "by", "grounds"], row)
    }
}

fn page(page: Page) -> ListSuppliers {
    ListSuppliers {
        page_size: page.size,
        page: page.token,
        ..ListSuppliers::default()
    }
}

fn taken(reply: SuppliersListed) -> (Vec<Listed>, String) {
    (reply.suppliers, reply.next_page)
}

fn vetted(supplier: &Listed) -> String {
    match (supplier.vetted, supplier.vetted_at_ms) {
        (true, at) => print::time(at),
        (false, 0) => String::new(),
        (false, at) => format!("withdrawn {}", print::time(at)),
    }
}

fn row(supplier: &Listed) -> Vec<String> {
    vec![
        supplier.supplier_id.clone(),
        supplier.name.clone(),
        supplier.contact.clone(),
        vetted(supplier),
        supplier.vetted_by.clone(),
        supplier.vetting_note.clone(),
    ]
}
