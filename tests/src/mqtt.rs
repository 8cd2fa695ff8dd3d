//! `docs/mqtt.md`, written from the list of the standards' statements and from the tests that name them.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

/// Where the tests are that name statements.
const TESTS: &str = "crates/broker/src/principals/conformance";

/// A statement: version and number, `5 3.1.0-1`.
type Statement = String;

/// The whole page.
pub fn page(repository: &Path) -> String {
    let tests = tests(&repository.join(TESTS));
    let statements = include_str!("mqtt_statements.txt");
    let mut page = String::from(HEAD);
    for (version, title) in [("3 ", "MQTT 3.1.1"), ("5 ", "MQTT 5")] {
        let lines: Vec<_> = statements
            .lines()
            .filter(|line| line.starts_with(version))
            .collect();
        let passed = lines.iter().filter(|line| tests.contains_key(key(line))).count();
        let _ = write!(
            page,
            "\n## {title}\n\n{passed} of {} statements have a test.\n\n| statement | what | |\n|---|---|---|\n",
            lines.len()
        );
        for line in lines {
            let _ = writeln!(page, "{}", row(line, tests.get(key(line))));
        }
    }
    page
}

/// Statements that a test names and the list does not have.
pub fn unlisted(repository: &Path) -> Vec<Statement> {
    let listed: Vec<_> = include_str!("mqtt_statements.txt").lines().map(key).collect();
    let named = tests(&repository.join(TESTS)).into_keys();
    named.filter(|name| !listed.contains(&name.as_str())).collect()
}

fn key(line: &str) -> &str {
    line.split(" |").next().unwrap_or_default()
}

fn row(line: &str, tests: Option<&Vec<String>>) -> String {
    let mut parts = line.split(" | ");
    let number = parts.next().and_then(|key| key.get(2..)).unwrap_or_default();
    let what = parts.next().unwrap_or_default();
    let reason = parts.next();
    let passed = tests.map(|tests| format!("passed: {}", tests.join(", ")));
    let design = reason.map(|reason| format!("by design: {reason}"));
    let state: Vec<_> = passed.into_iter().chain(design).collect();
    let state = if state.is_empty() {
        "untested".to_owned()
    } else {
        state.join("; ")
    };
    format!("| MQTT-{number} | {what} | {state} |")
}

/// The tests of each statement: `file::name`.
fn tests(folder: &Path) -> BTreeMap<Statement, Vec<String>> {
    let mut tests: BTreeMap<Statement, Vec<String>> = BTreeMap::new();
    let mut files: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.sort();
    for file in files {
        let name = file
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let text = fs::read_to_string(&file).unwrap_or_default();
        for mark in text.split("\nclause!(").skip(1) {
            let Some((statements, rest)) = mark.split_once(");") else {
                continue;
            };
            let test = rest.split("fn ").nth(1).and_then(|rest| rest.split('(').next());
            for statement in read(statements) {
                let test = format!("`{name}::{}`", test.unwrap_or_default());
                tests.entry(statement).or_default().push(test);
            }
        }
    }
    tests
}

/// `v3 "3.1.0-1", v5 "3.1.0-1"` as `3 3.1.0-1` and `5 3.1.0-1`.
fn read(statements: &str) -> impl Iterator<Item = Statement> + '_ {
    statements.split(',').filter_map(|statement| {
        let (version, number) = statement.trim().split_once(' ')?;
        let version = version.strip_prefix('v')?;
        Some(format!("{version} {}", number.trim_matches('"')))
    })
}

const HEAD: &str = "# What of MQTT holds

For whoever writes a client of their own, or asks how far a standard client gets. [mqtt-clients.md](mqtt-clients.md)
shows how to connect one.

This page is made of the tests (`crates/broker/src/principals/conformance`): each names the statements that it is for,
and sends bytes to a running server. A statement is *passed* by its tests, not so *by design* with the reason, or
*untested*. What binds clients alone is left out. The numbers are those of the OASIS standards of 2014 (3.1.1) and
2019 (5).

In short: QoS 0, 1 and 2 both ways; sessions that outlive their connection, for a day at most; wills, delayed wills;
topic aliases, subscription identifiers, response information, receive maximum, maximum packet size, message expiry
towards clients; shared subscriptions for integrators. What differs on purpose:

- **An acknowledgement is a promise.** PUBACK and PUBREC come when the service has a request on its disk or has finally
  rejected it. A repeat joins the request that waits, over the next connection of the same session too.
- **Clients retain nothing.** A publish with the retain flag is rejected, a will with it keeps its client out. What a
  service retains is marked in [topics.md](topics.md).
- **Requests end at services.** Of what clients publish only devices' own data (`front-door/data`) is delivered to
  clients, as it is. Of a request's user properties `traceparent` is passed on.
- **A session is kept in memory**: a day at most, three for a device, four for a person, none for a claim. An answer or an
  order at QoS 1 or 2 is there when the client comes back, or the session is not (session present 0): when too much
  waits (128 messages or 256 KiB for a device, 2,048 or 4 MiB for a person), the oldest events and devices' data
  go first; a replay brings the events again. If there is none left to go, the session ends. A restart of the server ends all of them. Whoever is
  suspended, revoked or retired leaves no session.
- **A will is not spoken when its client takes over from itself.**
- **Shared subscriptions** are an integrator's, on the events and devices' data that it was granted; a group is its own, whatever the
  others' names. Members with a connection come first.
";
