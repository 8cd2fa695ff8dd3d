//! A harbour with a root, an issuing authority, and a pump.

use pki::{
    Authority, Charter, Host, KeyKind, NewAuthority, Plan, Profile, PublicKey, Serial, Subject, Validity,
};

pub(crate) const NOW: i64 = 1_800_000_000_000;
pub(crate) const DAY: u64 = 86_400_000;
pub(crate) const YEAR: u64 = 365 * DAY;

pub(crate) fn pump() -> Subject {
    "urn:muster:harbour:devices:pump-7".parse().unwrap()
}

pub(crate) fn serial(n: u8) -> Serial {
    Serial::from_random([n; 16])
}

pub(crate) fn charter(key: KeyKind, n: u8, lifetime_ms: u64) -> Charter<'static> {
    Charter {
        site: "harbour",
        key,
        serial: serial(n),
        now_ms: NOW,
        lifetime_ms,
    }
}

pub(crate) fn open(new: &NewAuthority) -> Authority {
    Authority::open(&new.chain_pem, &new.key_pem, NOW).unwrap()
}

pub(crate) fn root(key: KeyKind) -> Authority {
    open(&pki::create_root(&charter(key, 1, 20 * YEAR)).unwrap())
}

pub(crate) fn issuing(key: KeyKind) -> Authority {
    open(&pki::create_issuing(&root(key), &charter(key, 2, 5 * YEAR)).unwrap())
}

pub(crate) fn key(kind: KeyKind) -> PublicKey {
    PublicKey::of_private(&pki::generate_key(kind).unwrap()).unwrap()
}

pub(crate) fn plan(authority: &Authority, n: u8, key: &PublicKey) -> Plan {
    let validity = Validity::within(authority.validity(), NOW, 90 * DAY).unwrap();
    Plan::new(serial(n), Profile::Client, pump(), key, validity)
}

pub(crate) fn server_plan(authority: &Authority, n: u8, key: &PublicKey) -> Plan {
    let hosts = ["broker.local", "192.0.2.7", "::1"].map(|host| Host::parse(host).unwrap());
    let subject = "urn:muster:harbour:services:front-door".parse().unwrap();
    Plan {
        profile: Profile::Server {
            hosts: hosts.to_vec(),
        },
        subject,
        ..plan(authority, n, key)
    }
}
