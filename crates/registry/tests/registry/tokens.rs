//! What people log in with.

use contract::{
    login::{TOKENS_MAX, token_digest},
    v1::{
        AuditRead, Changed, ListTokens, LoginFact, LoginToken, PasswordShown, PutPassword, PutPerson,
        PutToken, ReadAudit, RevokeToken, Role, ShowPassword, TokenMade, TokensListed, TokensRevoked,
    },
};

use crate::world::{ADA, Answered, World, data};

const HOUR_MS: i64 = 3_600_000;

fn world() -> World {
    let mut w = World::new();
    let bob = PutPerson {
        id: "bob".into(),
        kind: "operators".into(),
        role: Role::Operator.into(),
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "put-person", &bob).unwrap();
    w
}

fn digest(token: &str) -> String {
    token_digest(token.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn token(w: &World, token: &str, lifetime_ms: i64) -> PutToken {
    PutToken {
        kind: "operators".into(),
        id: "bob".into(),
        sha256: digest(token),
        expires_ms: w.now_ms + lifetime_ms,
        ..Default::default()
    }
}

fn make(w: &mut World, name: &str, lifetime_ms: i64) -> Answered<LoginToken> {
    let request = token(w, name, lifetime_ms);
    let made = w.ask::<TokenMade>(ADA, "put-token", &request)?;
    Ok(made.token.unwrap())
}

fn listed(w: &mut World) -> Vec<String> {
    let ask = ListTokens {
        kind: "operators".into(),
        id: "bob".into(),
        ..Default::default()
    };
    let listed = w.ask::<TokensListed>(ADA, "tokens", &ask).unwrap().tokens;
    assert!(listed.iter().all(|token| token.sha256.is_empty()));
    listed.into_iter().map(|token| token.token_id).collect()
}

fn revoke(w: &mut World, token_id: &str, all: bool) -> Answered<u32> {
    let request = RevokeToken {
        kind: "operators".into(),
        id: "bob".into(),
        token_id: token_id.into(),
        all,
        ..Default::default()
    };
    let revoked = w.ask::<TokensRevoked>(ADA, "revoke-token", &request)?;
    Ok(revoked.revoked)
}

#[test]
fn a_token_is_told_to_the_front_door_and_shown_without_what_opens() {
    let mut w = world();
    let made = make(&mut w, "one", HOUR_MS).unwrap();
    assert!(made.sha256.is_empty());
    assert_eq!(
        (made.made_by.as_str(), made.expires_ms),
        (ADA, w.now_ms + HOUR_MS)
    );
    let facts: Vec<LoginFact> = w.facts("login");
    let told = &facts[0].tokens[0];
    assert_eq!(
        (&told.token_id, &told.sha256, told.expires_ms),
        (&made.token_id, &digest("one"), made.expires_ms)
    );
    w.restart();
    assert_eq!(listed(&mut w), [made.token_id]);
}

#[test]
fn a_token_that_is_taken_back_is_gone_and_told() {
    let mut w = world();
    let first = make(&mut w, "one", HOUR_MS).unwrap().token_id;
    let second = make(&mut w, "two", HOUR_MS).unwrap().token_id;
    w.frames.clear();
    assert_eq!(revoke(&mut w, &first, false).unwrap(), 1);
    assert_eq!(w.facts::<LoginFact>("login")[0].tokens[0].token_id, second);
    assert_eq!(listed(&mut w), [second]);
    assert_eq!(revoke(&mut w, &first, false).unwrap_err().code, "not-found");
    w.frames.clear();
    assert_eq!(revoke(&mut w, "", true).unwrap(), 1);
    let events = w.events();
    assert_eq!(
        (&*events[0].subject, &*events[0].name),
        ("people/operators.bob", "token-revoked")
    );
    assert_eq!(data(&events[0])["token_ids"].as_array().unwrap().len(), 1);
    assert!(listed(&mut w).is_empty() && w.records("l").is_empty());
    assert_eq!(revoke(&mut w, "", true).unwrap(), 0, "a repeat does no harm");
    for (token_id, all) in [("", false), ("x", true)] {
        assert_eq!(revoke(&mut w, token_id, all).unwrap_err().field, "token_id");
    }
}

#[test]
fn what_has_ended_is_not_kept_and_makes_room() {
    let mut w = world();
    for n in 0..TOKENS_MAX {
        make(&mut w, &format!("t{n}"), HOUR_MS * (1 + n as i64)).unwrap();
    }
    let refused = make(&mut w, "more", HOUR_MS).unwrap_err();
    assert_eq!(refused.code, "limit");
    assert!(
        refused.message.contains("1970-01-01T01:16:40"),
        "{}",
        refused.message
    );
    w.frames.clear();
    w.wait(HOUR_MS);
    assert_eq!(w.facts::<LoginFact>("login")[0].tokens.len(), TOKENS_MAX - 1);
    assert_eq!(listed(&mut w).len(), TOKENS_MAX - 1);
    make(&mut w, "more", HOUR_MS).unwrap();
    // The others end one by one, and the last takes the record with it.
    for _ in 0..TOKENS_MAX {
        w.wait(HOUR_MS);
    }
    assert!(w.records("l").is_empty());
}

#[test]
fn a_token_is_checked_by_field() {
    let mut w = world();
    let good = token(&w, "one", HOUR_MS);
    let disabled = PutPerson {
        id: "eve".into(),
        kind: "operators".into(),
        role: Role::Viewer.into(),
        disabled: true,
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "put-person", &disabled).unwrap();
    for (request, field) in [
        (
            PutToken {
                kind: "devices".into(),
                ..good.clone()
            },
            "kind",
        ),
        (
            PutToken {
                id: "nobody".into(),
                ..good.clone()
            },
            "id",
        ),
        (
            PutToken {
                id: "BOB".into(),
                ..good.clone()
            },
            "id",
        ),
        (
            PutToken {
                id: "eve".into(),
                ..good.clone()
            },
            "id",
        ),
        (
            PutToken {
                sha256: "0a".into(),
                ..good.clone()
            },
            "sha256",
        ),
        (
            PutToken {
                expires_ms: w.now_ms,
                ..good.clone()
            },
            "expires_ms",
        ),
        (
            PutToken {
                expires_ms: w.now_ms + 32 * 24 * HOUR_MS,
                ..good.clone()
            },
            "expires_ms",
        ),
        (
            PutToken {
                expires_ms: i64::MIN,
                ..good.clone()
            },
            "expires_ms",
        ),
        (
            PutToken {
                note: "a\nb".into(),
                ..good.clone()
            },
            "note",
        ),
    ] {
        let refused = w.ask::<TokenMade>(ADA, "put-token", &request).unwrap_err();
        assert_eq!(refused.field, field, "{request:?}");
    }
    make(&mut w, "one", HOUR_MS).unwrap();
    assert_eq!(make(&mut w, "one", HOUR_MS).unwrap_err().code, "exists");
}

#[test]
fn the_audit_log_tells_of_tokens_and_not_what_opens() {
    let mut w = world();
    let made = make(&mut w, "one", HOUR_MS).unwrap();
    revoke(&mut w, &made.token_id, false).unwrap();
    let read: AuditRead = w.ask(ADA, "audit", &ReadAudit::default()).unwrap();
    let verbs: Vec<_> = read.entries.iter().map(|entry| entry.verb.as_str()).collect();
    assert_eq!(verbs[1..], ["registry/put-token", "registry/revoke-token"]);
    let change = &read.entries[1].changes[0];
    assert_eq!(change.record, "logins/operators/bob");
    assert!(change.field.contains(&made.token_id), "{change:?}");
    let told = format!("{:?}", read.entries);
    assert!(!told.contains(&digest("one")), "{told}");
}

/// Of the form of one; what it is made of does not matter here.
fn verifier(letter: &str) -> String {
    format!(
        "$argon2id$v=19$m=19456,t=2,p=1${}${}",
        letter.repeat(22),
        letter.repeat(43)
    )
}

fn put_password(w: &mut World, verifier: &str) -> Answered<u64> {
    let request = PutPassword {
        kind: "operators".into(),
        id: "bob".into(),
        verifier: verifier.into(),
        ..Default::default()
    };
    let changed = w.ask::<Changed>(ADA, "put-password", &request)?;
    Ok(changed.version)
}

fn shown(w: &mut World, kind: &str, id: &str) -> (String, u64) {
    let ask = ShowPassword {
        kind: kind.into(),
        id: id.into(),
        ..Default::default()
    };
    let shown = w
        .ask::<PasswordShown>("services/front-door", "password", &ask)
        .unwrap();
    (shown.verifier, shown.password)
}

#[test]
fn a_password_is_shown_to_the_front_door_and_the_fact_says_only_which_it_is() {
    let mut w = world();
    let first = put_password(&mut w, &verifier("A")).unwrap();
    let facts: Vec<LoginFact> = w.facts("login");
    assert_eq!((facts[0].password, facts[0].tokens.len()), (first, 0));
    assert_eq!(shown(&mut w, "operators", "bob"), (verifier("A"), first));
    let second = put_password(&mut w, &verifier("B")).unwrap();
    assert!(second > first);
    w.restart();
    assert_eq!(shown(&mut w, "operators", "bob"), (verifier("B"), second));
    // Of nobody there is an answer as well, and nothing in it.
    for (kind, id) in [
        ("operators", "nobody"),
        ("operators", "BOB"),
        ("integrators", "bob"),
        ("x", "y"),
    ] {
        assert_eq!(shown(&mut w, kind, id), (String::new(), 0), "{kind} {id}");
    }
    let disabled = PutPerson {
        id: "bob".into(),
        kind: "operators".into(),
        role: Role::Operator.into(),
        disabled: true,
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "put-person", &disabled).unwrap();
    assert_eq!(shown(&mut w, "operators", "bob"), (String::new(), 0));
}

#[test]
fn a_password_that_is_taken_away_leaves_the_tokens_and_the_next_one_has_another_number() {
    let mut w = world();
    make(&mut w, "one", HOUR_MS).unwrap();
    let first = put_password(&mut w, &verifier("A")).unwrap();
    w.frames.clear();
    put_password(&mut w, "").unwrap();
    let fact = &w.facts::<LoginFact>("login")[0];
    assert_eq!((fact.password, fact.tokens.len()), (0, 1));
    assert_eq!(shown(&mut w, "operators", "bob"), (String::new(), 0));
    w.wait(1);
    assert!(put_password(&mut w, &verifier("A")).unwrap() > first);
    // Its end leaves the password.
    w.wait(HOUR_MS);
    assert!(listed(&mut w).is_empty());
    assert_eq!(shown(&mut w, "operators", "bob").0, verifier("A"));
}

#[test]
fn only_a_verifier_at_the_one_cost_is_kept_and_nobody_but_admins_and_the_front_door_asks() {
    let mut w = world();
    for bad in [
        "a password",
        "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA",
    ] {
        assert_eq!(put_password(&mut w, bad).unwrap_err().field, "verifier");
    }
    put_password(&mut w, &verifier("A")).unwrap();
    let ask = ShowPassword {
        kind: "operators".into(),
        id: "bob".into(),
        ..Default::default()
    };
    for who in [ADA, "operators/bob", "services/monitoring"] {
        let refused = w.ask::<PasswordShown>(who, "password", &ask).unwrap_err();
        assert_eq!(refused.code, "denied", "{who}");
    }
    let read: AuditRead = w.ask(ADA, "audit", &ReadAudit::default()).unwrap();
    let told = format!("{:?}", read.entries);
    assert!(
        told.contains("registry/put-password") && !told.contains("AAAAAA"),
        "{told}"
    );
}
