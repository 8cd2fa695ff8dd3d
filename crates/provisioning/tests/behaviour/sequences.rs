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
    /// The device's certificates are revoked while the next is being signed.
    RevokeInFlight(u8),
    /// The device is retired while its certificate is being signed.
    RetireInFlight(u8),
    /// The last request for a certificate comes again.
    Repeat,
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
        2 => (0..3u8).prop_map(Step::RevokeInFlight),
        1 => (0..3u8).prop_map(Step::RetireInFlight),
        2 => Just(Step::Repeat),
        2 => (1..5_000_000u64).prop_map(Step::Wait),
        1 => Just(Step::Crash),
    ]
}

#[derive(Default)]
struct Handed {
    /// Serial and device, in the order in which they were handed out.
    out: Vec<(String, String)>,
    /// Requests that were promised an answer, by name.
    promised: Vec<String>,
    /// The last request for a first certificate: its name, device, text, and when it was sent.
    last: Option<(String, String, v1::Sign, i64)>,
}

impl Handed {
    /// Asks for a device's first certificate; the answer's name comes back.
    fn ask(&mut self, world: &mut World, device: &str) -> String {
        let request = v1::Sign {
            csr: key_and_csr(device).1,
            ..Default::default()
        };
        let name = format!("sign-{}", self.promised.len());
        self.promised.push(name.clone());
        let claim = format!("claims/{device}");
        world.ask_as::<v1::Signed>(&name, &claim, "", "lot", "sign", &request);
        self.last = Some((name.clone(), device.into(), request, world.now_ms));
        name
    }

    fn revoke(&mut self, world: &mut World, device: &str) {
        let request = v1::Revoke {
            kind: "devices".into(),
            id: device.into(),
            ..Default::default()
        };
        let name = format!("revoke-{}", self.promised.len());
        self.promised.push(name.clone());
        world.ask_as::<v1::Revoked>(&name, ADA, "", "", "revoke", &request);
    }

    /// Takes what came of a request for a first certificate.
    fn receive(&mut self, world: &World, name: &str, device: &str) {
        let answer = world.answer_since::<v1::Signed>(0, name).expect("an answer");
        if let Ok(signed) = answer {
            self.out.push((signed.serial, device.into()));
        }
    }

    fn repeat(&mut self, world: &mut World) {
        let Some((name, device, request, at_ms)) = self.last.clone() else {
            return;
        };
        // An answer is kept for a day.
        if world.now_ms - at_ms > 80_000_000 {
            return;
        }
        let first = world.answer_since::<v1::Signed>(0, &name);
        let claim = format!("claims/{device}");
        let again = world.ask_as::<v1::Signed>(&name, &claim, "", "lot", "sign", &request);
        assert_eq!(first, again, "a repeat gets the first answer");
    }
}

/// Something happens between a plan and its signature.
fn in_flight(
    world: &mut World,
    handed: &mut Handed,
    device: &str,
    then: impl FnOnce(&mut World, &mut Handed),
) {
    world.hold_effects = true;
    let name = handed.ask(world, device);
    then(world, handed);
    world.hold_effects = false;
    world.wait(1);
    handed.receive(world, &name, device);
}

fn crl_number(world: &mut World) -> u64 {
    let authorities: v1::Authorities = world
        .ask(ADA, "authorities", &v1::GetAuthorities::default())
        .unwrap();
    authorities.crl_number
}

fn take(world: &mut World, handed: &mut Handed, step: &Step) {
    let device = |n: &u8| format!("pump-{n}");
    match step {
        Step::Sign(n) => {
            let name = handed.ask(world, &device(n));
            handed.receive(world, &name, &device(n));
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
        Step::Revoke(n) => handed.revoke(world, &device(n)),
        Step::Retire(n) => world.tell_device(&device(n), Stage::Retired),
        Step::RevokeInFlight(n) => in_flight(world, handed, &device(n), |world, handed| {
            handed.revoke(world, &device(n));
        }),
        Step::RetireInFlight(n) => in_flight(world, handed, &device(n), |world, _| {
            world.tell_device(&device(n), Stage::Retired);
        }),
        Step::Repeat => handed.repeat(world),
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
        let mut newest_list = 0;
        for step in &steps {
            take(&mut world, &mut handed, step);
            let number = crl_number(&mut world);
            prop_assert!(number >= newest_list, "the list's number only grows");
            newest_list = number;
            if let Step::Retire(n) | Step::RetireInFlight(n) = step {
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
        world.wait(5_000);
        for name in &handed.promised {
            let answer = world.answer_since::<v1::Done>(0, name);
            prop_assert!(answer.is_some(), "{name} has no answer");
        }
        let listed: v1::CertificatesListed = world
            .ask(ADA, "list", &v1::ListCertificates { kind: "devices".into(), page_size: 500, ..Default::default() })
            .unwrap();
        let known: BTreeSet<_> = handed.out.iter().map(|(serial, _)| serial.as_str()).collect();
        for certificate in &listed.certificates {
            let counts = matches!(certificate.status(), CertificateStatus::Issued | CertificateStatus::Active);
            prop_assert!(!counts || known.contains(certificate.serial.as_str()), "nobody has {}", certificate.serial);
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
