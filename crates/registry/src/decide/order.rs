//! `put-order`, `expect`, `receive`: from the purchase order to the loading ramp.

use contract::{
    Code, Refusal,
    v1::{
        Arrival, Device, DeviceType, DevicesReceived, ExpectDevices, Order, PutOrder, ReceiveDevices,
        RegisterDevice, Stage, Supplier,
    },
};
use service::{Fault, Outcome};

use super::{
    Situation,
    act::{Act, Why},
    changed, check,
    register_many::{enlist_all, printable, refusal_of_row, shorten},
};
use crate::{
    event, field,
    lifecycle::{self, Cause},
    policy, state,
};

pub(super) fn put(s: &Situation<'_>, m: PutOrder) -> Result<Outcome, Fault> {
    policy::text("description", m.description.as_deref().unwrap_or_default())?;
    let present = state::present::<Order>(s.view, "order_id", &m.order_id)?;
    let present = present.unwrap_or(Order {
        order_id: m.order_id.clone(),
        ..Order::default()
    });
    policy::version("order", m.expected_version, present.version)?;
    let wanted = wanted(s, &present, m)?;
    let mut outcome = Outcome::default();
    let version = save(&mut outcome, &present, wanted.clone());
    outcome.answer(changed(&wanted.order_id, version));
    Ok(outcome)
}

fn wanted(s: &Situation<'_>, present: &Order, m: PutOrder) -> Result<Order, Fault> {
    let mut order = present.clone();
    if let Some(supplier) = m.supplier_id.filter(|id| *id != present.supplier_id) {
        if present.version > 0 {
            let message = format!(
                "the order was placed with `{}`; make another order",
                present.supplier_id
            );
            return Err(Refusal::new(Code::NotAllowed, message).at("supplier_id").into());
        }
        order.supplier_id = vetted(s, &supplier)?;
    } else if present.version == 0 {
        return Err(Refusal::invalid("supplier_id", "an order has a supplier").into());
    }
    if let Some(kind) = m.device_type.filter(|kind| *kind != present.device_type) {
        if !kind.is_empty() {
            state::find::<DeviceType>(s.view, "device_type", &kind)?;
        }
        order.device_type = kind;
    }
    if let Some(day) = m.ordered_on {
        if !day.is_empty() && field::day(&day).is_none() {
            return Err(Refusal::invalid("ordered_on", "a date is written as 2026-01-31").into());
        }
        order.ordered_on = day;
    }
    order.description = m.description.unwrap_or(order.description);
    order.closed = m.closed.unwrap_or(order.closed);
    Ok(order)
}

fn vetted(s: &Situation<'_>, id: &str) -> Result<String, Fault> {
    let supplier: Supplier = state::find(s.view, "supplier_id", id)?;
    if supplier.vetted {
        return Ok(supplier.supplier_id);
    }
    let message = format!(
        "`{}` has not been vetted: `muster supplier vet {}`",
        supplier.supplier_id, supplier.supplier_id
    );
    Err(Refusal::new(Code::Precondition, message).at("supplier_id").into())
}

/// Names what an order will bring.
pub(super) fn expect(s: &Situation<'_>, m: ExpectDevices) -> Result<Outcome, Fault> {
    policy::rows("devices", m.devices.len())?;
    let order = open(s, &m.order_id)?;
    let mut act = Act::new(s);
    let rows = m.devices.into_iter().map(|row| of_order(row, &order)).collect();
    let report = enlist_all(&mut act, rows)?;
    let expected = order.expected + u64::from(report.registered);
    save(
        &mut act.outcome,
        &order,
        Order {
            expected,
            ..order.clone()
        },
    );
    Ok(act.answer(report))
}

/// A row with what the order says of all; the row's own word counts more.
fn of_order(mut row: RegisterDevice, order: &Order) -> RegisterDevice {
    row.planned = true;
    for (name, value) in [
        ("order", &order.order_id),
        ("supplier", &order.supplier_id),
        ("type", &order.device_type),
    ] {
        if !value.is_empty() {
            row.fields.entry(name.to_owned()).or_insert_with(|| value.clone());
        }
    }
    row
}

/// Devices have arrived.
pub(super) fn receive(s: &Situation<'_>, m: ReceiveDevices) -> Result<Outcome, Fault> {
    policy::rows("arrivals", m.arrivals.len())?;
    policy::text("reason", &m.reason)?;
    let order = open(s, &m.order_id)?;
    let (mut act, mut report) = (Act::new(s), DevicesReceived::default());
    for (n, arrival) in m.arrivals.iter().enumerate() {
        match arrive(&mut act, &order, arrival, &m.reason) {
            Ok(true) => report.received += 1,
            Ok(false) => report.unchanged += 1,
            Err(Fault::Refused(refusal)) => {
                let named = printable(&arrival.device_id);
                report.refused.push(refusal_of_row("arrivals", n, named, refusal));
            }
            Err(fault) => return Err(fault),
        }
    }
    shorten(&mut report.refused);
    let received = order.received + u64::from(report.received);
    save(
        &mut act.outcome,
        &order,
        Order {
            received,
            ..order.clone()
        },
    );
    Ok(act.answer(report))
}

/// One device is there. False: it was before.
fn arrive(act: &mut Act<'_>, order: &Order, arrival: &Arrival, reason: &str) -> Result<bool, Fault> {
    let view = act.view();
    let mut device = state::device(&view, "device_id", &arrival.device_id)?;
    expected(&device, order, arrival)?;
    if device.stage() != Stage::Planned {
        return Ok(false);
    }
    let Some(transition) = lifecycle::find(&device, Cause::Receive, &act.s.ground(&device)?) else {
        return Err(lifecycle::refusal(&device, "it cannot be received")
            .at("device_id")
            .into());
    };
    let before = device.clone();
    if !arrival.serial_number.is_empty() {
        let serial = [("serial_number".to_owned(), arrival.serial_number.clone())];
        field::write(&mut device, &serial.into())?;
        check::unique(&view, Some(&before), &device)?;
    }
    let why = Why {
        reason,
        grounds: [
            ("order".to_owned(), order.order_id.clone()),
            ("serial number".to_owned(), device.serial_number.clone()),
        ]
        .into(),
        ..Why::default()
    };
    act.enter(&mut device, transition, &why)?;
    act.save(Some(&before), &mut device)?;
    Ok(true)
}

/// What arrived is what the order named.
fn expected(device: &Device, order: &Order, arrival: &Arrival) -> Result<(), Refusal> {
    if device.order != order.order_id {
        let of = if device.order.is_empty() {
            "no order".to_owned()
        } else {
            format!("`{}`", device.order)
        };
        let message = format!("the device belongs to {of}, not to `{}`", order.order_id);
        return Err(Refusal::new(Code::NotAllowed, message).at("device_id"));
    }
    let (named, found) = (&device.serial_number, &arrival.serial_number);
    if !named.is_empty() && !found.is_empty() && !named.eq_ignore_ascii_case(found) {
        let message = "another serial number was expected; look at the device, or correct it with `change`";
        return Err(Refusal::new(Code::Untrusted, message).at("serial_number"));
    }
    Ok(())
}

fn open(s: &Situation<'_>, id: &str) -> Result<Order, Fault> {
    let order: Order = state::find(s.view, "order_id", id)?;
    if order.closed {
        let message = "the order is closed; open it again with `put-order`";
        return Err(Refusal::new(Code::NotAllowed, message).at("order_id").into());
    }
    Ok(order)
}

/// Writes an order that changed. What comes back is its version.
fn save(outcome: &mut Outcome, present: &Order, mut wanted: Order) -> u64 {
    if wanted == *present && present.version > 0 {
        return present.version;
    }
    wanted.version = wanted.version.saturating_add(1);
    outcome.put(state::key::<Order>(&wanted.order_id), &wanted);
    event::catalogued(outcome, format!("orders/{}", wanted.order_id), &wanted);
    wanted.version
}
