//! Suppliers, orders, and what arrives.

use contract::v1::{
    Arrival, Changed, DevicesReceived, ExpectDevices, HistoryShown, ListOrders, OrdersListed, PutOrder,
    PutSupplier, ReceiveDevices, RegisterDevices, RegisteredDevices, ShowHistory, Stage,
};

use crate::world::{ADA, Answered, World, change, registered};

fn supplier(w: &mut World, vetted: Option<bool>) -> Answered<Changed> {
    let put = PutSupplier {
        supplier_id: "acme".into(),
        vetted,
        note: "audit".into(),
        ..Default::default()
    };
    w.ask(ADA, "put-supplier", &put)
}

fn order(w: &mut World, change: impl FnOnce(&mut PutOrder)) -> Answered<Changed> {
    let mut put = PutOrder {
        order_id: "po-1".into(),
        supplier_id: Some("acme".into()),
        ..Default::default()
    };
    change(&mut put);
    w.ask(ADA, "put-order", &put)
}

fn receive(w: &mut World, arrivals: &[(&str, &str)]) -> Answered<DevicesReceived> {
    let arrivals = arrivals.iter().map(|(device, serial)| Arrival {
        device_id: (*device).into(),
        serial_number: (*serial).into(),
    });
    let request = ReceiveDevices {
        order_id: "po-1".into(),
        arrivals: arrivals.collect(),
        ..Default::default()
    };
    w.ask(ADA, "receive", &request)
}

fn numbers(w: &mut World) -> (u64, u64) {
    let orders = w
        .ask::<OrdersListed>(ADA, "orders", &ListOrders::default())
        .unwrap()
        .orders;
    (orders[0].expected, orders[0].received)
}

#[test]
fn orders_are_placed_with_vetted_suppliers_only() {
    let mut w = World::new();
    assert_eq!(order(&mut w, |_| ()).unwrap_err().code, "not-found");
    supplier(&mut w, None).unwrap();
    let refused = order(&mut w, |_| ()).unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.field.as_str()),
        ("precondition", "supplier_id")
    );
    supplier(&mut w, Some(true)).unwrap();
    assert_eq!(
        supplier(&mut w, Some(true)).unwrap().version,
        2,
        "the same is no change"
    );
    order(&mut w, |_| ()).unwrap();
    for (wrong, field) in [
        (
            order(&mut w, |o| o.ordered_on = Some("yesterday".into())),
            "ordered_on",
        ),
        (
            order(&mut w, |o| o.device_type = Some("none".into())),
            "device_type",
        ),
        (
            order(&mut w, |o| o.supplier_id = Some("other".into())),
            "supplier_id",
        ),
        (order(&mut w, |o| o.expected_version = 9), "expected_version"),
    ] {
        assert_eq!(wrong.unwrap_err().field, field);
    }
    supplier(&mut w, Some(false)).unwrap();
    order(&mut w, |o| o.description = Some("placed before".into())).expect("an order stays");
}

#[test]
fn what_is_expected_arrives() {
    let mut w = World::new();
    supplier(&mut w, Some(true)).unwrap();
    order(&mut w, |_| ()).unwrap();
    let expect = ExpectDevices {
        order_id: "po-1".into(),
        devices: vec![
            registered("a", &[("serial_number", "SN-A")]),
            registered("b", &[]),
            registered("c", &[("serial_number", "SN-C")]),
            registered("a/b", &[]),
        ],
        ..Default::default()
    };
    let done: RegisteredDevices = w.ask(ADA, "expect", &expect).unwrap();
    assert_eq!((done.registered, done.unchanged, done.refused.len()), (3, 0, 1));
    let again: RegisteredDevices = w.ask(ADA, "expect", &expect).unwrap();
    assert_eq!(
        (again.registered, again.unchanged, numbers(&mut w)),
        (0, 3, (3, 0))
    );
    let device = w.device("a");
    assert_eq!(
        (device.stage(), device.order.as_str(), device.supplier.as_str()),
        (Stage::Planned, "po-1", "acme")
    );
    w.ask::<Changed>(ADA, "register", &registered("stray", &[]))
        .unwrap();

    let done = receive(
        &mut w,
        &[
            ("a", "sn-a"),
            ("b", "SN-B"),
            ("c", "SN-X"),
            ("stray", ""),
            ("none", ""),
        ],
    )
    .unwrap();
    assert_eq!((done.received, done.unchanged), (2, 0));
    let codes: Vec<_> = done
        .refused
        .iter()
        .map(|r| r.rejection.clone().unwrap().code)
        .collect();
    assert_eq!(codes, ["untrusted", "not-allowed", "not-found"]);
    assert_eq!(
        done.refused[0].rejection.as_ref().unwrap().field,
        "arrivals[2].serial_number"
    );
    assert_eq!(
        (w.device("b").serial_number.as_str(), w.device("c").stage()),
        ("SN-B", Stage::Planned)
    );
    let again = receive(&mut w, &[("a", "SN-A"), ("c", "SN-C")]).unwrap();
    assert_eq!((again.received, again.unchanged, numbers(&mut w)), (1, 1, (3, 3)));
    let ask = ShowHistory {
        device_id: "a".into(),
        ..Default::default()
    };
    let history = w.ask::<HistoryShown>(ADA, "history", &ask).unwrap().entries;
    assert_eq!((history.len(), history[1].cause.as_str()), (2, "receive"));
    assert_eq!(history[1].grounds["order"], "po-1");

    order(&mut w, |o| o.closed = Some(true)).unwrap();
    assert_eq!(receive(&mut w, &[("a", "")]).unwrap_err().field, "order_id");
    assert_eq!(
        w.ask::<RegisteredDevices>(ADA, "expect", &expect)
            .unwrap_err()
            .code,
        "not-allowed"
    );
}

#[test]
fn a_dry_run_says_what_would_come_and_changes_nothing() {
    let mut w = World::new();
    w.ask::<Changed>(ADA, "register", &registered("known", &[("site", "x")]))
        .unwrap();
    let request = |dry_run| RegisterDevices {
        devices: vec![
            registered("new", &[("site", "x")]),
            registered("known", &[("site", "x")]),
            registered("known", &[("site", "y")]),
            registered("new-2", &[("warranty_until", "soon")]),
        ],
        dry_run,
        ..Default::default()
    };
    let before = w.records("");
    w.events();
    let dry: RegisteredDevices = w.ask(ADA, "register-many", &request(true)).unwrap();
    assert_eq!((dry.registered, dry.unchanged, dry.refused.len()), (1, 1, 2));
    let fields: Vec<_> = dry
        .refused
        .iter()
        .map(|r| r.rejection.clone().unwrap().field)
        .collect();
    assert_eq!(fields, ["devices[2].device_id", "devices[3].warranty_until"]);
    assert_eq!((w.records(""), w.events().len()), (before, 0));
    let wet: RegisteredDevices = w.ask(ADA, "register-many", &request(false)).unwrap();
    assert_eq!((wet.registered, wet.refused), (1, dry.refused));
    w.ask::<Changed>(ADA, "change", &change("new", &[("owner", "ops")]))
        .unwrap();
    let again: RegisteredDevices = w.ask(ADA, "register-many", &request(false)).unwrap();
    assert_eq!(
        (again.registered, again.unchanged),
        (0, 2),
        "what the row does not say does not count"
    );
}
