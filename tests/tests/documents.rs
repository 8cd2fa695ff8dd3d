//! Documents that are held against the code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::Command,
    time::{Duration, Instant},
};

use world::{World, mqtt, repository, topics};

#[test]
fn the_page_of_topics_says_what_the_verb_table_says() {
    let there = std::fs::read_to_string(repository().join("docs/topics.md")).unwrap_or_default();
    let hint = "write it anew: cargo run -p muster-tests --example topics";
    assert!(
        there == topics::page(),
        "docs/topics.md is not what the verb table says; {hint}"
    );
}

#[test]
fn the_page_of_mqtt_says_what_the_tests_name() {
    let there = std::fs::read_to_string(repository().join("docs/mqtt.md")).unwrap_or_default();
    assert_eq!(
        mqtt::unlisted(&repository()),
        Vec::<String>::new(),
        "named by a test, and not listed"
    );
    let hint = "write it anew: cargo run -p muster-tests --example mqtt";
    assert!(
        there == mqtt::page(&repository()),
        "docs/mqtt.md is not what the tests name; {hint}"
    );
}

#[test]
fn links_between_the_documents_lead_somewhere() {
    let mut pages = vec![repository().join("README.md")];
    let docs = std::fs::read_dir(repository().join("docs")).unwrap();
    pages.extend(
        docs.map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "md")),
    );
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
            if target.contains("://") {
                continue;
            }
            let to = match target {
                "" => page.clone(),
                target => page.parent().unwrap().join(target),
            };
            assert!(to.exists(), "{} links to {target}", page.display());
            if !anchor.is_empty() && to.extension().is_some_and(|e| e == "md") {
                let there = anchors(&std::fs::read_to_string(&to).unwrap());
                assert!(
                    there.iter().any(|one| one == anchor),
                    "{} links to {link}; {target} has {there:?}",
                    page.display()
                );
            }
        }
    }
}

/// The anchors of a page's headings, as they are made where the pages are shown.
fn anchors(page: &str) -> Vec<String> {
    let mut is_code = false;
    let headings = page.lines().filter(|line| {
        is_code ^= line.starts_with("```");
        !is_code && line.starts_with('#')
    });
    let anchor = |heading: &str| {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn headings_lead_to_their_anchors() {
    let page = "# The CAs' keys\n```sh\n# none\n```\n## 7. All at once, at a pace\n### `up` and `down`";
    assert_eq!(
        anchors(page),
        ["the-cas-keys", "7-all-at-once-at-a-pace", "up-and-down"]
    );
}

/// A metric: its kind, and the names of its labels.
type Metrics = BTreeMap<String, (String, BTreeSet<String>)>;

/// Those of the page.
fn told() -> Metrics {
    let page = std::fs::read_to_string(repository().join("docs/operations.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `muster_"));
    let row = |row: &str| {
        let (name, rest) = row.split_once("` | ").unwrap();
        let kind = rest.split(" |").next().unwrap();
        let (name, labels) = name.split_once('{').unwrap_or((name, ""));
        let labels = labels
            .trim_end_matches('}')
            .split(',')
            .filter(|label| !label.is_empty());
        let labels = labels.map(str::to_owned).collect();
        (format!("muster_{name}"), (kind.to_owned(), labels))
    };
    rows.map(row).collect()
}

/// Those that the program serves, each with its meaning; and the series at zero.
fn served(text: &str) -> Metrics {
    let of = |line: &str, word: &str| {
        let rest = line.strip_prefix(word)?.split_once(' ')?;
        Some((rest.0.to_owned(), rest.1.to_owned()))
    };
    let meanings: BTreeMap<_, _> = text.lines().filter_map(|line| of(line, "# HELP ")).collect();
    let kinds: BTreeMap<_, _> = text.lines().filter_map(|line| of(line, "# TYPE ")).collect();
    let mut served = Metrics::new();
    for (name, kind) in kinds {
        assert!(
            meanings.get(&name).is_some_and(|text| text.ends_with('.')),
            "{name}: {meanings:?}"
        );
        let series = text.lines().filter(|line| {
            let rest = line.strip_prefix(&name);
            rest.is_some_and(|rest| {
                ["{", " ", "_bucket", "_sum", "_count"]
                    .iter()
                    .any(|next| rest.starts_with(next))
            })
        });
        let labels = series.filter_map(|line| line.split_once('{')?.1.split_once('}'));
        let names =
            labels.flat_map(|(labels, _)| labels.split("\",").filter_map(|one| one.split_once("=\"")));
        let own = ["quantile", "le"].map(|label| (label, kind != "gauge"));
        let names = names
            .map(|(name, _)| name)
            .filter(|name| !own.contains(&(*name, true)));
        let names = names.map(str::to_owned).collect();
        served.insert(name.clone(), (kind, names));
    }
    served
}

fn metrics(http: SocketAddr) -> String {
    let mut stream = TcpStream::connect(http).unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: muster\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_those_of_their_page_from_the_start() {
    let world = World::with(&[("MUSTER_LISTEN__EST", "127.0.0.1:0")]).await;
    let http = world.server().http;
    let text = metrics(http);
    for zero in [
        r#"muster_certificates_issued_total{kind="devices"} 0"#,
        r#"muster_certificates_renewed_total{kind="devices"} 0"#,
        r#"muster_certificate_requests_refused_total{kind="claims",code="limit"} 0"#,
        r#"muster_certificates_revoked_total{reason="keyCompromise"} 0"#,
        r#"muster_time_to_kick_seconds_bucket{le="+Inf"} 0"#,
        r#"muster_limits_met_total{limit="enrolments_per_address"} 0"#,
        r#"muster_connections_ended_total{cause="kicked"} 0"#,
        r#"muster_effect_panics_total{service="registry"} 0"#,
    ] {
        assert!(text.contains(zero), "{zero} is not in {text}");
    }
    // Some are counted now and then.
    let (told, end) = (told(), Instant::now() + Duration::from_secs(120));
    let served = loop {
        let served = served(&metrics(http));
        if told.keys().all(|name| served.contains_key(name)) || Instant::now() > end {
            break served;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    assert_eq!(served, told);
}

#[test]
#[ignore = "needs promtool; tests/run installs it"]
fn alerts_are_raised_by_what_their_page_says_and_by_no_other_metric() {
    let folder = repository().join("deploy/prometheus");
    let rules = std::fs::read_to_string(folder.join("alerts.yml")).unwrap();
    let told = told();
    let words = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    for metric in words.filter(|word| word.starts_with("muster_")) {
        let is_told = told.contains_key(metric) || told.contains_key(metric.trim_end_matches("_bucket"));
        assert!(is_told, "{metric} is in no table");
    }
    let page = std::fs::read_to_string(repository().join("docs/operations.md")).unwrap();
    let names = rules.lines().filter_map(|line| line.split_once("- alert: "));
    for (_, name) in names {
        assert!(page.contains(&format!("`{name}`")), "{name} is in no table");
    }
    for judged in [
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts-test.yml"],
    ] {
        let said = Command::new("promtool")
            .args(judged)
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(said.status.success(), "{said:?}");
    }
}
