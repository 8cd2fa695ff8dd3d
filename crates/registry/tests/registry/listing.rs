//! Finding devices again.

use contract::v1::{Changed, DevicesListed, ListDevices, PutGroup, RegisterDevice, Stage};

use crate::world::{ADA, World, register};

fn list(w: &mut World, request: ListDevices) -> (Vec<String>, String) {
    let listed: DevicesListed = w.ask(ADA, "list", &request).unwrap();
    (
        listed.devices.into_iter().map(|d| d.device_id).collect(),
        listed.next_page,
    )
}

#[test]
fn lists_by_every_condition() {
    let mut w = World::new();
    w.ask::<Changed>(
        ADA,
        "put-group",
        &PutGroup {
            group_id: "g".into(),
            ..Default::default()
        },
    )
    .unwrap();
    for n in 0..30 {
        let device = RegisterDevice {
            model: format!("m{}", n % 2),
            site: format!("s{}", n % 3),
            planned: n % 5 == 0,
            criticality: (n % 4) + 1,
            groups: if n % 3 == 0 { vec!["g".into()] } else { Vec::new() },
            ..register(&format!("Dev-{n:02}"))
        };
        w.ask::<Changed>(ADA, "register", &device).unwrap();
    }
    w.activate("other");
    let cases = [
        (ListDevices::default(), 31),
        (
            ListDevices {
                prefix: "Dev-0".into(),
                ..Default::default()
            },
            10,
        ),
        (
            ListDevices {
                prefix: "dev-0".into(),
                ..Default::default()
            },
            0,
        ),
        (
            ListDevices {
                model: "m1".into(),
                ..Default::default()
            },
            15,
        ),
        (
            ListDevices {
                site: "s0".into(),
                model: "m0".into(),
                ..Default::default()
            },
            5,
        ),
        (
            ListDevices {
                stage: Stage::Planned.into(),
                ..Default::default()
            },
            6,
        ),
        (
            ListDevices {
                stage: Stage::Active.into(),
                ..Default::default()
            },
            1,
        ),
        (
            ListDevices {
                restriction: 1,
                ..Default::default()
            },
            31,
        ),
        (
            ListDevices {
                restriction: 2,
                ..Default::default()
            },
            0,
        ),
        (
            ListDevices {
                criticality: 4,
                ..Default::default()
            },
            7,
        ),
        (
            ListDevices {
                group: "g".into(),
                ..Default::default()
            },
            10,
        ),
        (
            ListDevices {
                group: "g".into(),
                prefix: "Dev-1".into(),
                ..Default::default()
            },
            3,
        ),
        (
            ListDevices {
                group: "g".into(),
                stage: Stage::Planned.into(),
                ..Default::default()
            },
            2,
        ),
        (
            ListDevices {
                firmware_version: "9".into(),
                ..Default::default()
            },
            0,
        ),
    ];
    for (request, expected) in cases {
        assert_eq!(list(&mut w, request.clone()).0.len(), expected, "{request:?}");
        let (mut ids, mut page) = (Vec::new(), String::new());
        loop {
            let (rows, next) = list(
                &mut w,
                ListDevices {
                    page_size: 4,
                    page,
                    ..request.clone()
                },
            );
            ids.extend(rows);
            page = next;
            if page.is_empty() {
                break;
            }
        }
        assert_eq!(ids.len(), expected, "in pages of four: {request:?}");
    }
    for (bad, field) in [
        (
            ListDevices {
                stage: 77,
                ..Default::default()
            },
            "stage",
        ),
        (
            ListDevices {
                page_size: 501,
                ..Default::default()
            },
            "page_size",
        ),
        (
            ListDevices {
                page: "nonsense".into(),
                ..Default::default()
            },
            "page",
        ),
        (
            ListDevices {
                prefix: "a/".into(),
                ..Default::default()
            },
            "prefix",
        ),
        (
            ListDevices {
                group: "none".into(),
                ..Default::default()
            },
            "group",
        ),
    ] {
        assert_eq!(
            w.ask::<DevicesListed>(ADA, "list", &bad).unwrap_err().field,
            field
        );
    }
}
