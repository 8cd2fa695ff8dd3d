//! An installation, and the pieces of DER that its parsers look for.

use pki::{Authority, Charter, Host, IssuedCertificate, KeyKind, Plan, Profile, PublicKey, Serial, Validity};

pub(crate) const NOW: i64 = 1_800_000_000_000;
const YEAR: u64 = 365 * 86_400_000;

/// Heads, object identifiers and values that mean something in a request or a certificate.
pub(crate) const WORDS: &[&[u8]] = &[
    b"\x30\x00",
    b"\x31\x00",
    b"\x30\x80",
    b"\x30\x84\xFF\xFF\xFF\xFF",
    b"\x05\x00",
    b"\x01\x01\xFF",
    b"\x01\x01\x00",
    b"\x02\x01\x80",
    b"\x02\x09\x00\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
    b"\xA0\x00",
    b"\xA0\x03\x02\x01\x02",
    b"\xA3\x80",
    b"\x03\x01\x00",
    b"\x03\x02\x07\x80",
    b"\x04\x05\x30\x03\x01\x01\xFF",
    // basicConstraints, critical, CA:TRUE
    b"\x30\x0F\x06\x03\x55\x1D\x13\x01\x01\xFF\x04\x05\x30\x03\x01\x01\xFF",
    // keyUsage, critical, keyCertSign
    b"\x30\x0E\x06\x03\x55\x1D\x0F\x01\x01\xFF\x04\x04\x03\x02\x02\x04",
    b"\x06\x03\x55\x1D\x0E",
    b"\x06\x03\x55\x1D\x11",
    b"\x06\x03\x55\x1D\x23",
    b"\x06\x03\x55\x1D\x25",
    b"\x06\x03\x55\x04\x03",
    b"\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x09\x0E",
    b"\x0C\x06pump-8",
    b"\x86\x21urn:muster:harbour:operators:ada",
    b"\x17\x0D991231235959Z",
    b"\x18\x0F00000000000000Z",
];

pub(crate) struct Site {
    pub(crate) root: Authority,
    pub(crate) issuing: Authority,
}

impl Site {
    pub(crate) fn new() -> Site {
        let charter = |n| Charter {
            site: "harbour",
            key: KeyKind::P256,
            serial: Serial::from_random([n; 16]),
            now_ms: NOW,
            lifetime_ms: 5 * YEAR,
        };
        let root = pki::create_root(&charter(1)).unwrap();
        let root = Authority::open(&root.chain_pem, &root.key_pem, NOW).unwrap();
        let issuing = pki::create_issuing(&root, &charter(2)).unwrap();
        let issuing = Authority::open(&issuing.chain_pem, &issuing.key_pem, NOW).unwrap();
        Site { root, issuing }
    }

    /// The pump's certificate, for this key.
    pub(crate) fn client(&self, key: &PublicKey) -> IssuedCertificate {
        self.issuing.sign(&self.plan(Profile::Client, key)).unwrap()
    }

    /// The server's.
    pub(crate) fn server(&self, key: &PublicKey) -> IssuedCertificate {
        let hosts = ["broker.local", "::1"].map(|host| Host::parse(host).unwrap());
        let profile = Profile::Server {
            hosts: hosts.to_vec(),
        };
        self.issuing.sign(&self.plan(profile, key)).unwrap()
    }

    fn plan(&self, profile: Profile, key: &PublicKey) -> Plan {
        let validity = Validity::within(self.issuing.validity(), NOW, YEAR).unwrap();
        let subject = "urn:muster:harbour:devices:pump-7".parse().unwrap();
        Plan::new(Serial::from_random([9; 16]), profile, subject, key, validity)
    }
}

pub(crate) fn key(kind: KeyKind) -> PublicKey {
    PublicKey::of_private(&pki::generate_key(kind).unwrap()).unwrap()
}

pub(crate) fn der(pem: &[u8]) -> Vec<u8> {
    pem::parse(pem).unwrap().into_contents()
}

pub(crate) fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    pem::encode(&pem::Pem::new(label, der)).into_bytes()
}

/// Nested as deep as this, each level with its right length.
pub(crate) fn nest(levels: usize) -> Vec<u8> {
    let heads = (0..levels).rev().map(|below| {
        let length = u32::try_from(below * 5).unwrap().to_be_bytes();
        [&[0x30, 0x83][..], &length[1..]].concat()
    });
    heads.flatten().collect()
}
