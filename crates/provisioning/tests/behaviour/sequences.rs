//! Whatever is asked in whatever order, with crashes between: what is over stays over, every request is
//! answered once, and every certificate that was handed out is known.

use std::collections::{BTreeMap, BTreeSet};

use contract::v1::{self, CertificateStatus, Stage};
use pki::ClientCertificate;
use proptest::prelude::*;

use crate::world::{ADA, World, key_and_csr};

#[derive(Debug, Clone)]
enum Step {
    Sign(u8),
    Use,
    Renew(u8),
    Revoke(u8),
    Retire(u8),
    Wait(u64),
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3u8).prop_map(Step::Sign),
        4 => Just(Step::Use),
        3 => (0..3u8).prop_map(Step::Renew),
        2 => (0..3u8).prop_map(Step::Revoke),
        1 => (0..3u8).prop_map(Step::Retire),
        2 => (1..5_000_000u64).prop_map(Step::Wait),
        1 => Just(Step::Crash),
    ]
}

#[derive(Default)]
struct Handed {
    /// Serial and device, in the order in which they were handed out.
    out: Vec<(String, String)>,
}

fn take(world: &mut World, handed: &mut Handed, step: &Step) {
    let device = |n: &u8| format!("pump-{n}");
    match step {
        Step::Sign(n) => {
            if let Ok(signed) = world.sign(&device(n), "lot") {
                handed.out.push((signed.serial, device(n)));
            }
        }
        Step::Use => {
            if let Some((serial, _)) = handed.out.last().cloned() {
                world.used(&serial);
            }
        }
        Step::Renew(n) => {
            let newest = handed.out.iter().rfind(|(_, d)| *d == device(n)).cloned();
            let Some((serial, id)) = newest else { return };
            let request = v1::Sign {
                csr: key_and_csr(&id).1,
                ..Default::default()
            };
            let renewed =
                world.ask_over::<v1::Signed>(&format!("devices/{id}"), &serial, "", "renew", &request);
            if let Some(Ok(signed)) = renewed {
                handed.out.push((signed.serial, id));
            }
        }
        Step::Revoke(n) => {
            let request = v1::Revoke {
                kind: "devices".into(),
                id: device(n),
                ..Default::default()
            };
            let _ = world.ask_over::<v1::Revoked>(ADA, "", "", "revoke", &request);
        }
        Step::Retire(n) => world.tell_device(&device(n), Stage::Retired),
        Step::Wait(ms) => world.wait(*ms),
        Step::Crash => world.restart(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn what_is_over_stays_over_and_what_was_handed_out_is_known(steps in prop::collection::vec(step(), 1..40)) {
        let mut world = World::new();
        world.claim("lot", 10_000);
        for n in 0..3 {
            world.tell_device(&format!("pump-{n}"), Stage::Registered);
        }
        let mut handed = Handed::default();
        let mut last: BTreeMap<String, CertificateStatus> = BTreeMap::new();
        let mut retired = BTreeSet::new();
        for step in &steps {
            take(&mut world, &mut handed, step);
            if let Step::Retire(n) = step {
                retired.insert(format!("pump-{n}"));
            }
            for (serial, device) in &handed.out {
                let status = world.status(serial);
                let before = last.insert(serial.clone(), status).unwrap_or(CertificateStatus::Issued);
                // `retired` may still become `revoked`; nothing ever counts again.
                prop_assert!(status as i32 >= before as i32, "{serial}: {before:?} then {status:?}");
                let counts = matches!(status, CertificateStatus::Issued | CertificateStatus::Active);
                prop_assert!(!(counts && retired.contains(device)), "{device} is retired");
            }
        }
        let mut all: Vec<_> = handed.out.iter().map(|(serial, _)| serial.clone()).collect();
        all.sort();
        all.dedup();
        prop_assert_eq!(all.len(), handed.out.len(), "a serial stands for one certificate");
        for (serial, device) in &handed.out {
            let request = v1::ShowCertificate { serial: serial.clone(), ..Default::default() };
            let shown: v1::CertificateShown = world.ask(ADA, "show", &request).unwrap();
            let read = ClientCertificate::parse_pem(&shown.certificate.unwrap().pem).unwrap();
            prop_assert_eq!(read.subject.id(), device.as_str());
        }
    }
}
