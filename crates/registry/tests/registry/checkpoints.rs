//! How far consumers of events have come.

use contract::v1::{
    Changed, Checkpoint, CheckpointPosition, CheckpointsListed, Done, ListCheckpoints, PutCheckpoint,
    PutPerson, ReadAudit, RemoveCheckpoint, Role,
};

use crate::world::{ADA, Answered, World};

const ERP: &str = "integrators/erp";
const EPOCH: &str = "00000000000000aa";
const OTHER: &str = "00000000000000bb";

fn at(service: &str, epoch: &str, sequence: u64) -> CheckpointPosition {
    CheckpointPosition {
        service: service.into(),
        epoch: epoch.into(),
        sequence,
        at_ms: 0,
    }
}

fn put(id: &str, positions: &[CheckpointPosition]) -> PutCheckpoint {
    PutCheckpoint {
        checkpoint_id: id.into(),
        positions: positions.to_vec(),
        ..PutCheckpoint::default()
    }
}

fn tell(w: &mut World, who: &str, m: &PutCheckpoint) -> Answered<Changed> {
    w.ask(who, "put-checkpoint", m)
}

fn listed(w: &mut World, who: &str) -> Vec<Checkpoint> {
    let listed: CheckpointsListed = w.ask(who, "checkpoints", &ListCheckpoints::default()).unwrap();
    listed.checkpoints
}

fn places(of: &Checkpoint) -> Vec<(&str, u64)> {
    let places = of.positions.iter();
    places
        .map(|place| (place.service.as_str(), place.sequence))
        .collect()
}

#[test]
fn a_position_moves_forward_and_back_or_elsewhere_only_where_that_is_meant() {
    let mut w = World::new();
    let first = put("nightly", &[at("registry", EPOCH, 7), at("monitoring", EPOCH, 3)]);
    assert_eq!(tell(&mut w, ERP, &first).unwrap().version, 1);
    assert_eq!(
        tell(&mut w, ERP, &first).unwrap().version,
        1,
        "nothing new is said"
    );
    tell(&mut w, ERP, &put("nightly", &[at("registry", EPOCH, 9)])).unwrap();
    for (back, words) in [
        (at("registry", EPOCH, 8), "is at 9 already, and 8 is before"),
        (at("registry", OTHER, 12), "another history (00000000000000aa)"),
    ] {
        let mut m = put("nightly", &[at("monitoring", EPOCH, 5), back]);
        let refused = tell(&mut w, ERP, &m).unwrap_err();
        assert_eq!(
            (refused.code.as_str(), refused.field.as_str()),
            ("conflict", "positions")
        );
        assert!(refused.message.contains(words), "{}", refused.message);
        assert_eq!(
            places(&listed(&mut w, ERP)[0]),
            [("monitoring", 3), ("registry", 9)]
        );
        m.rewind = true;
        tell(&mut w, ERP, &m).unwrap();
        m.positions = vec![at("registry", EPOCH, 9), at("monitoring", EPOCH, 3)];
        tell(&mut w, ERP, &m).unwrap();
    }
    let stale = PutCheckpoint {
        expected_version: 1,
        ..put("nightly", &[at("registry", EPOCH, 10)])
    };
    assert_eq!(tell(&mut w, ERP, &stale).unwrap_err().code, "conflict");
    w.restart();
    let kept = listed(&mut w, ERP).remove(0);
    assert_eq!(places(&kept), [("monitoring", 3), ("registry", 9)]);
    assert_eq!((kept.owner.as_str(), kept.positions[0].at_ms), (ERP, w.now_ms));
}

#[test]
fn moving_one_is_no_event_and_no_entry_for_whoever_follows_would_never_end() {
    let mut w = World::new();
    for sequence in 1..20 {
        tell(&mut w, ERP, &put("nightly", &[at("registry", EPOCH, sequence)])).unwrap();
    }
    w.wait(120_000);
    assert_eq!(w.all_events(), []);
    let remove = RemoveCheckpoint {
        checkpoint_id: "nightly".into(),
        ..RemoveCheckpoint::default()
    };
    w.ask::<Done>(ERP, "remove-checkpoint", &remove).unwrap();
    let read: contract::v1::AuditRead = w.ask(ADA, "audit", &ReadAudit::default()).unwrap();
    assert_eq!(read.entries.len(), 1);
    let entry = &read.entries[0];
    assert_eq!(
        (entry.verb.as_str(), entry.who.as_str()),
        ("registry/remove-checkpoint", ERP)
    );
    assert_eq!(entry.subjects, ["checkpoints/nightly"]);
    let was = entry.changes.iter().find(|change| change.before.contains("19"));
    assert!(was.is_some(), "{:?}", entry.changes);
}

#[test]
fn what_makes_no_sense_is_refused_and_there_is_an_end_to_them() {
    let mut w = World::new();
    let long = "x".repeat(65);
    for id in ["", &long, "../x", "a/b", "+", "#", "a\0", "é", "a\u{202e}b"] {
        let refused = tell(&mut w, ERP, &put(id, &[at("registry", EPOCH, 1)])).unwrap_err();
        assert_eq!(refused.field, "checkpoint_id", "{id:?}");
    }
    let five: Vec<_> = (0..5).map(|n| at("registry", EPOCH, n)).collect();
    for (positions, field) in [
        (&[][..], "positions"),
        (&five[..], "positions"),
        (&[at("front-door", EPOCH, 1)][..], "positions.service"),
        (&[at("\x1b[31m", EPOCH, 1)][..], "positions.service"),
        (&[at("registry", "", 1)][..], "positions.epoch"),
        (&[at("registry", "00000000000000AA", 1)][..], "positions.epoch"),
        (&[at("registry", &"a".repeat(10_00), 1)][..], "positions.epoch"),
    ] {
        let refused = tell(&mut w, ERP, &put("nightly", positions)).unwrap_err();
        assert_eq!(refused.field, field, "{positions:?}");
        assert!(!refused.message.contains(char::is_control));
    }
    assert_eq!(listed(&mut w, ERP), []);
    for n in 0..16 {
        tell(
            &mut w,
            ERP,
            &put(&format!("c-{n}"), &[at("registry", EPOCH, u64::MAX)]),
        )
        .unwrap();
    }
    let seventeenth = put("c-16", &[at("registry", EPOCH, 1)]);
    assert_eq!(tell(&mut w, ERP, &seventeenth).unwrap_err().code, "limit");
    let twin = put("C-1", &[at("registry", EPOCH, 1)]);
    assert_eq!(tell(&mut w, ERP, &twin).unwrap_err().code, "exists");
    // Those of others are others'.
    tell(&mut w, ADA, &seventeenth).unwrap();
    assert_eq!(listed(&mut w, ERP).len(), 16);
}

#[test]
fn a_checkpoint_is_its_owners_and_an_admin_sees_to_those_of_others() {
    let mut w = World::new();
    let mut viewer = PutPerson {
        id: "vera".into(),
        kind: "operators".into(),
        ..PutPerson::default()
    };
    viewer.set_role(Role::Viewer);
    w.ask::<Changed>(ADA, "put-person", &viewer).unwrap();
    tell(&mut w, ERP, &put("nightly", &[at("registry", EPOCH, 7)])).unwrap();
    tell(
        &mut w,
        "operators/vera",
        &put("nightly", &[at("registry", EPOCH, 2)]),
    )
    .unwrap();
    assert_eq!(listed(&mut w, ADA), []);
    assert_eq!(places(&listed(&mut w, "operators/vera")[0]), [("registry", 2)]);

    let everybody = ListCheckpoints {
        everybody: true,
        ..ListCheckpoints::default()
    };
    let of_erp = RemoveCheckpoint {
        checkpoint_id: "nightly".into(),
        owner: ERP.into(),
        ..RemoveCheckpoint::default()
    };
    for who in ["operators/vera", "integrators/billing"] {
        let refused = w.ask::<CheckpointsListed>(who, "checkpoints", &everybody);
        assert_eq!(refused.unwrap_err().code, "denied");
        let refused = w.ask::<Done>(who, "remove-checkpoint", &of_erp);
        assert_eq!(refused.unwrap_err().code, "denied");
    }
    let all: CheckpointsListed = w.ask(ADA, "checkpoints", &everybody).unwrap();
    let owners: Vec<_> = all.checkpoints.iter().map(|found| found.owner.as_str()).collect();
    assert_eq!(owners, [ERP, "operators/vera"]);
    let bad = RemoveCheckpoint {
        owner: "erp".into(),
        ..of_erp.clone()
    };
    assert_eq!(
        w.ask::<Done>(ADA, "remove-checkpoint", &bad).unwrap_err().field,
        "owner"
    );
    let stale = RemoveCheckpoint {
        expected_version: 9,
        ..of_erp.clone()
    };
    assert_eq!(
        w.ask::<Done>(ADA, "remove-checkpoint", &stale).unwrap_err().code,
        "conflict"
    );
    w.ask::<Done>(ADA, "remove-checkpoint", &of_erp).unwrap();
    assert_eq!(
        w.ask::<Done>(ADA, "remove-checkpoint", &of_erp).unwrap_err().code,
        "not-found"
    );
    assert_eq!(listed(&mut w, ERP), []);
    assert_eq!(listed(&mut w, "operators/vera").len(), 1);
}
