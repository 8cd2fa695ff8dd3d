//! Queries over devices: by the narrowest index, in pages that hold, in order, and in numbers.

use std::collections::BTreeSet;

use contract::v1::{
    CertificateStatus, Changed, CountDevices, Device, DevicesCounted, DevicesListed, Done, ListDevices,
    Location, PutGroup, PutQuery, RegisterDevice, RegisterDevices, RegisteredDevices, RemoveQuery, Report,
};

use prost::Message;
use service::store::{Batch, Store};

use crate::world::{ADA, World, change, register, registered};

fn fleet() -> World {
    let mut w = World::new();
    let group = PutGroup {
        group_id: "g".into(),
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "put-group", &group).unwrap();
    for n in 0..40 {
        let site = format!("s{}", n % 3);
        let line = (n % 7).to_string();
        let price = format!("{n}.00 EUR");
        let device = RegisterDevice {
            groups: if n % 2 == 0 { vec!["g".into()] } else { vec![] },
            ..registered(
                &format!("Dev-{n:02}"),
                &[("site", &site), ("tags.line", &line), ("price", &price)],
            )
        };
        w.ask::<Changed>(ADA, "register", &device).unwrap();
    }
    w
}

fn page(w: &mut World, query: &str, sort: &str, size: u32, page: String) -> (Vec<String>, String) {
    let request = ListDevices {
        r#where: query.into(),
        sort: sort.into(),
        page_size: size,
        page,
        ..Default::default()
    };
    let listed: DevicesListed = w.ask(ADA, "list", &request).unwrap();
    (
        listed.devices.into_iter().map(|d| d.device_id).collect(),
        listed.next_page,
    )
}

fn all(w: &mut World, query: &str, sort: &str, size: u32) -> Vec<String> {
    let (mut ids, mut next) = (Vec::new(), String::new());
    loop {
        let (rows, more) = page(w, query, sort, size, next);
        assert!(rows.len() <= size as usize);
        ids.extend(rows);
        if more.is_empty() {
            return ids;
        }
        next = more;
    }
}

fn count(w: &mut World, query: &str, by: &str) -> DevicesCounted {
    let request = CountDevices {
        r#where: query.into(),
        by: by.into(),
        ..Default::default()
    };
    w.ask(ADA, "count", &request).unwrap()
}

#[test]
fn an_index_finds_what_looking_at_all_finds() {
    let mut w = fleet();
    for query in [
        "site = s1",
        "site = s1 and tags.line = 3",
        "site in (s0, s2) and price > 20",
        "site = s0 or tags.line = 6",
        "site = s0 or price = 7",
        "group = g and tags.line in (1, 2)",
        "stage = registered and not site = s1",
        "id like 'dev-1*'",
        "id = Dev-07",
        "id = dev-07",
        "restriction = quarantined",
        "site = nowhere",
    ] {
        // What is negated has no index.
        let slowly = all(&mut w, &format!("not (not ({query}))"), "", 500);
        for size in [1, 3, 500] {
            assert_eq!(all(&mut w, query, "", size), slowly, "{query} by {size}");
        }
        assert_eq!(count(&mut w, query, "").total as usize, slowly.len(), "{query}");
    }
}

#[test]
fn indexes_follow_changes() {
    let mut w = fleet();
    assert_eq!(all(&mut w, "site = s1", "", 50).len(), 13);
    w.ask::<Changed>(
        ADA,
        "change",
        &change("Dev-00", &[("site", "s1"), ("tags.line", "")]),
    )
    .unwrap();
    assert_eq!(all(&mut w, "site = s1", "", 50).len(), 14);
    assert_eq!(all(&mut w, "site = s0", "", 50).len(), 13);
    assert!(!all(&mut w, "tags.line = 0", "", 50).contains(&"Dev-00".to_owned()));
}

#[test]
fn pages_hold_while_devices_come_and_go() {
    let mut w = fleet();
    for sort in ["", "price", "-price"] {
        let (first, next) = page(&mut w, "site = s1", sort, 5, String::new());
        let gone = first[4].clone();
        w.ask::<Changed>(ADA, "change", &change(&gone, &[("site", "s9")]))
            .unwrap();
        let (second, _) = page(&mut w, "site = s1", sort, 500, next);
        w.ask::<Changed>(ADA, "change", &change(&gone, &[("site", "s1")]))
            .unwrap();
        let both: BTreeSet<_> = first.iter().chain(&second).collect();
        assert_eq!((both.len(), first.len() + second.len()), (13, 13), "{sort}");
    }
}

#[test]
fn lists_are_sorted_by_any_field_with_absent_values_last() {
    let mut w = fleet();
    w.ask::<Changed>(ADA, "register", &register("a-last")).unwrap();
    for size in [1, 7, 500] {
        let up = all(&mut w, "", "price", size);
        assert_eq!(
            (up.len(), up[0].as_str(), up[40].as_str()),
            (41, "Dev-00", "a-last")
        );
        assert!(up[..40].is_sorted());
        let down = all(&mut w, "", "-price", size);
        assert_eq!((down[0].as_str(), down[40].as_str()), ("Dev-39", "a-last"));
        let sites = all(&mut w, "has site", "-site", size);
        assert_eq!((sites.len(), sites[0].as_str()), (40, "Dev-02"));
    }
    for (sort, token, field) in [("nonsense", "", "sort"), ("price", "xx", "page")] {
        let request = ListDevices {
            sort: sort.into(),
            page: token.into(),
            ..Default::default()
        };
        assert_eq!(
            w.ask::<DevicesListed>(ADA, "list", &request).unwrap_err().field,
            field
        );
    }
}

#[test]
fn devices_are_counted_by_a_field() {
    let mut w = fleet();
    let counted = count(&mut w, "", "site");
    let rows: Vec<_> = counted
        .counts
        .iter()
        .map(|c| (c.value.as_str(), c.count))
        .collect();
    assert_eq!(rows, [("s0", 14), ("s1", 13), ("s2", 13)]);
    assert_eq!((counted.total, counted.others), (40, 0));
    let stages = count(&mut w, "price < 10", "stage");
    assert_eq!(
        (stages.counts[0].value.as_str(), stages.counts[0].count),
        ("registered", 10)
    );
    let groups = count(&mut w, "", "group");
    assert_eq!(
        groups.counts.iter().map(|c| c.count).collect::<Vec<_>>(),
        [20, 20],
        "those in none as well"
    );
    let request = CountDevices {
        by: "nonsense".into(),
        ..Default::default()
    };
    assert_eq!(
        w.ask::<DevicesCounted>(ADA, "count", &request).unwrap_err().field,
        "by"
    );
}

#[test]
fn numbers_are_summed_up_for_all_and_by_value() {
    let mut w = fleet();
    w.now_ms = 1_769_904_000_000; // 2026-02-01
    let bought = change("Dev-39", &[("price", "7.50 USD"), ("purchased_on", "2026-01-01")]);
    w.ask::<Changed>(ADA, "change", &bought).unwrap();
    let asked = |w: &mut World, of: &str, by: &str, top: u32| {
        let request = CountDevices {
            of: of.into(),
            by: by.into(),
            top,
            ..Default::default()
        };
        w.ask::<DevicesCounted>(ADA, "count", &request)
    };
    let told = asked(&mut w, "price", "", 0).unwrap();
    let told: Vec<_> = told
        .spreads
        .iter()
        .map(|s| {
            (
                s.unit.as_str(),
                s.count,
                s.min,
                s.mean,
                s.p50,
                s.p90,
                s.p99,
                s.max,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("EUR", 39, 0.0, 19.0, 19.0, 35.0, 38.0, 38.0),
            ("USD", 1, 7.5, 7.5, 7.5, 7.5, 7.5, 7.5)
        ]
    );
    let told = asked(&mut w, "tags.line", "site", 2).unwrap();
    let rows: Vec<_> = told
        .counts
        .iter()
        .map(|c| (c.value.as_str(), c.count, c.spreads[0].max))
        .collect();
    assert_eq!(rows, [("s0", 14, 6.0), ("s1", 13, 6.0)]);
    assert_eq!((told.others, told.total), (13, 40));
    assert!(told.spreads[0].values.is_empty(), "one answer needs none");
    for (of, days) in [("age(purchased_on)", 31.0), ("until(purchased_on)", -31.0)] {
        let told = asked(&mut w, of, "", 0).unwrap().spreads;
        assert_eq!(
            (told[0].count, told[0].p50, told[0].unit.as_str()),
            (1, days, "days")
        );
    }
    assert!(
        asked(&mut w, "reported", "", 0)
            .unwrap_err()
            .message
            .contains("age(reported)")
    );
    assert_eq!(asked(&mut w, "age(reported)", "", 0).unwrap().spreads.len(), 0);
    assert_eq!(asked(&mut w, "", "site", 1_001).unwrap_err().field, "top");
}

#[test]
fn an_answer_that_is_one_of_several_tells_what_they_are_laid_together_by() {
    let mut w = fleet();
    let dev_19: String = "dev-19".bytes().map(|byte| format!("{byte:02x}")).collect();
    let request = CountDevices {
        of: "price".into(),
        by: "site".into(),
        page: dev_19,
        ..Default::default()
    };
    let told: DevicesCounted = w.ask(ADA, "count", &request).unwrap();
    assert_eq!((told.total, told.spreads[0].values.len()), (20, 20));
    let each: u64 = told
        .counts
        .iter()
        .flat_map(|c| &c.spreads)
        .flat_map(|s| &s.values)
        .map(|v| v.count)
        .sum();
    assert_eq!(each, 20);
    let whole = registry::together(told.counts.into_iter().flat_map(|count| count.spreads));
    let (laid, all) = (&whole[0], &told.spreads[0]);
    assert_eq!((laid.count, laid.p50, laid.p99), (all.count, all.p50, all.p99));
}

#[test]
fn saved_queries_stand_for_their_text() {
    let mut w = fleet();
    let put = |id: &str, text: &str| PutQuery {
        query_id: id.into(),
        r#where: text.into(),
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "put-query", &put("cheap", "price < 10"))
        .unwrap();
    w.ask::<Changed>(ADA, "put-query", &put("both", "@cheap and site = s1"))
        .unwrap();
    assert_eq!(all(&mut w, "@both or id = Dev-39", "", 50).len(), 4);
    for (bad, words) in [
        (put("cheap", "@both"), "in a circle"),
        (put("x", "@nothing"), "no query `nothing`"),
        (put("x", "price <"), "a value was expected"),
        (put("CHEAP", "has id"), "twins"),
    ] {
        let refused = w.ask::<Changed>(ADA, "put-query", &bad).unwrap_err();
        assert!(refused.message.contains(words), "{}", refused.message);
    }
    let remove = RemoveQuery {
        query_id: "cheap".into(),
        ..Default::default()
    };
    let stale = RemoveQuery {
        expected_version: 7,
        ..remove.clone()
    };
    let stale = w.ask::<Done>(ADA, "remove-query", &stale).unwrap_err();
    assert_eq!((stale.code.as_str(), stale.present_version), ("conflict", 1));
    w.ask::<Done>(ADA, "remove-query", &remove).unwrap();
    let request = ListDevices {
        r#where: "@both".into(),
        ..Default::default()
    };
    assert_eq!(
        w.ask::<DevicesListed>(ADA, "list", &request).unwrap_err().code,
        "not-found"
    );
}

#[test]
fn conditions_and_a_query_hold_together() {
    let mut w = fleet();
    let request = ListDevices {
        r#where: "price >= 20".into(),
        site: "s1".into(),
        group: "g".into(),
        ..Default::default()
    };
    let listed: DevicesListed = w.ask(ADA, "list", &request).unwrap();
    let fits = |d: &Device| d.site == "s1" && d.groups == ["g"] && d.price.as_ref().unwrap().cents >= 2_000;
    assert!(
        listed.devices.len() == 3 && listed.devices.iter().all(fits),
        "{}",
        listed.devices.len()
    );
}

#[test]
fn a_circle_is_found_by_its_index_at_the_poles_and_over_the_date_line() {
    let mut w = World::new();
    let places = [
        (52.52, 13.40),
        (52.40, 13.07),
        (-17.0, 179.99),
        (-17.0, -179.99),
        (-17.0, 178.0),
        (89.95, 10.0),
        (89.95, -170.0),
        (88.0, 10.0),
        (-90.0, 0.0),
        (0.0, 0.001),
    ];
    for (n, (latitude, longitude)) in places.iter().enumerate() {
        let fields = [
            ("latitude", latitude.to_string()),
            ("longitude", longitude.to_string()),
        ];
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        w.ask::<Changed>(ADA, "register", &registered(&format!("p-{n}"), &fields))
            .unwrap();
    }
    for (query, found) in [
        ("near(52.52, 13.40, 0)", vec!["p-0"]),
        ("near(52.52, 13.40, 30)", vec!["p-0", "p-1"]),
        ("near(-17, 180, 5)", vec!["p-2", "p-3"]),
        ("near(-17, -180, 5)", vec!["p-2", "p-3"]),
        ("near(-17, -179.9, 300)", vec!["p-2", "p-3", "p-4"]),
        ("near(90, 77, 10)", vec!["p-5", "p-6"]),
        ("near(89.95, 10, 12)", vec!["p-5", "p-6"]),
        ("near(89.95, 10, 10)", vec!["p-5"]),
        ("near(-89.99, 120, 2)", vec!["p-8"]),
        ("near(0, 0, 1)", vec!["p-9"]),
        ("near(48, 2, 10)", vec![]),
        ("near(0, 0, 20100) and site = nowhere", vec![]),
    ] {
        assert_eq!(all(&mut w, query, "", 50), found, "{query}");
        // What is negated has no index.
        assert_eq!(
            all(&mut w, &format!("not (not ({query}))"), "", 50),
            found,
            "{query}"
        );
    }
    // Where it says itself that it is counts as long as no operator says otherwise.
    let report = Report {
        location: Some(Location {
            latitude: 52.52,
            longitude: 13.41,
            ..Location::default()
        }),
        ..Report::default()
    };
    let here = "near(52.52, 13.40, 3)";
    w.ask::<Changed>(ADA, "register", &register("q")).unwrap();
    w.certificate("devices", "q", CertificateStatus::Active);
    w.ask::<Changed>("devices/q", "report", &report).unwrap();
    assert_eq!(all(&mut w, here, "", 50), ["p-0", "q"]);
    let moved = change("q", &[("latitude", "-90"), ("longitude", "1")]);
    w.ask::<Changed>(ADA, "change", &moved).unwrap();
    assert_eq!(all(&mut w, here, "", 50), ["p-0"]);
    let group = PutGroup {
        group_id: "near-berlin".into(),
        query: Some("near(52.52, 13.40, 30)".into()),
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "put-group", &group).unwrap();
    w.wait(0);
    assert_eq!(all(&mut w, "group = near-berlin", "", 50), ["p-0", "p-1"]);
    let moved = change("q", &[("latitude", ""), ("longitude", "")]);
    w.ask::<Changed>(ADA, "change", &moved).unwrap();
    assert_eq!(all(&mut w, "group = near-berlin", "", 50), ["p-0", "p-1", "q"]);
}

#[test]
fn a_query_costs_what_it_returns_however_large_the_fleet() {
    let mut w = World::new();
    let mut costs = Vec::new();
    for thousand in 0..3 {
        for part in 0..2 {
            let row = |n: usize| {
                let n = thousand * 1_000 + part * 500 + n;
                let rare = if n < 5 {
                    ("tags.rare", "yes")
                } else {
                    ("tags.line", "7")
                };
                // Ten kilometres apart, around the globe at one latitude.
                let east = (n as f64 * 0.1 - 180.0).to_string();
                let place = [("latitude", "30"), ("longitude", east.as_str())];
                registered(&format!("d-{n:05}"), &[("site", "s1"), rare, place[0], place[1]])
            };
            let request = RegisterDevices {
                devices: (0..500).map(row).collect(),
                ..Default::default()
            };
            let done: RegisteredDevices = w.ask(ADA, "register-many", &request).unwrap();
            assert_eq!(done.registered, 500);
        }
        let mut cost = |query: &str, found: usize| {
            w.reads = 0;
            assert_eq!(
                page(&mut w, query, "", 50, String::new()).0.len(),
                found,
                "{query}"
            );
            w.reads
        };
        costs.push([
            cost("tags.rare = yes", 5),
            cost("site = s1 and tags.rare = yes", 5),
            cost("site = s1", 50),
            cost("id = d-00500", 1),
            cost("near(30, -177.5, 100)", 21),
        ]);
    }
    assert_eq!(costs[0], costs[2], "three times the devices cost the same");
    assert!(costs[2].iter().all(|reads| *reads < 600), "{costs:?}");
}

#[test]
fn to_sort_too_large_a_fleet_is_refused_in_words_and_a_narrower_query_is_not() {
    let mut w = World::new();
    let rome = registered("z-1", &[("site", "rome")]);
    w.ask::<Changed>(ADA, "register", &rome).unwrap();
    let mut rows = Batch::default();
    for n in 0..50_000 {
        let device_id = format!("d-{n:05}");
        let key = format!("sd{device_id}");
        let device = Device {
            device_id,
            ..Default::default()
        };
        rows.put(key, device.encode_to_vec());
    }
    w.store.commit(&rows).unwrap();
    let ask = |query: &str, sort: &str| ListDevices {
        r#where: query.into(),
        sort: sort.into(),
        page_size: 2,
        ..Default::default()
    };
    let refused = w
        .ask::<DevicesListed>(ADA, "list", &ask("", "-name"))
        .unwrap_err();
    assert_eq!((refused.code.as_str(), refused.field.as_str()), ("limit", "sort"));
    assert!(
        refused.message.contains("more than 50000 devices"),
        "{}",
        refused.message
    );
    // Nothing of it is in the way of what costs little.
    assert_eq!(all(&mut w, "site = rome", "-name", 2), ["z-1"]);
    let unsorted: DevicesListed = w.ask(ADA, "list", &ask("", "")).unwrap();
    assert_eq!(unsorted.devices.len(), 2);
}
