//! Many devices renew before their time: paced, over restarts, and each counted once.

use contract::v1::{self, CertificateStatus, MassRenewal, MassRenewalState, Restriction, Stage};

use crate::world::{ADA, Answered, World, key_and_csr};

const DAY: u64 = 86_400_000;
const TOPIC: &str = "/down/provisioning/renew";

/// Devices of a batch, each with a certificate in use; their serials.
fn devices(world: &mut World, batch: &str, ids: &[&str]) -> Vec<String> {
    let mut serials = Vec::new();
    for id in ids {
        world.tell_device(id, Stage::Registered);
        let signed = world.sign(id, batch).unwrap();
        world.used(&signed.serial);
        serials.push(signed.serial);
    }
    // Not in the moment in which the renewal begins.
    world.now_ms += 1;
    serials
}

/// A mass renewal, as it was begun.
fn begin(world: &mut World, request: &v1::RenewMany) -> String {
    world.ask::<v1::Changed>(ADA, "renew-many", request).unwrap().id
}

fn shown(world: &mut World, id: &str) -> MassRenewal {
    let request = v1::ListRenewals {
        renewal_id: id.into(),
        ..Default::default()
    };
    let mut listed: v1::RenewalsListed = world.ask(ADA, "renewals", &request).unwrap();
    assert_eq!(listed.renewals.len(), 1);
    listed.renewals.remove(0)
}

/// Waiting, told, renewed, failed, canceled; they are all of its devices.
fn counts(world: &mut World, id: &str) -> [u32; 5] {
    let it = shown(world, id);
    let counts = [it.waiting, it.told, it.renewed, it.failed, it.canceled];
    assert_eq!(counts.iter().sum::<u32>(), it.devices);
    counts
}

fn row(world: &mut World, id: &str, device: &str) -> v1::RenewingDevice {
    let request = v1::ListRenewing {
        renewal_id: id.into(),
        ..Default::default()
    };
    let listed: v1::RenewingListed = world.ask(ADA, "renewing", &request).unwrap();
    let mut rows = listed.devices.into_iter();
    rows.find(|row| row.device_id == device).expect("a device of it")
}

/// What devices were told since, in order: the device, and the serial; none where it was taken back.
fn told(world: &World, before: usize) -> Vec<(String, String)> {
    let pushes = world.frames[before..].iter().filter(|f| f.topic.ends_with(TOPIC));
    pushes
        .map(|frame| {
            let device = frame.topic.split('/').nth(3).unwrap().to_owned();
            let order: v1::RenewOrder = contract::wire::decode(&frame.payload, "").unwrap_or_default();
            (device, order.serial)
        })
        .collect()
}

fn renew(world: &mut World, device: &str, over: &str) -> Answered<v1::Signed> {
    let request = v1::Sign {
        csr: key_and_csr(device).1,
        ..Default::default()
    };
    let who = format!("devices/{device}");
    world.ask_over(&who, over, "", "renew", &request).unwrap()
}

fn at(per_minute: u32) -> v1::RenewMany {
    v1::RenewMany {
        per_minute,
        ..Default::default()
    }
}

#[test]
fn devices_are_told_at_a_pace_and_counted_as_they_renew() {
    let mut world = World::new();
    world.claim("lot", 99);
    let ids = ["pump-1", "pump-2", "pump-3", "pump-4"];
    let serials = devices(&mut world, "lot", &ids);
    let before = world.frames.len();
    let id = begin(&mut world, &at(60));
    world.wait(1);
    world.wait(1);
    assert_eq!(told(&world, before), [("pump-1".into(), serials[0].clone())]);
    assert_eq!(counts(&mut world, &id), [3, 1, 0, 0, 0]);
    let survey = provisioning::survey(&world.store, world.now_ms).unwrap();
    assert_eq!((survey.waiting, survey.told), (3, 1));
    let ends = &survey.ends["devices"];
    assert_eq!((ends.count, ends.within), (4, [0, 0, 0, 0, 0, 0, 4, 4, 4]));
    assert!((89 * 4..=90 * 4).contains(&ends.days), "{ends:?}");
    assert!(!survey.ends.contains_key("operators"));
    // One a second, and a restart loses nothing.
    world.wait(1_000);
    world.restart();
    assert_eq!(told(&world, before).len(), 2);
    world.wait(1_000);
    assert_eq!(counts(&mut world, &id), [1, 3, 0, 0, 0]);
    // One that renews before it was told counts too, and is not told.
    let next = renew(&mut world, "pump-4", &serials[3]).unwrap().serial;
    assert_eq!(counts(&mut world, &id)[2], 0, "only once it is used");
    world.used(&next);
    world.wait(2_000);
    assert_eq!(counts(&mut world, &id), [0, 3, 1, 0, 0]);
    assert!(!told(&world, before).iter().any(|(device, _)| device == "pump-4"));
    for (n, device) in ids.iter().take(3).enumerate() {
        let before = world.frames.len();
        let next = renew(&mut world, device, &serials[n]).unwrap().serial;
        world.used(&next);
        assert_eq!(
            told(&world, before),
            [((*device).to_owned(), String::new())],
            "taken back"
        );
        assert_eq!(row(&mut world, &id, device).next, next);
    }
    let over = shown(&mut world, &id);
    assert_eq!(over.state(), MassRenewalState::Succeeded);
    assert_eq!((over.renewed, over.ended_at_ms), (4, world.now_ms));
    let events = world.events();
    for name in ["begun", "ended"] {
        let told = events
            .iter()
            .filter(|event| **event == format!("renewals/{id} {name}"));
        assert_eq!(told.count(), 1, "{name}: {events:?}");
    }
    // It is forgotten in time, with its devices.
    world.days(91);
    let survey = provisioning::survey(&world.store, world.now_ms).unwrap();
    assert_eq!((survey.waiting, survey.told), (0, 0));
    assert!(!survey.ends.contains_key("devices"), "{survey:?}");
    let request = v1::ListRenewals::default();
    let listed: v1::RenewalsListed = world.ask(ADA, "renewals", &request).unwrap();
    assert_eq!(listed.renewals, []);
    let left = service::store::Read::scan(&world.store, b"", None, usize::MAX).unwrap();
    let is_row = |key: &[u8]| key.windows(id.len()).any(|part| part == id.as_bytes());
    assert!(!left.iter().any(|(key, _)| is_row(key) && key.contains(&0)));
}

#[test]
fn the_conditions_hold_of_the_newest_certificate() {
    let mut world = World::new();
    world.claim("lot", 99);
    world.claim("other", 99);
    let mine = devices(&mut world, "lot", &["pump-1", "pump-2"]);
    devices(&mut world, "other", &["pump-3"]);
    world.tell_built("pump-3", Stage::Registered, "SN-3", "valve");
    let key = pki::generate_key(pki::KeyKind::P384).unwrap();
    world.tell_grouped("pump-4", &["north"]);
    let request = v1::Sign {
        csr: pki::csr_for(&key, "pump-4").unwrap(),
        ..Default::default()
    };
    let fourth = world.sign_with("pump-4", "other", &request).unwrap().serial;
    world.used(&fourth);
    let (old, new) = (world.authority.clone(), world.another(7));
    world.now_ms += 1;
    world.go_on_under(&new, &[&old]);
    // This one has come over by itself.
    let next = renew(&mut world, "pump-1", &mine[0]).unwrap().serial;
    world.used(&next);
    world.now_ms += 1;
    let mut chosen = |request: v1::RenewMany| {
        let before = world.frames.len();
        let id = begin(&mut world, &request);
        for _ in 0..8 {
            world.wait(200);
        }
        let mut devices: Vec<_> = told(&world, before)
            .into_iter()
            .map(|(device, _)| device)
            .collect();
        devices.sort();
        let abort = v1::AbortRenewal {
            renewal_id: id.clone(),
            ..Default::default()
        };
        let over = shown(&mut world, &id);
        if over.ended_at_ms == 0 {
            assert_eq!(over.devices as usize, devices.len());
            world.ask::<v1::Changed>(ADA, "abort-renewal", &abort).unwrap();
            world.wait(1);
        } else {
            assert_eq!((over.devices, over.state()), (0, MassRenewalState::Succeeded));
        }
        devices
    };
    let of = |request: v1::RenewMany| v1::RenewMany {
        per_minute: 600,
        ..request
    };
    assert_eq!(chosen(at(600)), ["pump-1", "pump-2", "pump-3", "pump-4"]);
    let by_issuer = |issuer: String| {
        of(v1::RenewMany {
            issuer,
            ..Default::default()
        })
    };
    assert_eq!(chosen(by_issuer(old.id())), ["pump-2", "pump-3", "pump-4"]);
    assert_eq!(chosen(by_issuer(new.id())), ["pump-1"]);
    let by_batch = of(v1::RenewMany {
        batch: "lot".into(),
        ..Default::default()
    });
    assert_eq!(chosen(by_batch), ["pump-1", "pump-2"]);
    let by_key = of(v1::RenewMany {
        key_kind: "p384".into(),
        ..Default::default()
    });
    assert_eq!(chosen(by_key), ["pump-4"]);
    let by_group = of(v1::RenewMany {
        group: "north".into(),
        ..Default::default()
    });
    assert_eq!(chosen(by_group), ["pump-4"]);
    let by_type = of(v1::RenewMany {
        device_type: "valve".into(),
        ..Default::default()
    });
    assert_eq!(chosen(by_type), ["pump-3"]);
    // Of those that are named the other conditions hold too.
    let named = of(v1::RenewMany {
        device_ids: ["pump-1", "pump-2", "pump-2", "pump-4"]
            .map(str::to_owned)
            .to_vec(),
        issuer: old.id(),
        ..Default::default()
    });
    assert_eq!(chosen(named), ["pump-2", "pump-4"]);
    let nobody = of(v1::RenewMany {
        group: "south".into(),
        ..Default::default()
    });
    assert!(chosen(nobody).is_empty());
}

#[test]
fn who_gets_no_certificate_has_failed_and_it_is_said_why() {
    let mut world = World::new();
    world.claim("lot", 99);
    let ids = ["pump-1", "pump-2", "pump-3"];
    let serials = devices(&mut world, "lot", &ids);
    let request = v1::RenewMany {
        device_ids: [&ids[..], &["pump-7"]]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect(),
        per_minute: 600,
        ..Default::default()
    };
    world.tell_restricted("pump-2", Stage::Active, Restriction::Suspended);
    let id = begin(&mut world, &request);
    for _ in 0..3 {
        world.wait(200);
    }
    // One is suspended, one never had a certificate.
    assert_eq!(counts(&mut world, &id), [0, 2, 0, 2, 0]);
    assert!(row(&mut world, &id, "pump-2").why.contains("suspended"));
    assert!(row(&mut world, &id, "pump-7").why.contains("no certificate"));
    // What is no request counts as a refusal, once.
    let broken = v1::Sign {
        csr: "nonsense".into(),
        ..Default::default()
    };
    for _ in 0..2 {
        let refused = world.ask_over::<v1::Signed>("devices/pump-1", &serials[0], "", "renew", &broken);
        assert!(refused.unwrap().is_err());
    }
    assert_eq!(counts(&mut world, &id), [0, 1, 0, 3, 0]);
    assert!(!row(&mut world, &id, "pump-1").why.is_empty());
    for (reason, times) in [
        ("no-certificate", 1),
        ("precondition", 1),
        ("untrusted", 1),
        ("timed-out", 0),
    ] {
        let counted = world.counted("mass_renewal_failures_total", &[reason]);
        assert_eq!(counted, times, "{reason}: {:?}", world.measures);
    }
    assert_eq!(world.counted("mass_renewal_devices_total", &["failed"]), 3);
    // It makes a better request after all.
    let next = renew(&mut world, "pump-1", &serials[0]).unwrap().serial;
    world.used(&next);
    assert_eq!(counts(&mut world, &id), [0, 1, 1, 2, 0]);
    assert!(row(&mut world, &id, "pump-1").why.is_empty());
    let next = renew(&mut world, "pump-3", &serials[2]).unwrap().serial;
    world.used(&next);
    assert_eq!(shown(&mut world, &id).state(), MassRenewalState::Failed);
    assert_eq!(world.counted("mass_renewal_devices_total", &["renewed"]), 2);
    assert_eq!(world.counted("certificates_renewed_total", &["devices"]), 2);
    // Three devices' first ones, too, and the claim.
    assert_eq!(world.counted("certificates_issued_total", &["devices"]), 5);
    assert_eq!(world.counted("certificates_issued_total", &["claims"]), 1);
    assert_eq!(
        world.counted("certificate_requests_refused_total", &["devices", "untrusted"]),
        2
    );
    let failed = world
        .events()
        .into_iter()
        .filter(|event| event.ends_with(" device-failed"));
    assert_eq!(failed.count(), 3);
}

#[test]
fn whoever_stays_away_is_told_again_and_in_the_end_taken_off() {
    let mut world = World::new();
    world.claim("lot", 99);
    let serials = devices(&mut world, "lot", &["pump-1", "pump-2"]);
    let request = v1::RenewMany {
        per_minute: 600,
        within_ms: 3_600_000,
        ..Default::default()
    };
    let before = world.frames.len();
    let id = begin(&mut world, &request);
    world.wait(1);
    world.wait(1);
    assert_eq!(told(&world, before).len(), 2);
    // The front door may have started anew meanwhile.
    for minutes in 1..=25 {
        world.wait(60_000);
        assert!(told(&world, before).len() <= 2 * (1 + minutes / 10));
    }
    assert_eq!(told(&world, before).len(), 6);
    let next = renew(&mut world, "pump-1", &serials[0]).unwrap().serial;
    world.used(&next);
    for _ in 0..40 {
        world.wait(60_000);
    }
    let over = shown(&mut world, &id);
    assert_eq!(over.state(), MassRenewalState::TimedOut);
    assert_eq!(counts(&mut world, &id), [0, 0, 1, 1, 0]);
    assert!(row(&mut world, &id, "pump-2").why.contains("in time"));
    assert_eq!(
        told(&world, before).last().unwrap(),
        &("pump-2".into(), String::new())
    );
    // The certificate that it has is as good as before.
    assert_eq!(world.status(&serials[1]), CertificateStatus::Active);
}

#[test]
fn an_aborted_one_takes_back_what_it_told_and_says_so_once() {
    let mut world = World::new();
    world.claim("lot", 99);
    let serials = devices(&mut world, "lot", &["pump-1", "pump-2", "pump-3"]);
    let id = begin(&mut world, &at(1));
    world.wait(1);
    world.wait(1);
    assert_eq!(counts(&mut world, &id), [2, 1, 0, 0, 0]);
    let before = world.frames.len();
    let abort = v1::AbortRenewal {
        renewal_id: id.clone(),
        ..Default::default()
    };
    world.ask::<v1::Changed>(ADA, "abort-renewal", &abort).unwrap();
    let refused = world
        .ask::<v1::Changed>(ADA, "abort-renewal", &abort)
        .unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.field.as_str()),
        ("not-allowed", "renewal_id")
    );
    world.restart();
    world.wait(1);
    assert_eq!(told(&world, before), [("pump-1".into(), String::new())]);
    assert_eq!(counts(&mut world, &id), [0, 0, 0, 0, 3]);
    assert_eq!(shown(&mut world, &id).state(), MassRenewalState::Aborted);
    // Whoever renews by itself now is no part of it.
    let next = renew(&mut world, "pump-1", &serials[0]).unwrap().serial;
    world.used(&next);
    assert_eq!(counts(&mut world, &id), [0, 0, 0, 0, 3]);
    world.wait(3_600_000);
    assert_eq!(told(&world, before).len(), 1);
}

#[test]
fn what_makes_no_sense_is_refused_and_there_are_not_too_many() {
    let mut world = World::new();
    world.claim("lot", 99);
    devices(&mut world, "lot", &["pump-1"]);
    let cases: [(v1::RenewMany, &str, &str); 9] = [
        (
            v1::RenewMany {
                device_type: "a/b".into(),
                ..Default::default()
            },
            "invalid",
            "device_type",
        ),
        (at(60_001), "invalid", "per_minute"),
        (
            v1::RenewMany {
                within_ms: 59_999,
                ..Default::default()
            },
            "invalid",
            "within_ms",
        ),
        (
            v1::RenewMany {
                within_ms: 366 * DAY,
                ..Default::default()
            },
            "invalid",
            "within_ms",
        ),
        (
            v1::RenewMany {
                issuer: "00000000".into(),
                ..Default::default()
            },
            "not-found",
            "issuer",
        ),
        (
            v1::RenewMany {
                key_kind: "rsa".into(),
                ..Default::default()
            },
            "invalid",
            "key_kind",
        ),
        (
            v1::RenewMany {
                group: "a/b".into(),
                ..Default::default()
            },
            "invalid",
            "group",
        ),
        (
            v1::RenewMany {
                device_ids: (0..3_001).map(|n| format!("d-{n}")).collect(),
                ..Default::default()
            },
            "invalid",
            "device_ids",
        ),
        (
            v1::RenewMany {
                reason: "x".repeat(513),
                ..Default::default()
            },
            "invalid",
            "reason",
        ),
    ];
    for (request, code, field) in cases {
        let refused = world.ask::<v1::Changed>(ADA, "renew-many", &request).unwrap_err();
        assert_eq!((refused.code.as_str(), refused.field.as_str()), (code, field));
    }
    for _ in 0..8 {
        begin(&mut world, &at(600));
    }
    let refused = world.ask::<v1::Changed>(ADA, "renew-many", &at(600)).unwrap_err();
    assert_eq!(refused.code, "limit");
    for (verb, code) in [("abort-renewal", "not-found"), ("renewing", "not-found")] {
        let request = v1::AbortRenewal {
            renewal_id: "renewal-00000000".into(),
            ..Default::default()
        };
        let refused = world.ask::<v1::Changed>(ADA, verb, &request).unwrap_err();
        assert_eq!(
            (refused.code.as_str(), refused.field.as_str()),
            (code, "renewal_id")
        );
    }
    // All eight are about the one device, and it renews once for all of them.
    for _ in 0..5 {
        world.wait(200);
    }
    let listed: v1::RenewalsListed = world.ask(ADA, "renewals", &v1::ListRenewals::default()).unwrap();
    let serial = row(&mut world, &listed.renewals[0].renewal_id, "pump-1").serial;
    let next = renew(&mut world, "pump-1", &serial).unwrap().serial;
    world.used(&next);
    let listed: v1::RenewalsListed = world.ask(ADA, "renewals", &v1::ListRenewals::default()).unwrap();
    assert!(
        listed
            .renewals
            .iter()
            .all(|it| it.state() == MassRenewalState::Succeeded)
    );
}
