use pki::{Authority, Charter, KeyKind, Serial};

use super::*;
use crate::ground::{Ground, Machine};

const NOW: i64 = 1_800_000_000_000;
const DAY: i64 = 86_400_000;

/// A root that can sign.
struct Site {
    root: RootCertificate,
    authority: Authority,
}

fn site(n: u8, days: i64) -> Site {
    let made = pki::create_root(&Charter {
        site: "harbour",
        key: KeyKind::P256,
        serial: Serial::from_random([n; 16]),
        now_ms: NOW,
        lifetime_ms: (days * DAY) as u64,
    })
    .unwrap();
    Site {
        root: RootCertificate::read_all(&made.chain_pem).unwrap().remove(0),
        authority: Authority::open(&made.chain_pem, &made.key_pem, NOW).unwrap(),
    }
}

fn link(former: &Site, next: &Site) -> String {
    let serial = Serial::from_random([99; 16]);
    pki::link_roots(&former.authority, &next.root, serial, NOW)
        .unwrap()
        .pem
}

/// A device's folder, and what the device was heard to say.
struct Home {
    folder: Arc<Folder>,
    heard: Arc<Mutex<Vec<Event>>>,
    _dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Home {
        let dir = tempfile::tempdir().unwrap();
        Home {
            folder: Arc::new(Folder::on(Machine.disk(dir.path()).unwrap())),
            heard: Arc::default(),
            _dir: dir,
        }
    }

    /// The device as it starts, set up with these.
    fn roots(&self, begun_with: &[&Site]) -> Roots {
        let text: String = begun_with.iter().map(|site| site.root.pem.as_str()).collect();
        let heard = self.heard.clone();
        Roots::new(
            self.folder.clone(),
            &text,
            Arc::new(move |event| heard.lock().unwrap().push(event)),
        )
    }

    fn heard(&self) -> Vec<Event> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }
}

fn all(sites: &[&Site]) -> String {
    sites.iter().map(|site| site.root.pem.as_str()).collect()
}

fn trusted(roots: &Roots, now_ms: Option<i64>) -> Vec<RootCertificate> {
    RootCertificate::read_all(&roots.trusted_pem(now_ms).unwrap()).unwrap()
}

#[test]
fn a_root_that_is_vouched_for_is_trusted_from_then_on_and_the_former_stays() {
    let (home, old, new) = (Home::new(), site(1, 900), site(2, 900));
    let roots = home.roots(&[&old]);
    roots.take(&all(&[&old, &new]), &link(&old, &new), NOW).unwrap();
    let fingerprint = new.root.fingerprint_sha256.clone();
    assert_eq!(home.heard(), [Event::RootTaken { fingerprint }]);
    let both = [old.root.clone(), new.root.clone()];
    assert_eq!(trusted(&roots, Some(NOW)), both);
    // Told again, and after a start; also when nobody lists it any more, or its link.
    for (told, links) in [
        (all(&[&old, &new]), link(&old, &new)),
        (all(&[&new]), String::new()),
        (all(&[&old]), String::new()),
        (String::new(), String::new()),
    ] {
        let again = home.roots(&[&old]);
        again.take(&told, &links, NOW).unwrap();
        assert_eq!(
            (trusted(&again, Some(NOW)), home.heard()),
            (both.to_vec(), vec![])
        );
    }
    // Until it has ended, where the device knows the time; or until the root that vouches for it is not trusted.
    let later = Some(NOW + 1000 * DAY);
    assert_eq!(trusted(&roots, later), both[..1]);
    assert_eq!(trusted(&roots, None), both);
    let other = site(3, 900);
    assert_eq!(trusted(&home.roots(&[&other]), Some(NOW)), [other.root]);
}

#[test]
fn a_root_that_nobody_vouches_for_is_refused_and_that_is_said_once() {
    let (home, old, new, stranger) = (Home::new(), site(1, 900), site(2, 900), site(3, 900));
    let roots = home.roots(&[&old]);
    for links in ["", &link(&stranger, &new), &link(&old, &stranger)] {
        for _ in 0..3 {
            roots.take(&all(&[&old, &new]), links, NOW).unwrap();
        }
        let heard = home.heard();
        let [Event::Problem { what }] = &heard[..] else {
            panic!("{heard:?}");
        };
        assert!(what.contains(&new.root.fingerprint_sha256), "{what}");
        assert_eq!(trusted(&roots, Some(NOW)), std::slice::from_ref(&old.root));
    }
    // A link whose time is over.
    let late = NOW + 500 * DAY;
    let brief = site(4, 100);
    let ends_early = link(&old, &brief);
    roots.take(&all(&[&brief]), &ends_early, late).unwrap();
    assert!(matches!(&home.heard()[..], [Event::Problem { what }] if what.contains("has ended")));
    assert_eq!(home.folder.names(TAKEN).unwrap(), Vec::<String>::new());
}

#[test]
fn what_makes_no_sense_or_is_too_much_changes_nothing() {
    let (home, old, new) = (Home::new(), site(1, 900), site(2, 900));
    let roots = home.roots(&[&old]);
    let many: Vec<_> = (10..20).map(|n| site(n, 900)).collect();
    let many = all(&many.iter().collect::<Vec<_>>());
    for (told, links) in [
        ("nonsense", ""),
        (old.root.pem.as_str(), "nonsense"),
        (many.as_str(), ""),
        (
            old.root.pem.as_str(),
            link(&old, &new).repeat(pki::LINKS_MAX + 1).as_str(),
        ),
        (link(&old, &new).as_str(), ""),
    ] {
        roots.take(told, links, NOW).unwrap();
        assert_eq!(trusted(&roots, Some(NOW)), std::slice::from_ref(&old.root));
    }
    assert!(
        home.heard()
            .iter()
            .all(|event| matches!(event, Event::Problem { .. }))
    );
}

#[test]
fn so_many_are_kept_and_an_ended_one_makes_room() {
    let (home, old) = (Home::new(), site(1, 5_000));
    let brief = site(2, 100);
    let roots = home.roots(&[&old]);
    roots.take(&all(&[&brief]), &link(&old, &brief), NOW).unwrap();
    let others: Vec<_> = (3..=11).map(|n| site(n, 5_000)).collect();
    for next in &others {
        roots.take(&all(&[next]), &link(&old, next), NOW).unwrap();
    }
    let kept = trusted(&roots, Some(NOW));
    assert_eq!(kept.len(), 1 + ROOTS_MAX);
    assert!(kept.contains(&brief.root) && !kept.contains(&others[7].root));
    let said = home.heard();
    assert!(
        matches!(said.last(), Some(Event::Problem { what }) if what.contains("8 already")),
        "{said:?}"
    );
    // Once the brief one has ended.
    let later = NOW + 200 * DAY;
    roots
        .take(&all(&[&others[7]]), &link(&old, &others[7]), later)
        .unwrap();
    let kept = trusted(&roots, None);
    assert!(!kept.contains(&brief.root) && kept.contains(&others[7].root) && kept.len() == 1 + ROOTS_MAX);
}

#[test]
fn a_damaged_file_loses_what_was_taken_and_nothing_else_until_it_is_told_again() {
    let (home, old, new) = (Home::new(), site(1, 900), site(2, 900));
    let roots = home.roots(&[&old]);
    roots.take(&all(&[&new]), &link(&old, &new), NOW).unwrap();
    home.heard();
    std::fs::write(home.folder.path(TAKEN), b"{\"taken\":[]}\n00000000\n").unwrap();
    assert_eq!(trusted(&roots, Some(NOW)), std::slice::from_ref(&old.root));
    assert!(matches!(&home.heard()[..], [Event::Problem { what }] if what.contains("damaged")));
    roots.take(&all(&[&new]), &link(&old, &new), NOW).unwrap();
    assert_eq!(trusted(&roots, Some(NOW)).len(), 2);
}
