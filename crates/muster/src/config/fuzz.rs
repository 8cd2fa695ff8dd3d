//! Configurations as people mistype them: every mistake is named, at once, and nothing panics.

use std::{collections::BTreeSet, fmt::Write, fs};

use falsify::{falsify, mutated};
use proptest::{prelude::*, sample};

use super::*;
use crate::exit::Exit;

const CASES: u32 = 2_000;

/// A setting, a text that it takes and one that it does not, both as TOML.
const SETTINGS: &[(&str, &str, &str)] = &[
    ("site", "\"hq\"", "\"a b\""),
    ("root", "\"a/b\"", "\"#\""),
    ("listen.principals", "\"0.0.0.0:1\"", "\"nowhere\""),
    ("listen.services", "\"[::1]:1\"", "\"8.8.8.8:1\""),
    ("listen.http", "\"127.0.0.1:0\"", "8080"),
    ("listen.websocket", "\"127.0.0.1:0\"", "\"nowhere\""),
    ("listen.est", "\"127.0.0.1:0\"", "\"nowhere\""),
    ("listen.est_claim", "\"field\"", "\"a b\""),
    ("listen.websocket_login", "true", "\"maybe\""),
    ("listen.websocket_origins", "[\"https://a.example\"]", "[\"*\"]"),
    ("listen.insecure_test", "\"127.0.0.1:0\"", "\"0.0.0.0:1\""),
    ("state.folder", "\"elsewhere\"", "[1]"),
    ("state.cache_mib", "9223372036854775807", "-1"),
    ("state.reserve_mib", "0", "\"much\""),
    ("pki.passphrase_file", "\"word\"", "true"),
    ("pki.device_lifetime", "\"90d\"", "\"9000y\""),
    ("pki.renew_after", "\"0s\"", "30"),
    ("pki.renew_after_admitted", "true", "\"maybe\""),
    ("pki.server_lifetime", "\"30d\"", "30"),
    ("pki.server_renew_before", "\"0s\"", "\"soon\""),
    ("pki.lifetimes.low", "\"180d\"", "\"long\""),
    ("pki.lifetimes.critical", "\"14d\"", "14"),
    (
        "pki.profiles",
        "[{ type = \"valve\", keys = [\"p384\"], lifetime = \"14d\" }]",
        "[{ keys = [\"rsa\"] }]",
    ),
    ("pki.overlap", "\"0s\"", "\"90\""),
    ("rollout.release_keys", "[\"a.pub\"]", "\"a.pub\""),
    ("rollout.threshold", "16", "0"),
    ("monitoring.grace", "\"1m 30s\"", "5"),
    ("registry.retire_wait", "\"7d\"", "\"-7d\""),
    ("limits.connections", "1", "0"),
    ("limits.handshakes", "1", "1.5"),
    ("limits.per_address", "1", "[]"),
    ("limits.accepts_per_second", "0", "-1"),
    ("limits.takeovers_per_minute", "0", "\"often\""),
    ("limits.login_tries", "1", "0"),
    ("limits.login_tries_per_address", "1000", "1001"),
    ("limits.login_tries_per_person", "1", "0"),
    ("limits.login_pause", "\"10s\"", "\"0s\""),
    ("registry.token_lifetime", "\"1d\"", "\"32d\""),
    ("limits.silent", "\"5s\"", "\"0s\""),
    ("limits.connect", "\"20s\"", "10"),
    ("limits.logins", "1", "0"),
    ("limits.sessions_per_device", "1", "0"),
    ("limits.sessions_per_person", "100", "\"many\""),
    ("limits.claims_per_id", "1", "0"),
    ("limits.claims", "1", "-1"),
    ("limits.enrolments_per_address", "0", "-1"),
    ("limits.session_expiry", "\"0s\"", "1"),
    ("limits.kept_per_device", "0", "-1"),
    ("limits.kept_per_person", "0", "1.5"),
    ("limits.kept", "0", "\"all\""),
    ("limits.kept_for_device.messages", "0", "\"all\""),
    ("limits.kept_for_device.bytes", "0", "[]"),
    ("limits.kept_for_person.messages", "0", "\"all\""),
    ("limits.kept_for_person.bytes", "0", "[]"),
    ("limits.kept_bytes", "0", "-1"),
    ("limits.retained_bytes", "0", "-1"),
    ("limits.hello_bytes", "1024", "1023"),
    ("limits.packet_bytes", "1048576", "\"large\""),
    ("limits.properties", "0", "-1"),
    ("limits.topic_aliases", "0", "1025"),
    ("limits.receive_maximum", "65535", "65536"),
    ("limits.exactly_once", "1", "0"),
    ("limits.in_flight", "1", "0"),
    ("limits.subscriptions", "1", "0"),
    ("limits.queue", "1", "0"),
    ("limits.queue_bytes", "1", "0"),
    ("limits.stalled", "\"1s\"", "\"2h\""),
    ("limits.give_up", "\"1s\"", "\"0s\""),
    ("limits.keep_alive", "\"10s\"", "\"9s\""),
    ("limits.publishes_per_second", "0", "1.5"),
    ("limits.bytes_per_second", "4294967295", "4294967296"),
    ("log.filter", "\"info\"", "{}"),
    ("log.json", "true", "\"yes\""),
];

/// Names that no setting has.
const STRANGERS: &[&str] = &[
    "siet",
    "listen.http2",
    "state",
    "pki.a.b",
    "rollout",
    "x.y",
    "empty",
];

/// Whether a file says something, and what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    Right,
    Wrong,
}

fn read(toml: impl AsRef<[u8]>, environment: Environment) -> Result<Config, Failure> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("muster.toml"), toml).unwrap();
    Config::read_with(folder.path(), environment)
}

/// The names that a failure names.
fn named(failure: &Failure) -> BTreeSet<String> {
    assert_eq!(failure.exit, Exit::Usage);
    let text = failure.to_string();
    let lines = text.lines().skip(1);
    lines
        .map(|line| line.trim().split_once(": ").unwrap().0.to_owned())
        .collect()
}

#[test]
fn every_mistake_of_a_file_is_named_and_nothing_else() {
    let said = prop_oneof![4 => Just(Said::Nothing), 2 => Just(Said::Right), 1 => Just(Said::Wrong)];
    let file = prop::collection::vec(said, SETTINGS.len());
    let found = falsify(CASES, &file, |file| {
        let (mut toml, mut wrong) = (String::new(), BTreeSet::new());
        for ((name, right, bad), said) in SETTINGS.iter().zip(file) {
            match said {
                Said::Nothing => {}
                Said::Right => writeln!(toml, "{name} = {right}").unwrap(),
                Said::Wrong => {
                    writeln!(toml, "{name} = {bad}").unwrap();
                    wrong.insert((*name).to_owned());
                }
            }
        }
        match read(toml, Environment::default()) {
            Ok(_) => assert!(wrong.is_empty()),
            Err(failure) => assert_eq!(
                named(&failure)
                    .iter()
                    .map(|name| name.trim_end_matches('.'))
                    .collect::<BTreeSet<_>>(),
                wrong.iter().map(String::as_str).collect(),
                "{failure}"
            ),
        }
    });
    assert!(found.is_none(), "fails for {found:?}");
}

#[test]
fn every_variable_is_taken_or_named() {
    let known = sample::select(SETTINGS).prop_map(|(name, ..)| name.to_owned());
    let name =
        prop_oneof![3 => known, 1 => sample::select(STRANGERS).prop_map(str::to_owned), 1 => "[a-z_.]{0,6}"];
    let text = prop_oneof![
        sample::select(SETTINGS).prop_map(|(_, right, bad)| format!("{right}{bad}")),
        sample::select(SETTINGS).prop_map(|(_, right, _)| right.trim_matches('"').to_owned()),
        "[\\[\\]{}=\",0-9a. -]{0,12}",
        ".{0,6}",
    ];
    let variables = prop::collection::vec((name, text), 0..6);
    let found = falsify(CASES, &variables, |variables| {
        let spelt = variables.iter().map(|(name, text)| {
            let variable = format!("MUSTER_{}", name.replace('.', "__").to_uppercase());
            (variable, text.clone())
        });
        let environment = Environment::of(spelt);
        let names: BTreeSet<String> = environment.names().map(str::to_owned).collect();
        if let Err(failure) = read("", environment) {
            for name in names {
                let is_setting = SETTINGS.iter().any(|(setting, ..)| *setting == name);
                assert!(
                    is_setting || named(&failure).contains(&name),
                    "{name:?} is not in {failure}"
                );
            }
        } else {
            let stranger = names
                .iter()
                .find(|name| SETTINGS.iter().all(|(setting, ..)| setting != name));
            assert_eq!(stranger, None);
        }
    });
    assert!(found.is_none(), "fails for {found:?}");
}

#[test]
fn changed_files_are_read_or_refused() {
    let whole = |bad: bool| {
        let lines = SETTINGS
            .iter()
            .map(|(name, right, wrong)| format!("{name} = {}\n", if bad { wrong } else { right }));
        lines.collect::<String>().into_bytes()
    };
    let words: &[&[u8]] = &[
        b"[listen]\n",
        b"[[listen]]\n",
        b"\"listen.http\" = 1\n",
        b"'' = 1\n",
        b"[x]\n",
        b"= ",
        b"\"\"\"",
        b"'''",
        b"{a={b=[",
        b"1979-05-27T07:32:00Z",
        b"nan",
        b"\\u0000",
        b"\\UFFFFFFFF",
        b"\xFF",
        b"\r",
        b"#",
    ];
    let corpus = vec![whole(false), whole(true)];
    let kept = falsify::Corpus::new(env!("CARGO_MANIFEST_DIR"), std::env::temp_dir(), "config");
    kept.falsify(CASES, &mutated(kept.with(corpus), words), |toml| {
        if let Err(failure) = read(toml, Environment::default()) {
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.to_string().contains("muster.toml"), "{failure}");
        }
    });
}

#[test]
fn names_that_only_look_right_are_named() {
    for (toml, name) in [
        ("\"listen.http\" = \"127.0.0.1:0\"", "\"listen.http\""),
        ("[empty]", "empty."),
        ("listen = 5", "listen"),
        ("site = {}", "site"),
        ("[site.a]\nb = 1", "site.a.b"),
    ] {
        let failure = read(toml, Environment::default()).unwrap_err();
        assert!(
            failure.to_string().contains(&format!("{name}: ")),
            "{name} in {failure}"
        );
    }
    assert!(
        read("[listen]\n[state]", Environment::default()).is_ok(),
        "empty sections of settings"
    );
}

#[test]
fn deep_files_are_refused() {
    for deep in [10, 1_000, 100_000] {
        let toml = format!("site = {}{}", "[".repeat(deep), "]".repeat(deep));
        assert!(read(toml, Environment::default()).is_err());
        let text = "[".repeat(deep);
        let environment = Environment::of([("MUSTER_SITE".to_owned(), text)]);
        assert!(read("", environment).is_err());
    }
}
