//! Release managers of some groups only.

use contract::{Principal, v1::*};

use crate::world::{World, operator};

fn eve() -> Principal {
    "operators/eve".parse().unwrap()
}

/// `d0` and `d1` are in `berlin`, `d2` is not; Eve releases there.
fn world() -> (World, String) {
    let (mut w, artifact) = World::with_fleet(3);
    for n in 0..2 {
        w.device(n, |fact| fact.groups.push("berlin".into()));
    }
    let grant = Grant {
        role: Role::ReleaseManager.into(),
        groups: vec!["berlin".into()],
        ..Default::default()
    };
    w.people.push(PrincipalFact {
        id: "eve".into(),
        kind: "operators".into(),
        grants: vec![grant],
        ..PrincipalFact::default()
    });
    w.restart();
    (w, artifact)
}

fn create(id: &str, artifact: &str, group: &str, devices: &[&str]) -> CreateRollout {
    CreateRollout {
        rollout_id: id.into(),
        artifact_id: artifact.into(),
        group: group.into(),
        device_ids: devices.iter().map(|device| (*device).to_owned()).collect(),
        ..CreateRollout::default()
    }
}

fn steer(id: &str) -> SteerRollout {
    SteerRollout {
        rollout_id: id.into(),
        ..SteerRollout::default()
    }
}

#[test]
fn rollouts_reach_the_groups_that_were_granted() {
    let (mut w, artifact) = world();
    for request in [
        create("all", &artifact, "all", &[]),
        create("two", &artifact, "", &["d0", "d2"]),
        create("unknown", &artifact, "", &["d0", "nobody"]),
    ] {
        let refused = w.ask::<_, Changed>(&eve(), "create", &request).unwrap_err();
        assert_eq!(refused.code, "denied", "{}", request.rollout_id);
    }
    let one = create("one", &artifact, "", &["d0"]);
    w.ask::<_, Changed>(&eve(), "create", &one).unwrap();
    let group = create("berlin", &artifact, "berlin", &[]);
    w.ask::<_, Changed>(&eve(), "create", &group).unwrap();
    w.ask::<_, Changed>(&eve(), "pause", &steer("berlin")).unwrap();
}

#[test]
fn rollouts_of_others_are_not_there() {
    let (mut w, artifact) = world();
    w.ask::<_, Changed>(&operator(), "create", &create("all", &artifact, "all", &[]))
        .unwrap();
    let refused = w.ask::<_, Changed>(&eve(), "abort", &steer("all")).unwrap_err();
    assert_eq!(refused.code, "not-found");
    let show = ShowRollout {
        rollout_id: "all".into(),
        ..ShowRollout::default()
    };
    assert_eq!(
        w.ask::<_, RolloutShown>(&eve(), "show", &show).unwrap_err().code,
        "not-found"
    );
    let listed: RolloutsListed = w.ask(&eve(), "list", &ListRollouts::default()).unwrap();
    assert!(listed.rollouts.is_empty());
    let open = OpenArtifact::default();
    let refused = w
        .ask::<_, ArtifactOpened>(&eve(), "open-artifact", &open)
        .unwrap_err();
    assert_eq!(refused.code, "denied");
    let recall = RecallArtifact {
        artifact_id: artifact,
        reason: "it leaks".into(),
        ..RecallArtifact::default()
    };
    let refused = w.ask::<_, Changed>(&eve(), "recall", &recall).unwrap_err();
    assert_eq!(refused.code, "denied", "it ends the rollouts of others, too");
    let artifacts: ArtifactsListed = w.ask(&eve(), "artifacts", &ListArtifacts::default()).unwrap();
    assert_eq!(artifacts.artifacts.len(), 1);
}

#[test]
fn the_updates_of_a_rollout_are_those_in_sight() {
    let (mut w, artifact) = world();
    w.ask::<_, Changed>(&operator(), "create", &create("b", &artifact, "berlin", &[]))
        .unwrap();
    let updates = ListUpdates {
        rollout_id: "b".into(),
        ..ListUpdates::default()
    };
    let listed: UpdatesListed = w.ask(&eve(), "updates", &updates).unwrap();
    assert_eq!(listed.updates.len(), 2);
    w.device(1, |fact| fact.groups.retain(|group| group != "berlin"));
    let listed: UpdatesListed = w.ask(&eve(), "updates", &updates).unwrap();
    assert_eq!(listed.updates.len(), 1);
}
