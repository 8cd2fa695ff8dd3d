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
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            assert!(
                page.parent().unwrap().join(target).exists(),
                "{} links to {target}",
                page.display()
            );
        }
    }
}
