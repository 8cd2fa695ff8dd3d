//! The house's arrows: programs → shells → cores → words; no service knows another; no core can do I/O;
//! each outside thing is named in one crate.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};
use world::repository;

const SERVICES: [&str; 4] = [
    "muster-registry",
    "muster-provisioning",
    "muster-rollout",
    "muster-monitoring",
];
const CORES: [&str; 8] = [
    "muster-service",
    "muster-registry",
    "muster-provisioning",
    "muster-rollout",
    "muster-monitoring",
    "muster-pki",
    "muster-artifact",
    "muster-session",
];
const SHELLS: [&str; 5] = [
    "muster-store",
    "muster-bus",
    "muster-broker",
    "muster-host",
    "muster-client",
];

/// What no core may reach, even by others.
const OUTSIDE: [&str; 10] = [
    "tokio",
    "sled",
    "redb",
    "rumqttc",
    "rumqttd",
    "mio",
    "axum",
    "fs4",
    "tracing-subscriber",
    "crossbeam-channel",
];

/// Who alone may name what.
const NAMED_BY: [(&str, &[&str]); 7] = [
    ("sled", &["muster-store"]),
    ("redb", &["muster-store"]),
    ("rumqttd", &["muster-broker"]),
    ("rumqttc", &["muster-bus", "muster-client", "muster-device"]),
    // A bench measures against the raw thing.
    ("rcgen", &["muster-pki", "muster-bench"]),
    ("mqtt-protocol-core", &["muster-session"]),
    ("figment", &["muster"]),
];

struct Graph {
    /// Normal dependencies of each of our packages, by name.
    normal: BTreeMap<String, BTreeSet<String>>,
    ours: BTreeSet<String>,
}

fn graph() -> Graph {
    let metadata: Metadata = MetadataCommand::new()
        .manifest_path(repository().join("Cargo.toml"))
        // What others depend on is not asked: for other systems much of it was never downloaded.
        .no_deps()
        .other_options(vec!["--locked".into(), "--offline".into()])
        .exec()
        .unwrap();
    let mut normal: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in &metadata.packages {
        let names = package
            .dependencies
            .iter()
            .filter(|d| d.kind == DependencyKind::Normal && !d.optional);
        normal
            .entry(package.name.to_string())
            .or_default()
            .extend(names.map(|d| d.name.clone()));
    }
    let ours = metadata
        .workspace_packages()
        .iter()
        .map(|p| p.name.to_string())
        .collect();
    Graph { normal, ours }
}

impl Graph {
    /// All that a package of ours reaches through packages of ours, and what those name.
    fn reach(&self, name: &str) -> BTreeSet<String> {
        let mut reached = BTreeSet::new();
        let mut next = vec![name.to_owned()];
        while let Some(name) = next.pop() {
            for dependency in self.normal.get(&name).into_iter().flatten() {
                if reached.insert(dependency.clone()) && self.ours.contains(dependency) {
                    next.push(dependency.clone());
                }
            }
        }
        reached
    }
}

#[test]
fn no_core_reaches_a_shell_or_the_world_outside() {
    let graph = graph();
    for core in CORES {
        let reached = graph.reach(core);
        for forbidden in OUTSIDE.iter().chain(&SHELLS) {
            assert!(!reached.contains(*forbidden), "{core} reaches {forbidden}");
        }
    }
}

#[test]
fn no_service_knows_another() {
    let graph = graph();
    for service in SERVICES {
        for other in SERVICES.iter().filter(|other| **other != service) {
            assert!(
                !graph.reach(service).contains(*other),
                "{service} reaches {other}"
            );
        }
    }
}

#[test]
fn the_words_know_nobody() {
    let graph = graph();
    let known: Vec<_> = graph.normal["muster-contract"]
        .intersection(&graph.ours)
        .collect();
    assert!(known.is_empty(), "contract knows {known:?}");
}

#[test]
fn no_shell_knows_a_service() {
    let graph = graph();
    for shell in SHELLS {
        for service in SERVICES {
            assert!(!graph.reach(shell).contains(service), "{shell} reaches {service}");
        }
    }
}

#[test]
fn each_outside_thing_is_named_in_its_crate_only() {
    let graph = graph();
    for (thing, namers) in NAMED_BY {
        for name in &graph.ours {
            let names = graph.normal[name].contains(thing);
            assert!(
                !names || namers.contains(&name.as_str()),
                "{name} names {thing}; only {namers:?} may"
            );
        }
    }
}

#[test]
fn what_only_tests_need_no_program_names() {
    let graph = graph();
    for name in &graph.ours {
        assert!(
            !graph.normal[name].contains("muster-falsify"),
            "{name} names muster-falsify"
        );
    }
}

#[test]
fn every_crate_of_ours_has_its_place() {
    let placed: BTreeSet<&str> = CORES
        .into_iter()
        .chain(SHELLS)
        .chain([
            "muster-contract",
            "muster-falsify",
            "muster-device",
            "muster-agent",
            "muster-bench",
            "muster-simulator",
            "muster-tests",
            "muster",
        ])
        .collect();
    for name in &graph().ours {
        assert!(
            placed.contains(name.as_str()),
            "{name} has no place in the house; see docs/architecture.md"
        );
    }
}
