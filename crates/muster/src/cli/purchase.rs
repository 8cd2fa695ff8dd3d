//! `muster order`: purchase orders

use std::path::PathBuf;

use anyhow::Result;
use contract::{
    Id,
    id::ServiceName,
    limits,
    v1::{
        Arrival, Changed, DevicesReceived, ExpectDevices, ListOrders, Order as Listed, OrdersListed,
        PutOrder, ReceiveDevices, RegisterRefusal,
    },
};

use super::{
    Global,
    device::{Format, Report, send},
    global,
    list::{Limit, Page},
    print, whole,
};
use crate::exit::{Exit, Failure};

/// Where the list comes from.
const ALL: (ServiceName, &str) = (ServiceName::Registry, "orders");

/// What was ordered, and what of it has arrived.
#[derive(clap::Subcommand)]
pub(super) enum Order {
    /// Make an order, change or close it
    #[command(after_help = "Examples:
  muster order put po-17 --supplier acme --type pump --ordered-on 2026-01-31
  muster order put po-17 --closed true")]
    Put(Put),
    /// Name the devices that an order will bring: they are planned
    ///
    /// The file is one that `muster device import` takes: ids, serial numbers and, where the maker tells them, the
    /// fingerprints of the devices' keys. Order, supplier and type are filled in.
    #[command(after_help = "Examples:\n  muster order expect po-17 delivery-note.csv")]
    Expect(Expect),
    /// Devices have arrived: they may ask for their certificates from now on
    #[command(after_help = "Examples:
  muster order receive po-17 pump-7=SN-0007 pump-8=SN-0008
  muster order receive po-17 pump-7")]
    Receive(Receive),
    /// Show one order, and how much of it has arrived
    #[command(after_help = "Examples:\n  muster order show po-17")]
    Show(Show),
    /// List orders
    #[command(
        after_help = "Examples:\n  muster order list\n  muster device list --where 'order = po-17 and stage = planned'"
    )]
    List(List),
}

#[derive(clap::Args)]
pub(super) struct Put {
    /// The order
    id: Id,
    /// From whom; a vetted supplier
    #[arg(long)]
    supplier: Option<Id>,
    /// What type of device it brings
    #[arg(long = "type", value_name = "TYPE")]
    device_type: Option<Id>,
    /// When it was placed, as 2026-01-31
    #[arg(long, value_name = "DATE")]
    ordered_on: Option<String>,
    /// What for
    #[arg(long)]
    description: Option<String>,
    /// Whether nothing more is expected
    #[arg(long)]
    closed: Option<bool>,
    /// Only if the order has this version
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "VERSION")]
    expected_version: u64,
}

#[derive(clap::Args)]
pub(super) struct Expect {
    /// The order
    id: Id,
    /// The file; `-` reads standard input
    file: PathBuf,
    /// Its form [default: csv if it is named so, else ndjson]
    #[arg(long, value_enum)]
    format: Option<Format>,
}

#[derive(clap::Args)]
pub(super) struct Receive {
    /// The order
    id: Id,
    /// The devices, with the serial numbers that stand on them: DEVICE=SERIAL or DEVICE
    #[arg(required = true)]
    devices: Vec<String>,
    /// Part of the record
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

#[derive(clap::Args)]
pub(super) struct Show {
    /// The order
    id: Id,
}

#[derive(clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    limit: Limit,
}

impl Order {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Order::Put(command) => command.run(global),
            Order::Expect(command) => command.run(global),
            Order::Receive(command) => command.run(global),
            Order::Show(command) => command.run(global),
            Order::List(command) => command.run(global),
        }
    }
}

impl Put {
    fn run(self, global: &Global) -> Result<()> {
        let request = PutOrder {
            request_id: String::new(),
            order_id: self.id.to_string(),
            supplier_id: self.supplier.map(|id| id.to_string()),
            device_type: self.device_type.map(|id| id.to_string()),
            ordered_on: self.ordered_on,
            description: self.description,
            closed: self.closed,
            expected_version: self.expected_version,
        };
        let changed: Changed = global.ask(ServiceName::Registry, "put-order", &request)?;
        print::changed(global.json, &changed)
    }
}

impl Expect {
    fn run(self, global: &Global) -> Result<()> {
        let sheet = Format::of(self.format, &self.file).read(&self.file)?;
        let mut report = Report::default();
        let order_id = self.id.to_string();
        global.block_on(send(global, &mut report, sheet.whole()?, "expect", |devices| {
            ExpectDevices {
                order_id: order_id.clone(),
                devices,
                ..ExpectDevices::default()
            }
        }))?;
        report.say(global)
    }
}

impl Receive {
    fn run(self, global: &Global) -> Result<()> {
        let arrivals: Vec<_> = self.devices.iter().map(|text| arrival(text)).collect();
        let mut whole = DevicesReceived::default();
        global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            for part in arrivals.chunks(limits::PAGE_MAX) {
                let request = ReceiveDevices {
                    request_id: String::new(),
                    order_id: self.id.to_string(),
                    arrivals: part.to_vec(),
                    reason: self.reason.clone(),
                };
                let reply: DevicesReceived =
                    global::ask(&client, ServiceName::Registry, "receive", &request).await?;
                whole.received += reply.received;
                whole.unchanged += reply.unchanged;
                whole.refused.extend(reply.refused);
            }
            client.disconnect().await;
            Ok(())
        })?;
        say(global, &whole)
    }
}

fn arrival(text: &str) -> Arrival {
    let (device, serial) = text.split_once('=').unwrap_or((text, ""));
    Arrival {
        device_id: device.into(),
        serial_number: serial.into(),
    }
}

fn say(global: &Global, reply: &DevicesReceived) -> Result<()> {
    if global.json {
        print::json(reply)?;
    } else {
        if !reply.refused.is_empty() {
            print::table(
                &["refused", "code", "why"],
                reply.refused.iter().map(refused).collect(),
            )?;
        }
        let (received, unchanged) = (reply.received, reply.unchanged);
        print::line(format!(
            "{received} received, {unchanged} before, {} refused",
            reply.refused.len()
        ))?;
    }
    if reply.refused.is_empty() {
        return Ok(());
    }
    let message = format!("{} devices were not received", reply.refused.len());
    Err(Failure::new(Exit::Conflict, message).into())
}

fn refused(refusal: &RegisterRefusal) -> Vec<String> {
    let rejection = refusal.rejection.clone().unwrap_or_default();
    vec![refusal.device_id.clone(), rejection.code, rejection.message]
}

fn page(page: Page) -> ListOrders {
    ListOrders {
        page_size: page.size,
        page: page.token,
        ..ListOrders::default()
    }
}

fn taken(reply: OrdersListed) -> (Vec<Listed>, String) {
    (reply.orders, reply.next_page)
}

impl Show {
    fn run(self, global: &Global) -> Result<()> {
        let called = ("order", self.id.as_str());
        let order = whole::one(global, called, ALL, page, taken, |one| &one.order_id)?;
        if global.json {
            return print::json(&order);
        }
        print::fields(&[
            ("id", order.order_id.clone()),
            ("version", order.version.to_string()),
            ("description", order.description.clone()),
            ("supplier", order.supplier_id.clone()),
            ("type", order.device_type.clone()),
            ("ordered", order.ordered_on.clone()),
            ("expected", order.expected.to_string()),
            ("received", order.received.to_string()),
            ("closed", print::yes(order.closed)),
        ])
    }
}

impl List {
    fn run(self, global: &Global) -> Result<()> {
        let listed = self.limit.collect(global, ALL, page, taken)?;
        let headings = [
            "id",
            "supplier",
            "type",
            "ordered",
            "expected",
            "received",
            "closed",
            "description",
        ];
        listed.print(global, &headings, row)
    }
}

fn row(order: &Listed) -> Vec<String> {
    vec![
        order.order_id.clone(),
        order.supplier_id.clone(),
        order.device_type.clone(),
        order.ordered_on.clone(),
        order.expected.to_string(),
        order.received.to_string(),
        print::yes(order.closed),
        order.description.clone(),
    ]
}
