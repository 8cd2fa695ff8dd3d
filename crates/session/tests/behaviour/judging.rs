//! What another broker is told is what the front door itself would have done: each principal, each verb.

use std::collections::HashMap;

use contract::{
    Root,
    id::{Kind, Principal, ServiceName},
    v1::{CertificateStatus, Restriction, Role, Stage},
    verb::VERBS,
};
use session::{
    Admitted, DeviceManagement, Judge, Known, KnownBatch, KnownCertificate, KnownDevice, KnownPerson, Limits,
    Peer,
};

use crate::{
    packets::{connect, publish, subscribe},
    world::{ROOT, World},
};

/// What is known, from elsewhere than facts.
#[derive(Default)]
struct Elsewhere {
    device: Option<KnownDevice>,
    people: HashMap<String, KnownPerson>,
    certificates: HashMap<String, KnownCertificate>,
    batch: Option<KnownBatch>,
}

impl Known for Elsewhere {
    fn device(&self, id: &str) -> Option<&KnownDevice> {
        self.device.as_ref().filter(|_| id == "pump-7")
    }
    fn person(&self, who: &Principal) -> Option<&KnownPerson> {
        self.people.get(&who.to_string())
    }
    fn certificate(&self, serial: &str) -> Option<&KnownCertificate> {
        self.certificates.get(serial)
    }
    fn batch(&self, _: &str) -> Option<&KnownBatch> {
        self.batch.as_ref()
    }
}

/// Somebody with a certificate, and the client id that it names.
#[derive(Clone, Copy, Debug)]
struct Visitor {
    kind: Kind,
    id: &'static str,
    serial: &'static str,
    client_id: &'static str,
}

const VISITORS: [Visitor; 6] = [
    Visitor {
        kind: Kind::Device,
        id: "pump-7",
        serial: "01",
        client_id: "pump-7",
    },
    Visitor {
        kind: Kind::Operator,
        id: "ada",
        serial: "0a",
        client_id: "ada:laptop",
    },
    Visitor {
        kind: Kind::Integrator,
        id: "erp",
        serial: "0e",
        client_id: "erp",
    },
    Visitor {
        kind: Kind::Claim,
        id: "lot",
        serial: "0c",
        client_id: "pump-9",
    },
    Visitor {
        kind: Kind::Claim,
        id: "lot",
        serial: "0c",
        client_id: "valve-1",
    },
    Visitor {
        kind: Kind::Device,
        id: "pump-7",
        serial: "01",
        client_id: "pump-70",
    },
];

/// The same state of things, told to the door and to the other side.
struct Both {
    world: World,
    elsewhere: Elsewhere,
    root: Root,
    policy: DeviceManagement,
}

impl Both {
    fn new(stage: Stage, restriction: Restriction, role: Role, status: CertificateStatus) -> Both {
        let mut world = World::with(Limits {
            receive_maximum: 1_000,
            ..Limits::default()
        });
        let mut elsewhere = Elsewhere::default();
        world.tell_device(stage, restriction);
        elsewhere.device = Some(KnownDevice {
            stage,
            restriction,
            groups: Vec::new(),
        });
        world.tell_person("operators", "ada", role, &[]);
        for (who, role, filters) in [
            ("operators/ada", role, &[][..]),
            ("integrators/erp", Role::Unspecified, &["registry/#"]),
        ] {
            let person = KnownPerson {
                role,
                event_filters: filters.iter().map(|f| (*f).to_owned()).collect(),
                data_devices: Vec::new(),
                disabled: false,
                grants: Vec::new(),
            };
            elsewhere.people.insert(who.into(), person);
        }
        world.tell_batch("pump-*", false);
        elsewhere.batch = Some(KnownBatch {
            ids: "pump-*".parse().unwrap(),
            serial: "0c".into(),
            revoked: false,
            opens_alone: true,
        });
        for visitor in &VISITORS[..4] {
            world.tell_certificate(visitor.serial, visitor.kind.word(), visitor.id, status);
            let known = KnownCertificate {
                kind: visitor.kind.word().into(),
                id: visitor.id.into(),
                status,
                revocation: String::new(),
            };
            elsewhere.certificates.insert(visitor.serial.into(), known);
        }
        let root: Root = ROOT.parse().unwrap();
        Both {
            world,
            elsewhere,
            policy: DeviceManagement::new(root.clone(), Limits::default().renew_after_ms),
            root,
        }
    }

    fn judge(&self) -> Judge<'_> {
        Judge::new(&self.policy, &self.root, Limits::default().renew_after_ms)
    }

    fn admitted(&self, visitor: Visitor) -> Option<Admitted> {
        let peer = Peer::Certified {
            kind: visitor.kind,
            id: visitor.id.parse().unwrap(),
            serial: visitor.serial.into(),
            not_after_ms: i64::MAX,
        };
        let now_ms = self.world.now.wall_ms;
        self.judge()
            .admit(&peer, visitor.client_id, &self.elsewhere, now_ms)
            .ok()
    }

    /// A connection through the door, if it lets the visitor in.
    fn connection(&mut self, visitor: Visitor) -> Option<u64> {
        let client = self.world.dial(visitor.kind, visitor.id, visitor.serial);
        let connack = self.world.send(client, &connect(true, visitor.client_id, 60));
        (connack[0].body[1] == 0).then_some(client)
    }

    /// Whether the door takes a publish, whatever its service would make of it.
    fn takes(&mut self, client: u64, packet_id: u16, topic: &str) -> bool {
        let got = self
            .world
            .send(client, &publish(true, 1, packet_id, topic, b"{}"));
        let puback = got.iter().find(|got| got.kind == 0x40);
        // Not authorized, and no such topic.
        puback.is_none_or(|got| ![0x87, 0x90].contains(&got.reason()))
    }
}

/// States of things in which the answers differ.
fn states() -> impl Iterator<Item = Both> {
    let active = CertificateStatus::Active;
    let devices = [
        (Stage::Active, Restriction::None),
        (Stage::Active, Restriction::Quarantined),
        (Stage::Active, Restriction::Suspended),
        (Stage::Planned, Restriction::None),
        (Stage::Retired, Restriction::None),
    ];
    let roles = [Role::Admin, Role::Operator, Role::Viewer, Role::Unspecified];
    let devices = devices.map(|(stage, restriction)| (stage, restriction, Role::Admin, active));
    let roles = roles.map(|role| (Stage::Active, Restriction::None, role, active));
    let statuses = [
        CertificateStatus::Issued,
        CertificateStatus::Revoked,
        CertificateStatus::Retired,
    ];
    let statuses = statuses.map(|status| (Stage::Active, Restriction::None, Role::Admin, status));
    let all = devices.into_iter().chain(roles).chain(statuses);
    all.map(|(stage, restriction, role, status)| Both::new(stage, restriction, role, status))
}

#[test]
fn the_same_may_connect() {
    let mut seen = [0, 0];
    for mut both in states() {
        for visitor in VISITORS {
            let admitted = both.admitted(visitor).is_some();
            assert_eq!(both.connection(visitor).is_some(), admitted, "{visitor:?}");
            seen[usize::from(admitted)] += 1;
        }
    }
    assert!(seen[0] > 15 && seen[1] > 15, "{seen:?}");
}

#[test]
fn the_same_may_be_published() {
    let mut seen = [0, 0];
    for mut both in states() {
        for visitor in VISITORS {
            let (Some(admitted), Some(client)) = (both.admitted(visitor), both.connection(visitor)) else {
                continue;
            };
            let me = admitted.caller.principal.to_string();
            let own = |verb: &contract::verb::Verb| format!("{ROOT}/{me}/up/{}/{}", verb.service, verb.name);
            let mut topics: Vec<_> = VERBS.iter().map(own).collect();
            topics.extend([
                format!("{ROOT}/{me}/up/registry/nonsense"),
                format!("{ROOT}/{me}/down/registry/report"),
                format!("{ROOT}/devices/pump-8/up/registry/report"),
                format!("{ROOT}/events/registry/devices/pump-7/moved"),
                format!("{ROOT}/facts/registry/device/pump-7"),
                "somewhere/else".into(),
            ]);
            for (n, topic) in topics.iter().enumerate() {
                let may = both.judge().publish(&admitted, topic, false).is_ok();
                let taken = both.takes(client, n as u16 + 1, topic);
                assert_eq!(taken, may, "{me} {topic}");
                assert!(
                    both.judge().publish(&admitted, topic, true).is_err(),
                    "nothing is retained"
                );
                seen[usize::from(may)] += 1;
                if both.world.over(client).is_some() {
                    // It told itself to go: the front door's own verbs can.
                    break;
                }
            }
            for service in ServiceName::KEEPERS {
                both.world.take(service);
            }
        }
    }
    assert!(seen[0] > 500 && seen[1] > 300, "{seen:?}");
}

#[test]
fn the_same_may_be_subscribed_to() {
    let filters = [
        "devices/pump-7/down/#",
        "devices/+/down/#",
        "devices/pump-8/down/#",
        "operators/ada/down/#",
        "integrators/erp/down/registry/#",
        "claims/pump-9/down/#",
        "events/#",
        "events/registry/#",
        "events/registry/devices/+/moved",
        "events/provisioning/#",
        "facts/#",
        "#",
    ];
    let mut seen = [0, 0];
    for mut both in states() {
        for visitor in VISITORS {
            let (Some(admitted), Some(client)) = (both.admitted(visitor), both.connection(visitor)) else {
                continue;
            };
            let whole = filters.iter().map(|rest| format!("{ROOT}/{rest}"));
            let shared = filters.iter().map(|rest| format!("$share/group/{ROOT}/{rest}"));
            for filter in whole
                .chain(shared)
                .chain(["#".into(), "a/#/b".into(), "$share/g".into()])
            {
                let may = both.judge().subscribe(&admitted, &filter).is_ok();
                let got = both.world.send(client, &subscribe(true, 9, &filter));
                let suback = got.iter().find(|got| got.kind == 0x90);
                let reason = suback.and_then(|suback| suback.body.last());
                let granted = reason.is_some_and(|code| *code < 0x80);
                assert_eq!(granted, may, "{visitor:?} {filter}");
                seen[usize::from(may)] += 1;
            }
        }
    }
    assert!(seen[0] > 300 && seen[1] > 50, "{seen:?}");
}
