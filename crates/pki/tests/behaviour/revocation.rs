//! Revocation lists of both tiers.

use crate::world::{DAY, NOW, issuing, root, serial};
use pki::{KeyKind, Reason, RevocationListError, Revoked};
use x509_parser::prelude::*;

const TOMORROW: i64 = NOW + DAY as i64;

fn revoked(n: u8, reason: Reason) -> Revoked {
    Revoked {
        serial: serial(n),
        at_ms: NOW - 5_000,
        reason,
    }
}

#[test]
fn an_empty_list_has_no_entries_field() {
    for authority in [root(KeyKind::P256), issuing(KeyKind::Ed25519)] {
        let list = authority.empty_revocation_list(1, NOW, TOMORROW).unwrap();
        let (_, read) = CertificateRevocationList::from_der(&list.der).unwrap();
        assert_eq!(read.iter_revoked_certificates().count(), 0);
        assert_eq!(read.version(), Some(X509Version::V2));
        let oids: Vec<_> = read
            .extensions()
            .iter()
            .map(|said| said.oid.to_id_string())
            .collect();
        assert_eq!(oids, ["2.5.29.35", "2.5.29.20"], "key identifier and number");
    }
}

#[test]
fn a_reason_stands_only_where_one_was_told() {
    let authority = issuing(KeyKind::P256);
    let entries = [revoked(7, Reason::Unspecified), revoked(8, Reason::KeyCompromise)];
    let list = authority
        .revocation_list(u64::MAX, NOW, TOMORROW, &entries)
        .unwrap();
    let (_, read) = CertificateRevocationList::from_der(&list.der).unwrap();
    let read: Vec<_> = read.iter_revoked_certificates().collect();
    assert_eq!(read[0].serial().to_bytes_be(), serial(7).octets());
    assert!(read[0].reason_code().is_none() && read[0].extensions().is_empty());
    assert_eq!(
        read[1].reason_code().map(|(_, code)| code),
        Some(ReasonCode::KeyCompromise)
    );
    assert_eq!(read[1].revocation_date.timestamp(), (NOW - 5_000) / 1000);
}

#[test]
fn lists_that_make_no_sense() {
    let authority = issuing(KeyKind::P256);
    let sign = |next, entries: &[Revoked]| authority.revocation_list(1, NOW, next, entries).unwrap_err();
    assert_eq!(sign(NOW, &[]), RevocationListError::NextUpdate);
    assert_eq!(sign(NOW + 999, &[]), RevocationListError::NextUpdate);
    let twice = [revoked(7, Reason::Superseded), revoked(7, Reason::KeyCompromise)];
    assert_eq!(
        sign(TOMORROW, &twice),
        RevocationListError::ListedTwice(serial(7))
    );
    let before_time = [Revoked {
        at_ms: -1,
        ..revoked(7, Reason::Superseded)
    }];
    assert!(matches!(
        sign(TOMORROW, &before_time),
        RevocationListError::Time(_)
    ));
}
