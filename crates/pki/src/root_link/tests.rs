use std::process::Command;

use super::*;
use crate::founding::{Charter, create_issuing, create_root};
use crate::succession::{LINKS_MAX, NotTaken, ROOTS_MAX, Succession, Told, ToldError, led_to};

const NOW: i64 = 1_800_000_000_000;
const DAY: i64 = 86_400_000;
const LIFE: i64 = 7_000 * DAY;

/// A root with its key.
struct Site {
    root: RootCertificate,
    authority: Authority,
}

fn site_from(n: u8, kind: KeyKind, now_ms: i64, lifetime_ms: i64) -> Site {
    let made = create_root(&Charter {
        site: "hq",
        key: kind,
        serial: Serial::from_random([n; 16]),
        now_ms,
        lifetime_ms: lifetime_ms as u64,
    })
    .unwrap();
    Site {
        root: RootCertificate::read_all(&made.chain_pem).unwrap().remove(0),
        authority: Authority::open(&made.chain_pem, &made.key_pem, now_ms).unwrap(),
    }
}

fn site(n: u8) -> Site {
    site_from(n, KeyKind::P256, NOW, LIFE)
}

fn serial(n: u8) -> Serial {
    Serial::from_random([n; 16])
}

fn link(former: &Site, next: &Site) -> RootLink {
    link_roots(&former.authority, &next.root, serial(90), NOW).unwrap()
}

fn told(roots: &[&Site], links: &[&RootLink]) -> Told {
    let roots: String = roots.iter().map(|site| site.root.pem.as_str()).collect();
    let links: String = links.iter().map(|link| link.pem.as_str()).collect();
    Told::read(&roots, &links).unwrap()
}

/// What becomes of the only new root.
fn judged(trusted: &Site, told: &Told, at_ms: i64) -> Option<NotTaken> {
    let judged = Succession::judge(std::slice::from_ref(&trusted.root), told, at_ms);
    assert_eq!(judged.taken.len() + judged.refused.len(), 1);
    judged.refused.first().map(|(_, why)| *why)
}

/// A link of this authority's key, with what somebody changes in it.
fn forged(by: &Authority, next: &Site, change: impl FnOnce(&mut TbsCertificate)) -> RootLink {
    let validity = Validity::within(by.validity(), NOW, DAY as u64).unwrap();
    let der = signed(by, &next.authority.own, serial(91), validity)
        .unwrap()
        .unwrap();
    let mut whole = Certificate::from_der(&der).unwrap();
    change(&mut whole.tbs_certificate);
    let message = whole.tbs_certificate.to_der().unwrap();
    whole.signature = BitString::from_bytes(&by.issuer.key().sign(&message).unwrap()).unwrap();
    RootLink::read(whole.to_der().unwrap()).unwrap()
}

#[test]
fn a_root_of_any_kind_links_one_of_any_kind_and_openssl_agrees() {
    for former in KeyKind::ALL {
        for next in KeyKind::ALL {
            let (former, next) = (site_from(1, former, NOW, LIFE), site_from(2, next, NOW, LIFE / 2));
            let link = link(&former, &next);
            assert!(link.leads_to(&next.root) && !link.leads_to(&former.root));
            assert!(link.is_signed_by(&former.root) && !link.is_signed_by(&next.root));
            assert!(
                former.root.validity.encloses(link.validity) && next.root.validity.encloses(link.validity)
            );
            assert_eq!(link.validity.not_after_ms, next.root.validity.not_after_ms);
            assert_eq!(judged(&former, &told(&[&former, &next], &[&link]), NOW), None);
            let at = tempfile::tempdir().unwrap();
            let file = |name: &str, text: &str| {
                let path = at.path().join(name);
                std::fs::write(&path, text).unwrap();
                path
            };
            let output = Command::new("openssl")
                .args([
                    "verify",
                    "-x509_strict",
                    "-attime",
                    &(NOW / 1000).to_string(),
                    "-CAfile",
                ])
                .arg(file("former.pem", &former.root.pem))
                .arg(file("link.pem", &link.pem))
                .output()
                .unwrap();
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
}

#[test]
fn only_a_root_that_is_trusted_can_vouch() {
    let (old, new, stranger) = (site(1), site(2), site(3));
    let all = [&old, &new];
    assert_eq!(judged(&old, &told(&all, &[]), NOW), Some(NotTaken::NoLink));
    let foreign = link(&stranger, &new);
    assert_eq!(
        judged(&old, &told(&all, &[&foreign]), NOW),
        Some(NotTaken::Unsigned)
    );

    // A stolen issuing CA: it is no root, neither by our own tool nor with its key in the hands of others.
    let issuing = create_issuing(
        &old.authority,
        &Charter {
            site: "hq",
            key: KeyKind::P256,
            serial: serial(7),
            now_ms: NOW,
            lifetime_ms: LIFE as u64 / 2,
        },
    )
    .unwrap();
    let issuing = Authority::open(&issuing.chain_pem, &issuing.key_pem, NOW).unwrap();
    assert_eq!(
        link_roots(&issuing, &new.root, serial(8), NOW),
        Err(LinkError::WrongTier)
    );
    let stolen = forged(&issuing, &new, |_| {});
    assert_eq!(
        judged(&old, &told(&all, &[&stolen]), NOW),
        Some(NotTaken::Unsigned)
    );
    // In the old root's name.
    let posing = forged(&issuing, &new, |content| {
        content.issuer = Name::from_der(&old.authority.own.subject_der).unwrap();
    });
    assert_eq!(
        judged(&old, &told(&all, &[&posing]), NOW),
        Some(NotTaken::Unsigned)
    );
    // The new root vouches for itself.
    assert_eq!(
        link_roots(&new.authority, &new.root, serial(9), NOW),
        Err(LinkError::Itself)
    );
}

#[test]
fn a_link_is_for_one_name_and_one_key() {
    let (old, new, other) = (site(1), site(2), site(3));
    let all = [&old, &new];
    let for_other = link(&old, &other);
    assert_eq!(
        judged(&old, &told(&all, &[&for_other]), NOW),
        Some(NotTaken::NoLink)
    );
    let with_key = forged(&old.authority, &new, |content| {
        let spki = other.authority.own.key.spki_der();
        content.subject_public_key_info = SubjectPublicKeyInfoOwned::from_der(spki).unwrap();
    });
    assert_eq!(
        judged(&old, &told(&all, &[&with_key]), NOW),
        Some(NotTaken::NoLink)
    );
    let with_name = forged(&old.authority, &new, |content| {
        content.subject = Name::from_der(&other.authority.own.subject_der).unwrap();
    });
    assert_eq!(
        judged(&old, &told(&all, &[&with_name]), NOW),
        Some(NotTaken::NoLink)
    );
    let with_mark = forged(&old.authority, &new, |content| {
        let mark = SubjectKeyIdentifier(OctetString::new(vec![1; 20]).unwrap());
        content.extensions.as_mut().unwrap()[2] = extension(&mark, false).unwrap();
    });
    assert_eq!(
        judged(&old, &told(&all, &[&with_mark]), NOW),
        Some(NotTaken::NoLink)
    );
}

#[test]
fn what_is_no_ca_is_neither_link_nor_root() {
    let (old, new) = (site(1), site(2));
    for (ca, path_len_constraint) in [(false, None), (true, Some(0)), (true, None)] {
        let constraints = BasicConstraints {
            ca,
            path_len_constraint,
        };
        let change = |content: &mut TbsCertificate| {
            content.extensions.as_mut().unwrap()[0] = extension(&constraints, true).unwrap();
        };
        let validity = old.root.validity;
        let der = signed(&old.authority, &new.authority.own, serial(5), validity);
        let mut whole = Certificate::from_der(&der.unwrap().unwrap()).unwrap();
        change(&mut whole.tbs_certificate);
        let message = whole.tbs_certificate.to_der().unwrap();
        whole.signature = BitString::from_bytes(&old.authority.issuer.key().sign(&message).unwrap()).unwrap();
        assert!(
            RootLink::read(whole.to_der().unwrap()).is_err(),
            "{constraints:?}"
        );
    }
    // A certificate of a root without CA:TRUE, which signs itself.
    let mut whole = Certificate::from_der(&new.authority.own.der).unwrap();
    let constraints = whole
        .tbs_certificate
        .extensions
        .as_mut()
        .unwrap()
        .iter_mut()
        .find(|one| one.extn_id == BasicConstraints::OID)
        .unwrap();
    *constraints = extension(
        &BasicConstraints {
            ca: false,
            path_len_constraint: None,
        },
        true,
    )
    .unwrap();
    let message = whole.tbs_certificate.to_der().unwrap();
    whole.signature = BitString::from_bytes(&new.authority.issuer.key().sign(&message).unwrap()).unwrap();
    let text = pem_text::write_block("CERTIFICATE", &whole.to_der().unwrap());
    assert_eq!(
        Told::read(&text, &link(&old, &new).pem),
        Err(ToldError::Unfit(AuthorityError::NotAnAuthority))
    );
    // A root is no link, and a link is no root.
    assert_eq!(RootLink::read_all(&old.root.pem), Err(AuthorityError::NoLink));
    assert!(RootCertificate::read_all(&link(&old, &new).pem).is_err());
}

#[test]
fn times_count() {
    let (old, new) = (site(1), site(2));
    let short = forged(&old.authority, &new, |_| {});
    let all = told(&[&old, &new], &[&short]);
    assert_eq!(judged(&old, &all, NOW), None);
    for at_ms in [NOW + 2 * DAY, NOW - DAY] {
        let early = at_ms < NOW;
        let expected = if early {
            NotTaken::RootTime
        } else {
            NotTaken::LinkTime
        };
        assert_eq!(judged(&old, &all, at_ms), Some(expected));
    }
    let brief = site_from(4, KeyKind::P256, NOW, DAY);
    let all = told(&[&old, &brief], &[]);
    assert_eq!(judged(&old, &all, NOW + 2 * DAY), Some(NotTaken::RootTime));
    // Roots that share no time are not linked.
    let later = site_from(5, KeyKind::P256, NOW + 2 * DAY, LIFE);
    for now in [NOW, NOW + 3 * DAY] {
        let refused = link_roots(&brief.authority, &later.root, serial(6), now);
        assert!(matches!(refused, Err(LinkError::Validity(_))), "{refused:?}");
    }
}

#[test]
fn a_chain_of_links_is_followed_in_any_order_and_never_past_the_bound() {
    let sites: Vec<_> = (1..=9).map(site).collect();
    let links: Vec<_> = sites.windows(2).map(|two| link(&two[0], &two[1])).collect();
    let [first, second, third] = [&sites[0], &sites[1], &sites[2]];
    let backwards = told(&[third, second, first], &[&links[1], &links[0]]);
    let judged = Succession::judge(std::slice::from_ref(&first.root), &backwards, NOW);
    let names: Vec<_> = judged.taken.iter().map(|(root, _)| root.clone()).collect();
    assert_eq!(names, [second.root.clone(), third.root.clone()]);
    assert_eq!(judged.refused, []);

    // What was taken counts as long as the root that it began with does, also when all links have ended.
    assert_eq!(led_to(std::slice::from_ref(&first.root), &judged.taken), names);
    assert_eq!(
        led_to(std::slice::from_ref(&second.root), &judged.taken),
        names[1..]
    );
    assert_eq!(led_to(std::slice::from_ref(&sites[5].root), &judged.taken), []);

    // A gap is not jumped.
    let gap = told(&[first, second, third], &[&links[1]]);
    let judged = Succession::judge(std::slice::from_ref(&first.root), &gap, NOW);
    assert!(judged.taken.is_empty() && judged.refused.len() == 2);

    let all_roots: String = sites.iter().map(|site| site.root.pem.as_str()).collect();
    assert_eq!(sites.len(), ROOTS_MAX + 1);
    assert_eq!(Told::read(&all_roots, ""), Err(ToldError::TooMany));
    let many = links[0].pem.repeat(LINKS_MAX + 1);
    assert_eq!(Told::read(&first.root.pem, &many), Err(ToldError::TooMany));
    let long = format!("{}{}", first.root.pem, "\n".repeat(crate::ROOTS_MAX_BYTES));
    assert_eq!(Told::read(&long, ""), Err(ToldError::TooMany));
}
