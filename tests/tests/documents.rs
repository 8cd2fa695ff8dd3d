//! Documents that are held against the code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use world::{mqtt, repository, topics};

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
