//! The certificates that the installation's set-up issued.

use contract::v1::{self, CertificateStatus};
use pki::{
    Authority, Charter, Host, KeyKind, Plan, Profile, PublicKey, Serial, Subject, SubjectKind, Validity,
};

use crate::world::{ADA, START, World};

const YEAR_MS: u64 = 365 * 86_400_000;

fn signed(by: &Authority, n: u8, kind: SubjectKind, id: &str) -> (String, v1::RecordCertificate) {
    let profile = match kind {
        SubjectKind::Service => Profile::Server {
            hosts: vec![Host::parse("localhost").unwrap()],
        },
        _ => Profile::Client,
    };
    let key = PublicKey::of_private(&pki::generate_key(KeyKind::P256).unwrap()).unwrap();
    let validity = Validity::within(by.validity(), START, YEAR_MS).unwrap();
    let subject = Subject::new("hq", kind, id).unwrap();
    let plan = Plan::new(Serial::from_random([n; 16]), profile, subject, &key, validity);
    let issued = by.sign(&plan).unwrap();
    let record = v1::RecordCertificate {
        kind: kind.word().into(),
        id: id.into(),
        certificate: issued.pem,
        ..Default::default()
    };
    (issued.serial_hex, record)
}

fn stranger() -> Authority {
    let charter = Charter {
        site: "hq",
        key: KeyKind::P256,
        serial: Serial::from_random([77; 16]),
        now_ms: START,
        lifetime_ms: 2 * YEAR_MS,
    };
    let root = pki::create_root(&charter).unwrap();
    let root = Authority::open(&root.chain_pem, &root.key_pem, START).unwrap();
    let issuing = pki::create_issuing(&root, &charter).unwrap();
    Authority::open(&issuing.chain_pem, &issuing.key_pem, START).unwrap()
}

#[test]
fn what_the_setup_issued_is_known_and_there_is_a_list() {
    let mut world = World::new();
    let authority = world.authority.clone();
    let (server, of_server) = signed(&authority, 11, SubjectKind::Service, "front-door");
    let (ada, of_ada) = signed(&authority, 12, SubjectKind::Operator, "ada");
    world.bootstrap(&[of_server, of_ada]);
    assert_eq!(
        world.status(&server),
        CertificateStatus::Active,
        "nobody will report its use"
    );
    assert_eq!(world.status(&ada), CertificateStatus::Issued);
    world.used(&ada);
    assert_eq!(world.status(&ada), CertificateStatus::Active);
    world.wait(600);
    let authorities: v1::Authorities = world
        .ask(ADA, "authorities", &v1::GetAuthorities::default())
        .unwrap();
    assert_eq!(authorities.crl_number, 1, "be it empty");
}

#[test]
fn what_another_authority_signed_is_not_recorded() {
    let mut world = World::new();
    let other = stranger();
    let (server, of_server) = signed(&other, 11, SubjectKind::Service, "front-door");
    let (ada, of_ada) = signed(&other, 12, SubjectKind::Operator, "ada");
    world.bootstrap(&[of_server, of_ada]);
    for serial in [server, ada] {
        let request = v1::ShowCertificate {
            serial,
            ..Default::default()
        };
        let shown = world.ask::<v1::CertificateShown>(ADA, "show", &request);
        assert_eq!(shown.unwrap_err().code, "not-found");
    }
}
