//! People who show no certificate, and log in.

use contract::{
    Kind,
    id::ServiceName,
    v1::{
        ClientShown, LimitsListed, ListLimits, PasswordShown, PrincipalFact, Role, SecurityNotice,
        ShowClient, ShowPassword,
    },
    wire::{self, Wire},
};
use session::{Leaving, Limit, Limits};

use crate::{
    packets::{self, Hello},
    world::{ROOT, World, up},
};

const HERE: &str = "10.0.0.1:5";
const ADA: &str = "operators/ada";
const TOKEN: &str = "mst_ada";
/// MQTT 5's and MQTT 3.1.1's word for a login that does not open.
const NO: [(bool, u8); 2] = [(true, 0x86), (false, 4)];

/// A world in which `ada` and `erp` have a token each, for so long.
fn world(lifetime_ms: i64) -> World {
    let mut world = World::new();
    let end = world.now.wall_ms + lifetime_ms;
    world.tell_login("operators", "ada", &[("mst_other", end), (TOKEN, end)]);
    world.tell_login("integrators", "erp", &[("mst_erp", end)]);
    world
}

fn hello(v5: bool, user_name: &'static str, password: &str) -> Vec<u8> {
    Hello {
        v5,
        clean: true,
        user_name: Some(user_name),
        password: Some(password.into()),
        ..Hello::default()
    }
    .packet()
}

/// The connection, and its CONNACK's code.
fn try_from(world: &mut World, from: &str, v5: bool, who: &'static str, token: &str) -> (u64, u8) {
    let client = world.dial_as_nobody(from);
    let got = world.send(client, &hello(v5, who, token));
    assert_eq!((got.len(), got[0].kind), (1, 0x20), "{got:?}");
    (client, got[0].body[1])
}

fn log_in(world: &mut World, who: &'static str, token: &str) -> (u64, u8) {
    try_from(world, HERE, true, who, token)
}

fn notices(world: &mut World) -> Vec<SecurityNotice> {
    let frames = world.take(ServiceName::Monitoring);
    let told = frames.iter().filter(|frame| frame.topic.ends_with("/security"));
    told.map(|frame| wire::decode(&frame.payload, "").unwrap())
        .collect()
}

#[test]
fn a_person_logs_in_with_a_token_and_does_what_their_role_allows() {
    let mut world = world(1_000_000);
    let end = world.now.wall_ms + 1_000_000;
    for v5 in [true, false] {
        let (ada, code) = try_from(&mut world, HERE, v5, ADA, TOKEN);
        assert_eq!(code, 0, "MQTT 5: {v5}");
        let ask = packets::publish(v5, 1, 1, &up(ADA, "registry/list"), b"{}");
        world.send(ada, &ask);
        let asked = world.requests(ServiceName::Registry);
        assert_eq!(asked.len(), 1);
        // What waits for another person does not outlive the token.
        assert!(asked[0].login.starts_with("token "), "{}", asked[0].login);
        assert_eq!(asked[0].until_ms, end);
        let foreign = packets::subscribe(v5, 2, &format!("{ROOT}/integrators/erp/down/#"));
        assert!(
            world.send(ada, &foreign)[0]
                .body
                .ends_with(if v5 { &[0x87] } else { &[0x80] })
        );
    }
    let (erp, code) = log_in(&mut world, "integrators/erp", "mst_erp");
    assert_eq!(code, 0);
    world.send(
        erp,
        &packets::subscribe(true, 1, &format!("{ROOT}/events/registry/#")),
    );
    world.tell_event(ServiceName::Registry, "devices/pump-7", "moved");
    assert_eq!(world.got(erp).len(), 1);
}

#[test]
fn whatever_is_wrong_the_answer_is_one_and_the_same() {
    let mut world = world(1_000);
    let ended = world.now.wall_ms - 1;
    world.tell_login("operators", "ada", &[(TOKEN, i64::MAX), ("mst_old", ended)]);
    world.tell_login("operators", "ghost", &[("mst_ghost", i64::MAX)]);
    let gone = PrincipalFact {
        id: "eve".into(),
        kind: "operators".into(),
        role: Role::Admin as i32,
        disabled: true,
        ..PrincipalFact::default()
    };
    world.tell_fact(ServiceName::Registry, "principal", "operators.eve", &gone);
    world.tell_login("operators", "eve", &[("mst_eve", i64::MAX)]);
    let mut said = Vec::new();
    for (n, (who, token)) in [
        (ADA, "mst_ad"),
        (ADA, ""),
        (ADA, &*"x".repeat(513)),
        (ADA, "mst_erp"),
        (ADA, "mst_old"),
        ("operators/nobody", TOKEN),
        ("operators/ghost", "mst_ghost"),
        ("operators/eve", "mst_eve"),
        ("integrators/ada", TOKEN),
        ("devices/pump-7", TOKEN),
        ("claims/lot", TOKEN),
        ("services/registry", TOKEN),
        ("ada", TOKEN),
        ("", TOKEN),
    ]
    .into_iter()
    .enumerate()
    {
        for (v5, code) in NO {
            let client = world.dial_as_nobody(&format!("10.0.1.{n}:1"));
            let got = world.send(client, &hello(v5, who, token));
            assert_eq!((got[0].kind, got[0].body[1]), (0x20, code), "{who} {token}");
            assert_eq!(world.over(client), Some("not-authorized"), "{who} {token}");
            if v5 {
                said.push(got[0].body.clone());
            }
        }
    }
    said.dedup();
    assert_eq!(said.len(), 1, "one sentence for all");
    // Nothing at all, as a browser that was opened by mistake.
    let client = world.dial_as_nobody("10.0.2.1:1");
    let got = world.send(client, &packets::connect(true, "ada", 60));
    assert_eq!(got[0].body[1], 0x86);
}

#[test]
fn a_session_ends_with_its_token() {
    let mut world = world(1_000);
    let (ada, code) = log_in(&mut world, ADA, TOKEN);
    assert_eq!(code, 0);
    world.pass_time(999);
    assert_eq!(world.over(ada), None);
    world.pass_time(2);
    assert_eq!(world.over(ada), Some("not-authorized"));
    let farewell = world.got(ada);
    assert_eq!((farewell[0].kind, farewell[0].body[0]), (0xE0, 0x87));
    assert_eq!(log_in(&mut world, ADA, TOKEN).1, 0x86);
}

#[test]
fn a_token_that_is_taken_back_ends_its_sessions_and_no_others() {
    let mut world = world(1_000_000);
    let (first, _) = try_from(&mut world, HERE, true, ADA, TOKEN);
    let (second, _) = try_from(&mut world, HERE, true, ADA, "mst_other");
    let certified = world.dial(Kind::Operator, "ada", "0a");
    world.open(certified, true, "ada:laptop");
    world.tell_login("operators", "ada", &[("mst_other", i64::MAX)]);
    assert_eq!(world.over(first), Some("not-authorized"));
    assert_eq!((world.over(second), world.over(certified)), (None, None));
    world.tell_login("operators", "ada", &[]);
    assert_eq!(world.over(second), Some("not-authorized"));
    assert_eq!(world.over(certified), None);
}

#[test]
fn a_disabled_person_is_out_and_another_role_counts_at_once() {
    let mut world = world(1_000_000);
    let (ada, _) = log_in(&mut world, ADA, TOKEN);
    let suspend = |world: &mut World, id| {
        let topic = up(ADA, "registry/suspend");
        let got = world.send(ada, &packets::publish(true, 1, id, &topic, b"{}"));
        got.iter().find(|got| got.kind == 0x40).map(|got| got.body[2])
    };
    world.tell_person("operators", "ada", Role::Viewer, &[]);
    assert_eq!(suspend(&mut world, 1), Some(0x87));
    world.tell_person("operators", "ada", Role::Admin, &[]);
    assert_eq!(suspend(&mut world, 2), None, "it waits for the registry");
    let disabled = PrincipalFact {
        id: "ada".into(),
        kind: "operators".into(),
        role: Role::Admin as i32,
        disabled: true,
        ..PrincipalFact::default()
    };
    world.tell_fact(ServiceName::Registry, "principal", "operators.ada", &disabled);
    assert_eq!(world.over(ada), Some("not-authorized"));
}

#[test]
fn a_certificate_of_one_with_the_name_of_another_is_refused_whatever_the_token() {
    let mut world = world(1_000_000);
    world.tell_person("operators", "bob", Role::Admin, &[]);
    world.tell_login("operators", "bob", &[("mst_bob", i64::MAX)]);
    for (kind, id, serial, who, token, code) in [
        (Kind::Operator, "ada", "0a", "operators/bob", "mst_bob", 0x87),
        (Kind::Device, "pump-7", "01", ADA, TOKEN, 0x87),
        (Kind::Claim, "lot", "0c", ADA, TOKEN, 0x87),
        (Kind::Integrator, "erp", "0e", "operators/erp", "", 0x87),
        (Kind::Operator, "ada", "0a", ADA, "wrong", 0),
    ] {
        let client = world.dial(kind, id, serial);
        let got = world.send(client, &hello(true, who, token));
        assert_eq!(got[0].body[1], code, "{id} as {who}");
    }
}

#[test]
fn after_some_that_fail_even_the_right_token_waits_there_and_only_there() {
    let mut world = world(1_000_000);
    for _ in 0..5 {
        assert_eq!(log_in(&mut world, ADA, "mst_guess").1, 0x86);
    }
    assert_eq!(log_in(&mut world, ADA, TOKEN).1, 0x86, "not even looked at");
    assert_eq!(try_from(&mut world, "10.0.0.2:5", true, ADA, TOKEN).1, 0);
    assert_eq!(log_in(&mut world, "integrators/erp", "mst_erp").1, 0);
    world.pass_time(1_000);
    assert_eq!(log_in(&mut world, ADA, TOKEN).1, 0);
    let certified = world.dial(Kind::Operator, "ada", "0a");
    world.open(certified, true, "ada:laptop");
    assert_eq!(met(&mut world, certified, Limit::LoginTries), 1);
    assert_eq!(met(&mut world, certified, Limit::LoginTriesPerAddress), 0);
}

/// What the front door answers somebody who may ask.
fn ask<M: Wire>(world: &mut World, client: u64, verb: &str, request: &impl Wire) -> M {
    let payload = wire::encode(request, wire::Encoding::Protobuf);
    let topic = up(ADA, &format!("front-door/{verb}"));
    let got = world.send(client, &packets::publish(true, 1, 7, &topic, &payload));
    let (_, payload) = got[0].message(true);
    wire::decode(&payload, "").unwrap()
}

/// How often a limit was met, as the front door says.
fn met(world: &mut World, operator: u64, limit: Limit) -> u64 {
    let listed: LimitsListed = ask(world, operator, "limits", &ListLimits::default());
    let row = listed.limits.iter().find(|row| row.name == limit.word());
    row.unwrap().met
}

#[test]
fn who_guesses_names_is_held_as_an_address() {
    let mut world = World::with(Limits {
        login_tries_per_address: 3,
        ..Limits::default()
    });
    world.tell_login("operators", "ada", &[(TOKEN, i64::MAX)]);
    for who in ["operators/a", "operators/b", "integrators/c"] {
        assert_eq!(log_in(&mut world, who, "mst_guess").1, 0x86);
    }
    assert_eq!(log_in(&mut world, ADA, TOKEN).1, 0x86);
    let certified = world.dial(Kind::Operator, "ada", "0a");
    world.open(certified, true, "ada:laptop");
    assert_eq!(met(&mut world, certified, Limit::LoginTriesPerAddress), 1);
}

#[test]
fn failures_are_told_once_a_minute_of_those_who_exist_alone() {
    let mut world = world(1_000_000);
    notices(&mut world);
    for n in 0..50 {
        try_from(&mut world, &format!("10.0.3.{n}:1"), true, ADA, "mst_guess");
        try_from(
            &mut world,
            &format!("10.0.4.{n}:1"),
            true,
            "operators/nobody",
            "mst_guess",
        );
    }
    world.pass_time(30_000);
    let told = notices(&mut world);
    assert_eq!(told.len(), 1, "{told:?}");
    let first = &told[0];
    assert_eq!(
        (&*first.what, &*first.kind, &*first.id, first.count),
        ("login-failed", "operators", "ada", 1)
    );
    world.pass_time(30_000);
    let told = notices(&mut world);
    assert_eq!((told.len(), told[0].count), (1, 49));
}

#[test]
fn who_is_connected_by_which_token_is_shown() {
    let mut world = world(1_000_000);
    let (ada, _) = log_in(&mut world, ADA, TOKEN);
    world.send(ada, &packets::subscribe(true, 1, &format!("{ROOT}/{ADA}/down/#")));
    let request = ShowClient {
        kind: "operators".into(),
        id: "ada".into(),
        ..ShowClient::default()
    };
    let shown: ClientShown = ask(&mut world, ada, "client", &request);
    let session = &shown.sessions[0];
    assert_eq!((&*session.token, &*session.serial), (TOKEN, ""));
    assert_eq!(session.listener, "websocket");
}

#[test]
fn a_claimed_name_changes_nothing_for_the_device_of_that_name() {
    let mut world = world(1_000_000);
    let device = world.device(true);
    for _ in 0..30 {
        log_in(&mut world, "devices/pump-7", "mst_guess");
    }
    assert_eq!(world.over(device), None);
    let again = world.dial(Kind::Device, "pump-7", "01");
    world.open(again, true, "pump-7:b");
}

const PASSWORD: &str = "four words will do";

/// Answers what the registry is asked for a login: this, and which password it is.
fn answer(world: &mut World, verifier: &str, password: u64) -> Vec<ShowPassword> {
    let frames = world.take(ServiceName::Registry);
    let questions = frames
        .into_iter()
        .filter(|frame| frame.topic.ends_with("/password"));
    let mut asked = Vec::new();
    for question in questions {
        let ask: ShowPassword = wire::decode(&question.payload, "").unwrap();
        let shown = PasswordShown {
            request_id: ask.request_id.clone(),
            verifier: verifier.into(),
            password,
        };
        world.reply(ServiceName::Registry, &question, &shown);
        asked.push(ask);
    }
    asked
}

/// A connection that has given a password, which nobody has looked at.
fn knock(world: &mut World, from: &str, v5: bool, who: &'static str, password: &str) -> u64 {
    let client = world.dial_as_nobody(from);
    let got = world.send(client, &hello(v5, who, password));
    assert!(got.is_empty(), "{got:?}");
    client
}

/// The CONNACK's code, once it is there.
fn code(world: &mut World, client: u64) -> u8 {
    let got = world.got(client);
    assert_eq!((got.len(), got[0].kind), (1, 0x20), "{got:?}");
    got[0].body[1]
}

/// All of it, at the registry's word that `ada` has this password.
fn log_in_by_password(world: &mut World, from: &str, password: &str) -> (u64, u8) {
    let client = knock(world, from, true, ADA, password);
    answer(world, PASSWORD, 7);
    world.compare();
    let code = code(world, client);
    (client, code)
}

fn world_with_password() -> World {
    let mut world = world(1_000_000);
    world.tell_login_with("operators", "ada", &[(TOKEN, i64::MAX)], 7);
    world.take(ServiceName::Registry);
    world
}

#[test]
fn a_password_is_asked_of_the_registry_and_opens_when_it_fits() {
    let mut world = world_with_password();
    for v5 in [true, false] {
        let client = knock(&mut world, HERE, v5, ADA, PASSWORD);
        let asked = answer(&mut world, PASSWORD, 7);
        assert_eq!((&*asked[0].kind, &*asked[0].id), ("operators", "ada"));
        assert!(world.got(client).is_empty(), "not before it was compared");
        assert_eq!(world.compare(), 1);
        assert_eq!(code(&mut world, client), 0);
        world.send(
            client,
            &packets::publish(v5, 1, 1, &up(ADA, "registry/list"), b"{}"),
        );
        assert_eq!(world.requests(ServiceName::Registry).len(), 1);
    }
}

#[test]
fn a_wrong_password_and_one_of_nobody_get_the_answer_of_every_login_that_fails() {
    let mut world = world_with_password();
    let mut said = Vec::new();
    for (n, (who, verifier, password)) in [
        (ADA, PASSWORD, 7),
        (ADA, "", 0),
        ("operators/nobody", "", 0),
        // The registry knows of a password that the facts do not have.
        (ADA, "wrong words will not", 6),
    ]
    .into_iter()
    .enumerate()
    {
        for (v5, expected) in NO {
            let client = knock(
                &mut world,
                &format!("10.0.5.{n}:1"),
                v5,
                who,
                "wrong words will not",
            );
            assert_eq!(answer(&mut world, verifier, password).len(), 1, "{who}");
            assert_eq!(world.compare(), 1, "it takes as long, whoever it is");
            let got = world.got(client);
            assert_eq!(
                (got[0].kind, got[0].body[1]),
                (0x20, expected),
                "{who} {password}"
            );
            assert_eq!(world.over(client), Some("not-authorized"));
            if v5 {
                said.push(got[0].body.clone());
            }
        }
    }
    said.push({
        let client = world.dial_as_nobody("10.0.6.1:1");
        world.send(client, &hello(true, ADA, "mst_guess"))[0].body.clone()
    });
    said.dedup();
    assert_eq!(said.len(), 1);
}

#[test]
fn another_password_ends_the_sessions_over_the_former_and_no_others() {
    let mut world = world_with_password();
    let (by_password, code) = log_in_by_password(&mut world, HERE, PASSWORD);
    assert_eq!(code, 0);
    let (by_token, _) = log_in(&mut world, ADA, TOKEN);
    world.tell_login_with("operators", "ada", &[(TOKEN, i64::MAX)], 8);
    assert_eq!(world.over(by_password), Some("not-authorized"));
    assert_eq!(world.over(by_token), None);
    world.tell_login_with("operators", "ada", &[], 8);
    assert_eq!(world.over(by_token), Some("not-authorized"));
}

#[test]
fn no_more_passwords_are_looked_at_at_once_than_there_is_room_for() {
    let mut world = world_with_password();
    let waiting: Vec<_> = (0..5)
        .map(|_| knock(&mut world, HERE, true, ADA, "wrong words will not"))
        .collect();
    let one_more = world.dial_as_nobody("10.0.0.9:1");
    let got = world.send(one_more, &hello(true, ADA, PASSWORD));
    assert_eq!(got[0].body[1], 0x89, "busy, which says nothing of the password");
    let met = world.door.status(world.now).met;
    assert!(met.contains(&(session::Limit::Logins.word(), 1)), "{met:?}");
    // Whoever leaves has guessed; whoever stays hears that it was wrong.
    world.close(waiting[0]);
    answer(&mut world, PASSWORD, 7);
    world.close(waiting[1]);
    assert_eq!(world.compare(), 4);
    for client in &waiting[2..] {
        assert_eq!(code(&mut world, *client), 0x86);
    }
    let held = world.dial_as_nobody(HERE);
    let got = world.send(held, &hello(true, ADA, PASSWORD));
    assert_eq!(got[0].body[1], 0x86, "five have failed from there");
    assert_eq!(log_in_by_password(&mut world, "10.0.0.2:5", PASSWORD).1, 0);
}

#[test]
fn passwords_wait_for_the_registry_and_tokens_do_not() {
    let mut world = world_with_password();
    let waiting = knock(&mut world, HERE, true, ADA, PASSWORD);
    world.door.link_down(ServiceName::Registry, Leaving::Lost);
    world.pass_time(1);
    assert_eq!(code(&mut world, waiting), 0x89);
    let client = world.dial_as_nobody(HERE);
    let got = world.send(client, &hello(true, ADA, PASSWORD));
    assert_eq!(got[0].body[1], 0x89);
    assert_eq!(log_in(&mut world, ADA, TOKEN).1, 0);
}

#[test]
fn a_second_answer_of_the_registry_changes_nothing_of_what_is_being_compared() {
    let mut world = world_with_password();
    let client = knock(&mut world, HERE, true, ADA, PASSWORD);
    let frames = world.take(ServiceName::Registry);
    let question = frames
        .iter()
        .find(|frame| frame.topic.ends_with("/password"))
        .unwrap();
    let ask: ShowPassword = wire::decode(&question.payload, "").unwrap();
    for (verifier, password) in [(PASSWORD, 6), ("another", 7)] {
        let shown = PasswordShown {
            request_id: ask.request_id.clone(),
            verifier: verifier.into(),
            password,
        };
        world.reply(ServiceName::Registry, question, &shown);
    }
    assert_eq!(world.compare(), 1);
    assert_eq!(code(&mut world, client), 0x86, "the sixth is not theirs any more");
}
