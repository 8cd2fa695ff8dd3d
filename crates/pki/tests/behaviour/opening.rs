//! Opening an authority: certificates and keys that do not belong together, or no longer count.

use crate::world::{DAY, NOW, YEAR, charter, issuing, open, plan, root};
use pki::{Authority, AuthorityError, KeyKind, NewAuthority, Tier};

fn new_root() -> NewAuthority {
    pki::create_root(&charter(KeyKind::P256, 1, YEAR)).unwrap()
}

fn refusal(chain_pem: &str, key_pem: &str, now_ms: i64) -> AuthorityError {
    Authority::open(chain_pem, key_pem, now_ms).unwrap_err()
}

#[test]
fn both_tiers_open_and_keep_their_chain() {
    let new = new_root();
    let root = open(&new);
    assert_eq!(root.tier(), Tier::Root);
    assert_eq!(root.chain_pem(), new.chain_pem);
    let new = pki::create_issuing(&root, &charter(KeyKind::P256, 2, YEAR)).unwrap();
    let issuing = open(&new);
    assert_eq!(issuing.tier(), Tier::Issuing);
    assert_eq!(issuing.chain_pem(), new.chain_pem);
    assert_eq!(
        issuing.chain_pem(),
        issuing.certificate_pem() + &root.certificate_pem()
    );
    assert_ne!(issuing.fingerprint_sha256(), root.fingerprint_sha256());
}

#[test]
fn a_key_of_another_certificate() {
    let (one, other) = (new_root(), new_root());
    assert_eq!(
        refusal(&one.chain_pem, &other.key_pem, NOW),
        AuthorityError::KeyMismatch
    );
    assert!(matches!(refusal(&one.chain_pem, "", NOW), AuthorityError::Key(_)));
}

#[test]
fn an_authority_outside_its_period() {
    let new = new_root();
    let late = NOW + (YEAR + DAY) as i64;
    assert_eq!(
        refusal(&new.chain_pem, &new.key_pem, late),
        AuthorityError::Expired
    );
    assert_eq!(
        refusal(&new.chain_pem, &new.key_pem, NOW - 61_000),
        AuthorityError::NotYetValid
    );
}

#[test]
fn a_leaf_in_the_place_of_an_authority() {
    let authority = issuing(KeyKind::P256);
    let leaf_key = pki::generate_key(KeyKind::P256).unwrap();
    let public = pki::PublicKey::of_private(&leaf_key).unwrap();
    let leaf = authority.sign(&plan(&authority, 9, &public)).unwrap();
    assert_eq!(refusal(&leaf.pem, &leaf_key, NOW), AuthorityError::NotAnAuthority);
    let below = leaf.pem + &authority.chain_pem();
    assert_eq!(refusal(&below, &leaf_key, NOW), AuthorityError::NotAnAuthority);
}

#[test]
fn a_chain_whose_links_do_not_hold() {
    let new = pki::create_issuing(&root(KeyKind::P256), &charter(KeyKind::P256, 2, YEAR)).unwrap();
    let issuing = open(&new);
    let stranger = new_root();
    let chain = issuing.certificate_pem() + &stranger.chain_pem;
    assert_eq!(refusal(&chain, &new.key_pem, NOW), AuthorityError::BrokenChain);
    assert_eq!(refusal("", &new.key_pem, NOW), AuthorityError::NotParseable);
    let noisy = new.chain_pem.clone() + "note";
    assert_eq!(refusal(&noisy, &new.key_pem, NOW), AuthorityError::NotParseable);
}

#[test]
fn what_an_authority_shows_of_itself_holds_no_key() {
    let new = new_root();
    let shown = format!("{:?}", open(&new));
    assert!(shown.contains("Root") && !shown.contains("PRIVATE"));
}

#[test]
fn an_authority_that_somebody_else_founded_fits_its_root_and_its_time() {
    let root = open(&new_root());
    let new = pki::create_issuing(&root, &charter(KeyKind::P256, 2, YEAR)).unwrap();
    let brought = pki::Brought::open(&new.chain_pem, &new.key_pem, NOW).unwrap();
    assert_eq!(brought.root_pem, root.certificate_pem());
    assert_eq!(brought.issuing.chain_pem(), new.chain_pem);
    let refusal = |chain: &str, key: &str, now_ms| pki::Brought::open(chain, key, now_ms).unwrap_err();
    let late = NOW + (YEAR + DAY) as i64;
    assert_eq!(
        refusal(&new.chain_pem, &new.key_pem, late),
        AuthorityError::Expired
    );
    assert_eq!(
        refusal(&new.chain_pem, &new.key_pem, NOW - 61_000),
        AuthorityError::NotYetValid
    );
    let alone = open(&new).certificate_pem();
    assert_eq!(refusal(&alone, &new.key_pem, NOW), AuthorityError::NotTwo);
    let twice = format!("{0}{0}", root.certificate_pem());
    assert_eq!(refusal(&twice, &new.key_pem, NOW), AuthorityError::NotIssuing);
}
