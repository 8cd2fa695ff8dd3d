//! Requests at random, over so few names that they meet.

use std::collections::BTreeMap;

use contract::v1::{self, CertificateStatus, ChangeDevice, ChangeMembers};
use contract::wire::{self, Encoding, Wire};
use proptest::prelude::*;

use crate::world::ADA;

const DEVICES: [&str; 4] = ["a", "B", "b", "c"];
const GROUPS: [&str; 3] = ["g", "G", "h"];
const PEOPLE: [&str; 2] = ["ada", "bob"];

/// Something that happens.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Ask {
        who: String,
        verb: &'static str,
        payload: Vec<u8>,
    },
    Certificate {
        id: &'static str,
        status: CertificateStatus,
    },
    Status {
        id: &'static str,
        online: bool,
        alarmed: bool,
    },
    Wait(i64),
    Restart,
}

fn ask(who: &str, verb: &'static str, request: &impl Wire) -> Step {
    Step::Ask {
        who: who.into(),
        verb,
        payload: wire::encode(request, Encoding::Protobuf).to_vec(),
    }
}

fn device_id() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&DEVICES[..])
}

fn group_id() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&GROUPS[..])
}

fn some_groups() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(group_id().prop_map(str::to_owned), 0..3)
}

fn registering() -> impl Strategy<Value = Step> {
    let row =
        (device_id(), any::<bool>(), some_groups(), 0..6).prop_map(|(id, planned, groups, criticality)| {
            let device_id = id.to_owned();
            v1::RegisterDevice {
                device_id,
                planned,
                groups,
                criticality,
                ..Default::default()
            }
        });
    prop::collection::vec(row, 1..4).prop_map(|mut devices| match devices.pop() {
        Some(one) if devices.is_empty() => ask(ADA, "register", &one),
        last => {
            devices.extend(last);
            ask(
                ADA,
                "register-many",
                &v1::RegisterDevices {
                    devices,
                    ..Default::default()
                },
            )
        }
    })
}

fn steering() -> impl Strategy<Value = Step> {
    let given = (device_id(), 0..8i32, 0..4u64, 0..12i32);
    given.prop_map(|(id, stage, expected_version, what)| {
        let device_id = id.to_owned();
        let restrict = v1::RestrictDevice {
            device_id: id.into(),
            expected_version,
            ..Default::default()
        };
        match what {
            0 => ask(ADA, "suspend", &restrict),
            1 => ask("services/monitoring", "quarantine", &restrict),
            2 => ask(ADA, "quarantine", &restrict),
            3 => ask(ADA, "release", &restrict),
            4 => {
                let wait_ms = expected_version * 500;
                ask(
                    ADA,
                    "retire",
                    &v1::RetireDevice {
                        device_id,
                        wait_ms,
                        ..Default::default()
                    },
                )
            }
            5 => {
                let site = Some(format!("s{}", stage % 3));
                let serial = if stage % 2 == 0 {
                    "serial_number"
                } else {
                    "tags.line"
                };
                let change = ChangeDevice {
                    device_id,
                    expected_version,
                    site,
                    criticality: stage,
                    set: [(serial.to_owned(), (stage % 3).to_string())].into(),
                    ..Default::default()
                };
                ask(ADA, "change", &change)
            }
            6 => ask(
                ADA,
                "readmit",
                &v1::ReadmitDevice {
                    device_id,
                    reason: "again".into(),
                    ..Default::default()
                },
            ),
            7 => ask(
                ADA,
                "replace",
                &v1::ReplaceDevice {
                    device_id,
                    successor_id: DEVICES[stage as usize % DEVICES.len()].into(),
                    reason: "worn".into(),
                    ..Default::default()
                },
            ),
            _ => ask(
                ADA,
                "move",
                &v1::MoveDevice {
                    device_id,
                    stage,
                    expected_version,
                    ..Default::default()
                },
            ),
        }
    })
}

fn speaking() -> impl Strategy<Value = Step> {
    (device_id(), 0..3i32, 0..6).prop_map(|(id, n, what)| {
        let who = format!("devices/{id}");
        match what {
            0 => ask(&who, "standing", &v1::GetStanding::default()),
            1 | 2 => ask(
                &who,
                "erased",
                &v1::Erased {
                    erased: vec!["key".into()],
                    ..Default::default()
                },
            ),
            _ => {
                let value = if n == 0 { String::new() } else { n.to_string() };
                let attributes = BTreeMap::from([("os".to_owned(), value)]);
                let firmware_version = format!("{}", n % 2);
                ask(
                    &who,
                    "report",
                    &v1::Report {
                        firmware_version,
                        attributes,
                        ..Default::default()
                    },
                )
            }
        }
    })
}

fn grouping() -> impl Strategy<Value = Step> {
    let ids = prop::collection::vec(device_id().prop_map(str::to_owned), 0..3);
    (group_id(), ids, 0..6u64, 0..7).prop_map(|(group, device_ids, n, what)| {
        let group_id = group.to_owned();
        let members = ChangeMembers {
            group_id: group.into(),
            device_ids,
            ..Default::default()
        };
        match what {
            0 | 1 => {
                let query = [
                    "site = s1",
                    "tags.line = 1 or firmware >= 1",
                    "",
                    "has serial_number",
                    "connectivity = offline or alert = hot",
                    "stage_since < now - 1500ms",
                ];
                let put = v1::PutGroup {
                    group_id,
                    description: Some(n.to_string()),
                    expected_version: n / 2,
                    query: (what == 0).then(|| query[n as usize].to_owned()),
                    ..Default::default()
                };
                ask(ADA, "put-group", &put)
            }
            2 => ask(
                ADA,
                "remove-group",
                &v1::RemoveGroup {
                    group_id,
                    ..Default::default()
                },
            ),
            3 | 4 => ask(ADA, "join-group", &members),
            _ => ask(ADA, "leave-group", &members),
        }
    })
}

fn staffing() -> impl Strategy<Value = Step> {
    let kind = prop::sample::select(&["operators", "operators", "integrators", "devices"][..]);
    (prop::sample::select(&PEOPLE[..]), kind, 0..6i32, any::<bool>()).prop_map(
        |(id, kind, role, disabled)| {
            let person = v1::PutPerson {
                id: id.into(),
                kind: kind.into(),
                role,
                disabled,
                ..Default::default()
            };
            ask(ADA, "put-person", &person)
        },
    )
}

fn looking() -> impl Strategy<Value = Step> {
    (device_id(), group_id(), 0..9, 0..4).prop_map(|(id, group, stage, what)| match what {
        0 => ask(
            ADA,
            "show",
            &v1::ShowDevice {
                device_id: id.into(),
                ..Default::default()
            },
        ),
        1 => ask(
            ADA,
            "list",
            &v1::ListDevices {
                stage,
                page_size: 1,
                ..Default::default()
            },
        ),
        2 => ask(
            ADA,
            "list",
            &v1::ListDevices {
                group: group.into(),
                ..Default::default()
            },
        ),
        _ => ask(ADA, "groups", &v1::ListGroups::default()),
    })
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let status = prop::sample::select(&[CertificateStatus::Issued, CertificateStatus::Revoked][..]);
    let junk = prop::collection::vec(any::<u8>(), 0..40);
    let verb = prop::sample::select(&["register", "report", "list", "put-person", "join-group"][..]);
    prop_oneof![
        3 => registering(),
        4 => steering(),
        3 => speaking(),
        3 => grouping(),
        1 => staffing(),
        1 => looking(),
        3 => (device_id(), status).prop_map(|(id, status)| Step::Certificate { id, status }),
        3 => (device_id(), any::<bool>(), any::<bool>())
            .prop_map(|(id, online, alarmed)| Step::Status { id, online, alarmed }),
        1 => (verb, junk).prop_map(|(verb, payload)| Step::Ask { who: ADA.into(), verb, payload }),
        1 => (0..2_000i64).prop_map(Step::Wait),
        1 => Just(Step::Restart),
    ]
}
